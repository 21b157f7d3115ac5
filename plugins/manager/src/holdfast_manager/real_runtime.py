"""Time, threads and chance of the real world."""

import gc
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast.runtime import CallPool, Clock

from holdfast_manager.thread_pool import ThreadCallPool

_YOUNG_OBJECTS = 100_000
_TURN_SECONDS = 0.001
_IDENTITIES_AT_ONCE = 256
_SIDE_BY_SIDE = 512
"""Calls that other calls wait for: fence devices of hosts that have several."""

T = TypeVar("T")


class RealClock:
    """The clocks of this machine."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()


def prepare_process() -> None:
    """Set the interpreter of this process up for an event loop beside many busy threads.

    The garbage collector runs seldom: a list of 20,000 VMs makes it look for cycles twenty times over all that lives,
    which takes longer than the reading, in the very seconds in which hosts die. Rows and evidence have no cycles: they
    go when they are let go of.

    Threads take turns quickly: whenever the event loop has let go of the interpreter, each busy thread may keep it for
    an interval. With the usual 5 ms and a store full of readers the loop stood still for seconds, and lost its lease.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 50, 50)
    sys.setswitchinterval(_TURN_SECONDS)


class Identities:
    """Random uuids, out of random bytes that are fetched for many at once. Thread-safe.

    Each fetch lets go of the interpreter, and an event loop that does that gets it back only when all busy threads have
    had their turns.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._bytes = b""

    def next(self) -> str:
        """A new one."""
        with self._guard:
            if not self._bytes:
                self._bytes = os.urandom(_IDENTITIES_AT_ONCE * 16)
            mine, self._bytes = self._bytes[:16], self._bytes[16:]
        return str(uuid.UUID(bytes=mine, version=4))


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
        self._random = random.Random()  # noqa: S311 - for jitter; seeded once, it fetches nothing
        self._identities = Identities()

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
        return self._identities.next()

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()

    def close(self) -> None:
        """Give up all pools."""
        for pool in self._pools:
            pool.close()
        self._side_by_side.close()
