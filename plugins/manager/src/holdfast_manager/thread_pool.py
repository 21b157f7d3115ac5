"""Pools of threads for the calls that block, which never hold up the event loop themselves.

`concurrent.futures` starts its threads in `submit`, which waits until the new thread has had a turn, and holds a lock
of all its pools meanwhile. Beside busy threads that is long, and a fleet of calls that comes at once starts hundreds.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from holdfast.errors import DeadlineExceeded

log = logging.getLogger("holdfast.manager.threads")

P = ParamSpec("P")
T = TypeVar("T")

Work = Callable[[], None]


class ThreadCallPool:
    """Blocking calls in threads of their own; a call that hangs costs this pool one thread, and nobody else any.

    All methods are for the event loop alone. Threads are started when they are first needed, and stay.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._limit = limit
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = 0
        """How many there are, or are being started, without those that were told to end."""
        self._open = 0
        """Calls that were begun and have not ended, the late ones included."""
        self._closed = False

    @property
    def limit(self) -> int:
        """How many calls run at once."""
        return self._limit

    def resize(self, limit: int) -> None:
        """Let `limit` calls run at once. Threads that are too many now end once they have done what waits already."""
        self._limit = limit
        while self._threads > limit:
            self._threads -= 1
            self._queue.put(None)
        while self._threads < min(limit, self._open):
            self._start_thread()

    async def call(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread; `DeadlineExceeded` when `deadline` seconds have passed without a result."""
        if self._closed:
            raise RuntimeError(f"no calls are made any more: pool {self._name} was closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            settle: Callable[[Any], None] = answer.set_result
            what: Any = None
            if not answer.done():
                try:
                    what = function(*args, **kwargs)
                except BaseException as problem:
                    settle, what = answer.set_exception, problem
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(self._ended, answer, settle, what)

        timer = loop.call_later(deadline, self._expire, answer, deadline)
        try:
            self._open += 1
            self._queue.put(run)
            if self._threads < min(self._limit, self._open):
                self._start_thread()
            return await answer
        finally:
            timer.cancel()

    def _ended(self, answer: "asyncio.Future[Any]", settle: Callable[[Any], None], what: Any) -> None:
        self._open -= 1
        if not answer.done():  # else it came too late
            settle(what)

    def _expire(self, answer: "asyncio.Future[Any]", deadline: float) -> None:
        if not answer.done():
            answer.set_exception(DeadlineExceeded(f"no answer within {deadline:g} s ({self._name})"))

    def _start_thread(self) -> None:
        self._threads += 1
        name = f"holdfast-{self._name}_{self._threads}"
        _STARTER.put(threading.Thread(target=_work, args=(self._queue,), name=name, daemon=True))

    def close(self) -> None:
        """Take no more calls, and drop those that have not begun; threads that hang are left behind. Idempotent."""
        self._closed = True
        with contextlib.suppress(Empty):
            while True:
                self._queue.get_nowait()
        for _ in range(self._threads):
            self._queue.put(None)
        self._threads = 0


def _work(queue: "SimpleQueue[Work | None]") -> None:
    """The life of a thread."""
    while (work := queue.get()) is not None:
        work()
        del work  # or what it holds would live until the next call


class _Starter:
    """Starts threads from a thread of its own. One for the process."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[threading.Thread] = SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, thread: threading.Thread) -> None:
        """Start it soon. Returns at once, but for the very first time."""
        self._waiting.put(thread)
        if self._thread is None:
            with self._guard:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="holdfast-starter", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            thread = self._waiting.get()
            while True:
                try:
                    thread.start()
                    break
                except RuntimeError as problem:
                    # The machine gives no more threads now. What waits goes on, in the threads there are.
                    log.error("thread %s cannot be started yet: %s", thread.name, problem)
                    _PAUSE.wait(_AGAIN_SECONDS)


_AGAIN_SECONDS = 1.0
_PAUSE = threading.Event()
_STARTER = _Starter()
