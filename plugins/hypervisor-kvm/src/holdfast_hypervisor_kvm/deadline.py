"""Calls that may hang, made where they can hang alone."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from holdfast.errors import DeadlineExceeded, Unreachable

T = TypeVar("T")


class Abandoned(DeadlineExceeded):
    """The call goes on, though nobody waits for it any more; it may yet do what it was made for."""


class Deadline:
    """The moment until which a caller waits."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, not below 0."""
        return max(0.0, self._until - time.monotonic())

    def check(self, what: str) -> None:
        """`DeadlineExceeded` if nothing is left."""
        if self.left() <= 0.0:
            raise DeadlineExceeded(f"{what}: no time left")


class Calls:
    """Runs calls in threads of their own, a bounded number at once.

    A call whose caller has gone keeps its place until it ends, so that a libvirtd that hangs costs `limit` threads at
    most, and the next caller learns at once that it hangs.
    """

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit)

    def run(
        self, what: str, limit: Deadline, function: Callable[[], T], when_late: Callable[[], None] = lambda: None
    ) -> T:
        """What `function` returns or raises. `Abandoned` if it does not end in time: its outcome is unknown.

        `when_late` is called by the thread of an abandoned call once it ended.
        """
        if not self._places.acquire(timeout=min(limit.left(), 1.0)):
            raise Unreachable(f"{what}: earlier calls have not been answered yet")
        call = _Call(function, self._places, when_late)
        threading.Thread(target=call.run, name=f"kvm-{what}", daemon=True).start()
        if not call.done.wait(limit.left()) and call.give_up():
            raise Abandoned(f"{what}: no answer in time")
        if call.problem is not None:
            raise call.problem
        return call.answer[0]


class _Call(Generic[T]):
    def __init__(
        self, function: Callable[[], T], places: threading.BoundedSemaphore, when_late: Callable[[], None]
    ) -> None:
        self._function = function
        self._places = places
        self._when_late = when_late
        self._lock = threading.Lock()
        self._abandoned = False
        self.done = threading.Event()
        self.answer: list[T] = []
        self.problem: BaseException | None = None

    def run(self) -> None:
        """In a thread of its own."""
        try:
            self.answer.append(self._function())
        except BaseException as problem:
            self.problem = problem  # for the caller
        with self._lock:
            self.done.set()
            late = self._abandoned
        self._places.release()
        if late:
            self._when_late()

    def give_up(self) -> bool:
        """Whether the call was still underway, and nobody waits for it any more."""
        with self._lock:
            self._abandoned = not self.done.is_set()
            return self._abandoned
