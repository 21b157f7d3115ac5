"""Time, calls off the event loop, and identities: what differs between the real world and the simulated one.

Code that is given a `Runtime` and takes time, threads and chance from nowhere else runs unchanged under both.
"""

from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Clock(Protocol):
    """Two clocks. Decisions use `monotonic` only; `wall` is for people."""

    def monotonic(self) -> float:
        """Seconds that never go back, of this process alone."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""


class CallPool(Protocol):
    """Runs blocking calls off the event loop, at most `limit` at a time, each with its own deadline."""

    async def call(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of `function(*args)`, or `DeadlineExceeded` after `deadline` seconds, waiting for a turn included.

        A call that ran out of time keeps its place in the pool until it really ends; its late result is dropped.
        """

    @property
    def limit(self) -> int:
        """How many calls run at once."""

    def resize(self, limit: int) -> None:
        """Let `limit` calls run at once from now on. Those that run, or wait for their turn, are not lost."""


class Runtime(Protocol):
    """What a manager gets its time, threads and chance from."""

    @property
    def clock(self) -> Clock:
        """The clocks."""

    def pool(self, name: str, limit: int) -> CallPool:
        """A pool of its own for one kind of call; `name` shows in thread names and traces."""

    def together(
        self,
        deadline: float,
        calls: Sequence[Callable[[], T]],
        enough: Callable[[Sequence[T | Exception | None]], bool] | None = None,
    ) -> list[T | Exception | None]:
        """From within a pool's call: run blocking calls side by side, and return what each gave or raised, in order.

        Blocks until all have ended, or `enough` says so of what there is, or `deadline` seconds have passed. None is
        a call that has not ended: it goes on, and nobody heeds it. So no call may return None. `enough` must be
        quick; it is asked under a lock.
        """

    def rest(self, seconds: float) -> None:
        """From within a pool's call: let time pass before something is looked at again. Blocks."""

    def uuid(self) -> str:
        """A new identity. Deterministic under simulation."""

    def random(self) -> float:
        """A number in [0, 1) for jitter. Deterministic under simulation."""
