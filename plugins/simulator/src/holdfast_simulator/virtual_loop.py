"""An asyncio event loop whose time is virtual, shared by several simulated processes.

No thread, no socket, no real clock: time jumps to the next timer, equal times run in the order they were asked for, so
one seed gives one history. Each handle belongs to the process of its context; a crashed process never runs again.
"""

import asyncio
import contextlib
import contextvars
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, TypeVarTuple

from greenlet import GreenletExit, greenlet  # type: ignore[import-untyped]

from holdfast_simulator.workers import Workers

PROCESS: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("holdfast_simulated_process", default=None)
"""Whose code runs now; None is the simulated world itself."""

_STANDSTILL = 2_000_000
_TIMERS_KEPT = 4096
"""Beyond so many, those that were cancelled are dropped."""
Ts = TypeVarTuple("Ts")


class Process:
    """One life of one simulated process, e.g. a management server from its start to its crash.

    `steps` counts the callbacks it ran; set `crash_at_step` to kill it before its n-th. `on_crash` is told afterwards.
    """

    __slots__ = ("_context", "alive", "crash_at_step", "greenlets", "name", "on_crash", "remains", "steps")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.steps = 0
        self.crash_at_step = 0
        self.on_crash: Callable[[Process], None] | None = None
        self.greenlets: set[greenlet] = set()
        self.remains: list[asyncio.Task[Any]] = []
        self._context = contextvars.Context()
        self._context.run(PROCESS.set, self)

    def context(self) -> contextvars.Context:
        """A fresh context that belongs to this process."""
        return self._context.copy()

    def __repr__(self) -> str:
        return f"Process({self.name!r}, {'alive' if self.alive else 'dead'}, step {self.steps})"


