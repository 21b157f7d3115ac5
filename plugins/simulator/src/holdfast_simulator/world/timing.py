"""What the world needs of time, so that it runs alike under virtual and under real time."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Never run it. Harmless afterwards."""


class Waiter(Protocol):
    """Something one blocking call waits for."""

    value: Any

    def set(self, value: Any) -> None:
        """Give the answer and wake the waiting call. Only the first answer counts."""

    def wait(self, timeout: float) -> bool:
        """Block the calling driver for at most `timeout` seconds; whether the answer came."""


class WorldTime(Protocol):
    """Time as the world has it: the true time, which no machine in it can see."""

    def now(self) -> float:
        """Seconds of true, steady time."""

    def wall(self) -> float:
        """Seconds since 1970 of a perfectly set clock."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Let the world do something later; it must not block."""

    def waiter(self) -> Waiter:
        """Something to wait for, in the calling driver."""

    def sleep(self, seconds: float) -> None:
        """Block the calling driver."""
