"""One thread that talks with all BMCs, and the door through which other threads hand it requests.

The thread begins with the first request. It ends when `close` is called, when nobody holds the worker any more, or
with the process; sessions are closed on the BMCs then.
"""

import asyncio
import concurrent.futures
import contextlib
import math
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from holdfast.errors import DeadlineExceeded, HoldfastError, Unreachable

from holdfast_oobm_ipmi.connection import Connection, describe
from holdfast_oobm_ipmi.pool import Limits, Pool
from holdfast_oobm_ipmi.target import Target

T = TypeVar("T")
Operation = Callable[[Connection], Awaitable[T]]

STOP_SECONDS: Final = 2.0
_LONGEST_MARGIN: Final = 0.05
_MARGIN_SHARE: Final = 0.05
_LONGEST_WAIT: Final = 86_400.0


@dataclass(slots=True)
class _Engine:
    """What the thread needs. It knows nothing of the worker, so the worker can go while the thread still runs."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    pool: Pool | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.pool = Pool(self.loop, self.limits)
        self.loop.call_soon(self.ready.set)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(_end_all_tasks())
            self.pool.close()
            asyncio.set_event_loop(None)
            self.loop.close()


class Worker:
    """Hands operations to the one thread and waits for them. Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        self._stop: weakref.finalize[[_Engine, threading.Thread], Worker] | None = None

    def perform(self, target: Target, operation: Operation[T], deadline: float) -> T:
        """The result of `operation` on this BMC. Blocks for at most `deadline` seconds; raises `DriverError`s."""
        until = _until(deadline, target.where)

        async def one(pool: Pool) -> T:
            return await _performed(pool, target, operation, until, deadline)

        return self._wait(one, deadline, target.where)

    def perform_all(
        self, targets: Sequence[Target], operation: Operation[T], deadline: float, patience: float
    ) -> list[T | HoldfastError]:
        """What came of `operation` on each BMC, in order; a silent one is given up after `patience` seconds."""
        where = f"{len(targets)} BMCs"
        until = _until(deadline, where)
        soon = min(until, time.monotonic() + patience)

        async def guarded(pool: Pool, target: Target) -> T | HoldfastError:
            try:
                return await _performed(pool, target, operation, soon, min(deadline, patience))
            except HoldfastError as error:
                return error

        async def every(pool: Pool) -> list[T | HoldfastError]:
            return await asyncio.gather(*(guarded(pool, target) for target in targets))

        return self._wait(every, deadline, where)

    def forget(self, target: Target) -> None:
        """Close the sessions with this BMC as this user."""
        engine = self._running()
        assert engine.pool is not None
        engine.loop.call_soon_threadsafe(engine.pool.forget, target)

    def close(self) -> None:
        """Close all sessions and end the thread. Idempotent; the next request starts it again."""
        with self._lock:
            stop, self._stop, self._engine = self._stop, None, None
        if stop is not None:
            stop()

    @property
    def sessions(self) -> int:
        """How many connections are kept at this moment."""
        engine = self._engine
        return len(engine.pool) if engine is not None and engine.pool is not None else 0

    def _wait(self, work: Callable[[Pool], Coroutine[Any, Any, T]], deadline: float, where: str) -> T:
        engine = self._running()
        assert engine.pool is not None
        future = asyncio.run_coroutine_threadsafe(work(engine.pool), engine.loop)
        try:
            return future.result(min(deadline, _LONGEST_WAIT))
        except concurrent.futures.CancelledError:
            raise Unreachable(f"{where}: the driver was stopped before there was an answer") from None
        except TimeoutError:
            future.cancel()
            raise DeadlineExceeded(
                f"{where}: no answer within {deadline:g} s, and the driver's own thread is late; the machine is "
                "overloaded"
            ) from None

    def _running(self) -> _Engine:
        with self._lock:
            if self._engine is None:
                engine = _Engine(self._limits, asyncio.new_event_loop())
                thread = threading.Thread(target=engine.run, name="oobm-ipmi", daemon=True)
                thread.start()
                engine.ready.wait()
                self._engine = engine
                self._stop = weakref.finalize(self, _end, engine, thread)
            return self._engine


async def _performed(pool: Pool, target: Target, operation: Operation[T], until: float, allowed: float) -> T:
    try:
        return await pool.perform(target, operation, until, allowed)
    except Exception as error:
        found = describe(error, target)
        raise found from (None if found is error else error)


async def _end_all_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _end(engine: _Engine, thread: threading.Thread) -> None:
    with contextlib.suppress(RuntimeError):
        engine.loop.call_soon_threadsafe(engine.loop.stop)
    if thread is not threading.current_thread():
        thread.join(STOP_SECONDS)


def _until(deadline: float, where: str) -> float:
    """Loop time by which to be done, a little before the caller stops waiting."""
    if math.isnan(deadline) or deadline <= 0:
        raise DeadlineExceeded(f"{where}: the deadline of {deadline:g} s was over before anything was sent")
    margin = min(_LONGEST_MARGIN, deadline * _MARGIN_SHARE)
    return time.monotonic() + min(deadline, _LONGEST_WAIT) - margin
