"""Time, threads and chance of the real world."""

import asyncio
import contextlib
import gc
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from holdfast.errors import DeadlineExceeded
from holdfast.runtime import CallPool, Clock

_YOUNG_OBJECTS = 100_000
_SIDE_BY_SIDE = 512
"""Calls that other calls wait for: fence devices of hosts that have several."""

P = ParamSpec("P")
T = TypeVar("T")


class RealClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()


class ThreadCallPool:
    """Blocking calls in threads of their own; a call that hangs costs this pool one thread, and nobody else any."""

    def __init__(self, name: str, limit: int) -> None:
        self._limit = limit
        self._name = name
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix=f"holdfast-{name}")

    @property
    def limit(self) -> int:
        """How many calls run at once."""
        return self._limit

    def resize(self, limit: int) -> None:
        """New calls go to new threads, `limit` of them; the old threads end once they have done what they were given.

        Until then both work.
        """
        if limit == self._limit:
            return
        old, self._limit = self._threads, limit
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix=f"holdfast-{self._name}")
        old.shutdown(wait=False)

    async def call(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread; `DeadlineExceeded` when `deadline` seconds have passed without a result."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            if answer.done():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as problem:
                tell(answer.set_exception, problem)
            else:
                tell(answer.set_result, result)

        def tell(settle: Callable[[Any], None], what: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(_settle, answer, settle, what)

        timer = loop.call_later(deadline, self._expire, answer, deadline)
        try:
            self._threads.submit(run)
            return await answer
        finally:
            timer.cancel()

    def _expire(self, answer: "asyncio.Future[Any]", deadline: float) -> None:
        if not answer.done():
            answer.set_exception(DeadlineExceeded(f"no answer within {deadline:g} s ({self._name})"))

    def close(self) -> None:
        """Take no more calls; threads that hang are left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def collect_rarely() -> None:
    """Let the garbage collector of this process run seldom.

    A list of 20,000 VMs makes it look for cycles twenty times over all that lives, which takes longer than the reading,
    in the very seconds in which hosts die. Rows and evidence have no cycles: they go when they are let go of.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 50, 50)


def _settle(answer: "asyncio.Future[Any]", settle: Callable[[Any], None], what: Any) -> None:
    if not answer.done():  # else it came too late
        settle(what)


class SideBySide:
    """Calls that run in threads of their own while the caller's thread waits for them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="holdfast-side")

    def run(
        self,
        deadline: float,
        calls: Sequence[Callable[[], T]],
        enough: Callable[[Sequence[T | Exception | None]], bool] | None,
    ) -> list[T | Exception | None]:
        """See `holdfast.runtime.Runtime.together`."""
        outcomes: list[T | Exception | None] = [None] * len(calls)
        changed = threading.Condition()

        def carry_out(number: int, call: Callable[[], T]) -> None:
            try:
                outcome: T | Exception = call()
            except Exception as problem:
                outcome = problem
            with changed:
                outcomes[number] = outcome
                changed.notify()

        for number, call in enumerate(calls):
            self._threads.submit(carry_out, number, call)
        with changed:
            changed.wait_for(lambda: None not in outcomes or (enough is not None and enough(outcomes)), deadline)
            return list(outcomes)

    def close(self) -> None:
        """Take no more calls; threads that hang are left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class RealRuntime:
    """The runtime of a real management server."""

    def __init__(self) -> None:
        self._clock = RealClock()
        self._pools: list[ThreadCallPool] = []
        self._side_by_side = SideBySide()
        self._random = random.SystemRandom()

    @property
    def clock(self) -> Clock:
        """The clocks."""
        return self._clock

    def pool(self, name: str, limit: int) -> CallPool:
        """A thread pool of its own."""
        pool = ThreadCallPool(name, limit)
        self._pools.append(pool)
        return pool

    def together(
        self,
        deadline: float,
        calls: Sequence[Callable[[], T]],
        enough: Callable[[Sequence[T | Exception | None]], bool] | None = None,
    ) -> list[T | Exception | None]:
        """Calls side by side, from within a pool's call."""
        return self._side_by_side.run(deadline, calls, enough)

    def rest(self, seconds: float) -> None:
        """Let time pass, from within a pool's call."""
        time.sleep(seconds)

    def uuid(self) -> str:
        """A random uuid."""
        return str(uuid.uuid4())

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()

    def close(self) -> None:
        """Give up all pools."""
        for pool in self._pools:
            pool.close()
        self._side_by_side.close()
