"""Waiting for something to become true, while saying what is awaited."""

import time
from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import HoldfastError

from holdfast_cli.client import ApiUnreachable
from holdfast_cli.progress import ProgressLine

T = TypeVar("T")

_PAUSE = 0.1


class WaitedInVain(HoldfastError):
    """What was awaited did not come true in time."""


class Waiting:
    """Looks again and again. `alive` raises if waiting has become pointless, such as when the server has ended."""

    def __init__(self, line: ProgressLine, alive: Callable[[], None]) -> None:
        self.line = line
        self._alive = alive

    def until(self, what: str, seconds: float, look: Callable[[], T | None], pause: float = _PAUSE) -> T:
        """What `look` returns once that is true. `WaitedInVain` after `seconds`."""
        end = time.monotonic() + seconds
        self.line.begin()
        try:
            while True:
                self._alive()
                try:
                    found = look()
                except ApiUnreachable:
                    if time.monotonic() >= end:
                        raise
                    found = None
                if found:
                    return found
                if time.monotonic() >= end:
                    raise WaitedInVain(f"waited {seconds:g} s in vain until {what}")
                self.line.show(f"until {what}")
                time.sleep(pause)
        finally:
            self.line.clear()

    def job(self, what: str) -> Callable[[float], None]:
        """Progress of a job, for `Client.run`."""
        self.line.begin()

        def told(_waited: float) -> None:
            self._alive()
            self.line.show(what)

        return told
