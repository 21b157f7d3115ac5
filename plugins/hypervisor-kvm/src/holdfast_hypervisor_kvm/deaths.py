"""Tells when QEMU processes end, by the kernel's word.

libvirtd says so itself, but for a domain that it is just taking up after its own start: that it ends without an event.
"""

import os
import select
import threading
from collections.abc import Callable, Iterable


class Deaths:
    """`died` is called, on a thread of ours, whenever a process that is watched has ended; it must not wait."""

    def __init__(self, died: Callable[[], None]) -> None:
        self._died = died
        self._lock = threading.Lock()
        self._numbers: dict[int, int] = {}
        """Handle of a process -> its id."""
        self._ends: select.epoll | None = None

    def watch(self, numbers: Iterable[int]) -> None:
        """From now on these processes too. One that has ended meanwhile is told at once."""
        with self._lock:
            for number in set(numbers) - set(self._numbers.values()):
                self._add(number)

    def _add(self, number: int) -> None:
        try:
            handle = os.pidfd_open(number)
        except ProcessLookupError:
            self._died()
            return
        if self._ends is None:
            self._ends = select.epoll()
            threading.Thread(target=self._wait, args=(self._ends,), name="kvm-deaths", daemon=True).start()
        self._numbers[handle] = number
        self._ends.register(handle, select.EPOLLIN)

    def _wait(self, ends: select.epoll) -> None:
        while True:
            for handle, _ in ends.poll():
                with self._lock:
                    ends.unregister(handle)
                    os.close(handle)
                    del self._numbers[handle]
                self._died()
