"""Driver calls in threads of their own, a bounded number of each kind. A call that hangs holds up its kind alone.

The threads are daemons: one that hangs in the kernel must not keep the agent from ending.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from holdfast.errors import DeadlineExceeded, Unreachable

T = TypeVar("T")

_WAITING_PER_THREAD = 16
_IDLE_SECONDS = 30.0


class BoundedThreads:
    """At most `limit` at a time; threads come when they are needed and go when they are idle."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._guard = threading.Lock()
        self._idle = 0
        self._threads = 0
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    async def call(self, deadline: float, function: Callable[[], T]) -> T:
        """Its result, or `DeadlineExceeded` after `deadline` seconds, the wait for a free thread included.

        A call that is late goes on in its thread; what it returns then is dropped. One that never began never begins.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            if answer.done():
                return
            try:
                result = function()
            except BaseException as problem:
                settle = _failed(answer, problem)
            else:
                settle = _done(answer, result)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        self._submit(run)
        try:
            async with asyncio.timeout(deadline):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(f"no result within {deadline:g} s ({self._name})") from None

    def _submit(self, run: Callable[[], None]) -> None:
        with self._guard:
            if self._work.qsize() >= self._limit * _WAITING_PER_THREAD:
                raise Unreachable(f"{self._name}: too many calls hang; this one was not begun")
            self._work.put(run)
            if self._idle < self._work.qsize() and self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._run, name=f"holdfast-{self._name}", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._guard:
                self._idle += 1
            try:
                work = self._work.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._guard:
                    self._idle -= 1
                    if self._work.empty():
                        self._threads -= 1
                        return
                continue
            with self._guard:
                self._idle -= 1
            work()


def _done(answer: "asyncio.Future[Any]", result: Any) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_result(result)


def _failed(answer: "asyncio.Future[Any]", problem: BaseException) -> Callable[[], None]:
    return lambda: None if answer.done() else answer.set_exception(problem)
