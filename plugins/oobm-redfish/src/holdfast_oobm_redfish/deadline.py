"""How long a call may still take, and whether a request may be sent twice."""

import time
from dataclasses import dataclass

from holdfast.errors import DeadlineExceeded


class Deadline:
    """A moment by the monotonic clock. One deadline covers everything that a call does, all together."""

    __slots__ = ("ends", "seconds")

    def __init__(self, seconds: float, ends: float | None = None) -> None:
        self.seconds = seconds
        self.ends = time.monotonic() + seconds if ends is None else ends

    def remaining(self) -> float:
        """Seconds left; not above zero once it has passed."""
        return self.ends - time.monotonic()

    def check(self, where: str, doing: str) -> float:
        """Seconds left, or `DeadlineExceeded` if there are none."""
        left = self.remaining()
        if left <= 0:
            raise DeadlineExceeded(f"{where}: no time left for {doing} within {self.seconds:g} s")
        return left

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this one and `seconds` from now."""
        return Deadline(self.seconds, min(self.ends, time.monotonic() + seconds))


@dataclass(frozen=True, slots=True)
class Terms:
    """The conditions of one request. `repeatable` says that sending it twice does what sending it once does."""

    deadline: Deadline
    repeatable: bool
