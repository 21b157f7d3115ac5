"""One call for a VM at a time, a call that nobody waits for any more included."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import DeadlineExceeded

from holdfast_hypervisor_kvm.deadline import Deadline


class Turn:
    """The right to act on one VM. It is over once everybody who shares in it has left."""

    def __init__(self, busy: threading.Lock) -> None:
        self._busy = busy
        self._lock = threading.Lock()
        self._shares = 1

    def share(self) -> None:
        """Somebody else, such as a call to libvirt, takes part until it leaves."""
        with self._lock:
            self._shares += 1

    def leave(self) -> None:
        """One share is given back."""
        with self._lock:
            self._shares -= 1
            over = self._shares == 0
        if over:
            self._busy.release()


class Turns:
    """By VM uuid. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    @contextmanager
    def of(self, vm_uuid: str, limit: Deadline) -> Iterator[Turn]:
        """Wait for the VM's turn. `DeadlineExceeded` if an earlier call does not end in time."""
        with self._lock:
            busy = self._busy.setdefault(vm_uuid, threading.Lock())
        if not busy.acquire(timeout=max(limit.left(), 0.001)):
            raise DeadlineExceeded(f"VM {vm_uuid}: an earlier call for it has not ended yet")
        turn = Turn(busy)
        try:
            yield turn
        finally:
            turn.leave()
