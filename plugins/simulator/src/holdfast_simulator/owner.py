"""A simulated process as the owner of a gateway."""

from collections.abc import Callable
from typing import Any

from holdfast_simulator.virtual_loop import Process, VirtualLoop


class VirtualOwner:
    """Brings news to a process as callbacks of its own, so that they count as its steps and end with it."""

    def __init__(self, loop: VirtualLoop, process: Process) -> None:
        self._loop = loop
        self._process = process
        self._context = process.context()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.alive

    def deliver(self, callback: Callable[..., object], *args: Any) -> None:
        """Run a callback in the process, at this instant."""
        self._loop.call_soon(callback, *args, context=self._context)