class VirtualHandle(list[Any]):
    """A callback to run: when, order, callback, arguments, context. It belongs to the process of its context.

    A list, because those are made and compared without a line of Python: a run makes a hundred each virtual second.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """Never run it."""
        self[2] = self[3] = None

    def cancelled(self) -> bool:
        """Whether it will never run."""
        return self[2] is None

    def when(self) -> float:
        """The virtual time it is for."""
        when: float = self[0]
        return when

    def __repr__(self) -> str:
        return f"VirtualHandle({self[2]!r} at {self[0]})"


class VirtualTask(asyncio.Task[Any]):
    """A task that knows its process."""

    process: Process | None = None


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `problems` collects errors that no task of a living process caught."""

    def __init__(self, start: float = 1000.0) -> None:
        self._runs = False
        self._shut = False
        super().__init__()
        self._now = start
        self._queue: deque[VirtualHandle] = deque()
        self._timers: list[VirtualHandle] = []
        self._order = 0
        self._halted = False
        self.handles_run = 0
        self.problems: list[str] = []
        self.workers = Workers()
        self.world_context = contextvars.Context()
        self.set_exception_handler(self._note_problem)
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

    def _note_problem(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        process = getattr(task, "process", None) or PROCESS.get()
        if process is None or process.alive:
            self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    # --- time and callbacks

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    get_debug = staticmethod(bool)
    """False, said without a line of Python: debugging aids would read the real clock."""

    def call_soon(  # type: ignore[override]
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> VirtualHandle:
        """Run `callback` at the present time, after what is already waiting."""
        handle = VirtualHandle((self._now, 0, callback, args, copy_context() if context is None else context))
        self._queue.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> VirtualHandle:
        """Run `callback` after `delay` virtual seconds."""
        self._order = order = self._order + 1
        context = copy_context() if context is None else context
        handle = VirtualHandle((self._now + delay, order, callback, args, context))
        heappush(self._timers, handle)
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> VirtualHandle:
        """Run `callback` at virtual time `when`."""
        self._order = order = self._order + 1
        handle = VirtualHandle((when, order, callback, args, copy_context() if context is None else context))
        heappush(self._timers, handle)
        return handle

    def run_in_executor(self, *_args: Any) -> Any:  # type: ignore[override]
        """Refused: blocking calls belong in a pool of the runtime."""
        raise RuntimeError("no threads under virtual time: use the runtime's pools for blocking calls")

    # --- tasks and processes

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: object = None, context: contextvars.Context | None = None
    ) -> VirtualTask:
        """A task of the process whose context it gets."""
        task = VirtualTask(coro, loop=self, name=None if name is None else str(name), context=context)
        task.process = PROCESS.get() if context is None else context.get(PROCESS)
        return task

    def spawn(self, process: Process, coro: Coroutine[Any, Any, Any], name: str = "") -> VirtualTask:
        """Run `coro` as a task of `process`."""
        return self.create_task(coro, name=name or process.name, context=process.context())

    def crash(self, process: Process) -> None:
        """End `process` at once: nothing of it runs again, not even its clean-up, until `bury`."""
        if not process.alive:
            return
        process.alive = False
        for task in asyncio.all_tasks(self):
            if getattr(task, "process", None) is process:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                process.remains.append(task)
        if process.on_crash is not None:
            process.on_crash(process)

    def bury(self, process: Process) -> None:
        """Free a dead process's memory. Its clean-up code runs now, walled in: every gateway refuses by then."""
        self.crash(process)
        for stuck in list(process.greenlets):
            with contextlib.suppress(BaseException):
                stuck.throw(GreenletExit)
        process.greenlets.clear()
        for task in process.remains:
            _close(task.get_coro())
        process.remains.clear()

    # --- running

    def run_forever(self) -> None:
        """Run until `stop`. `RuntimeError` if nothing is left to do, or if time stands still."""
        if self._runs:
            raise RuntimeError("this event loop is already running")
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook)  # type: ignore[attr-defined]
        asyncio._set_running_loop(self)
        self._runs, self._halted = True, False
        try:
            self._turn()
        finally:
            self._runs = False
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _turn(self) -> None:  # noqa: PLR0912 - very many steps go round here, and a call less at each is worth a branch
        queue, take, timers = self._queue, self._queue.popleft, self._timers
        process_of, limit = PROCESS, _STANDSTILL
        still = 0
        while not self._halted:
            if queue:
                when, _, callback, args, context = handle = take()
                if callback is None:
                    continue
            else:
                if len(timers) > _TIMERS_KEPT:
                    self._forget_cancelled()
                if not timers:
                    raise RuntimeError(f"nothing left to do at virtual time {self._now}: every task waits for another")
                when, _, callback, args, context = handle = heappop(timers)
                if callback is None:
                    continue
                if when > self._now:  # noqa: PLR1730 - a call less at each of very many steps
                    self._now = when
                still = 0
            process = context.get(process_of)
            if process is not None:
                if not process.alive:
                    continue
                process.steps += 1
                if process.steps == process.crash_at_step:
                    self.crash(process)
                    continue
            still += 1
            if still > limit:
                raise RuntimeError(f"time stands still at {self._now}: {still} callbacks in a row, last {handle!r}")
            self.handles_run += 1
            try:
                context.run(callback, *args)
            except BaseException as problem:
                self._judge(handle, process, problem)

    def _judge(self, handle: VirtualHandle, process: Process | None, problem: BaseException) -> None:
        """A callback failed: the world's own fault ends the run, that of a living process is kept."""
        if process is None or isinstance(problem, (SystemExit, KeyboardInterrupt)):
            raise problem
        if process.alive:
            self.problems.append(f"{handle!r} raised {problem!r}")

    def _forget_cancelled(self) -> None:
        """Drop cancelled timers, if they are most of them. The list stays the same one."""
        timers = self._timers
        if sum(1 for handle in timers if handle[2] is None) > len(timers) // 2:
            timers[:] = [handle for handle in timers if handle[2] is not None]
            heapify(timers)

    def stop(self) -> None:
        """Leave `run_forever` after the present callback."""
        self._halted = True

    def is_running(self) -> bool:
        """Whether `run_forever` is on the stack."""
        return self._runs

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._shut

    def close(self) -> None:
        """Drop everything that still waits."""
        self._shut = True
        self._queue.clear()
        self._timers.clear()
        self.workers.close()
        super().close()


def _close(coro: Any) -> None:
    """Close a coroutine that may catch GeneratorExit and await on: ask again until it gives in."""
    for _ in range(50):
        try:
            coro.close()
        except RuntimeError:
            continue
        except BaseException:
            return
        return
