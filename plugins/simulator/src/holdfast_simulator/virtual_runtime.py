"""The runtime a simulated management server is given, and the world's own time, both on a `VirtualLoop`.

Blocking driver calls run in greenlets: where a real driver would block its thread, the greenlet goes back to the loop
and is resumed by a virtual timer. A call that never ends keeps its place in its pool, as a stuck thread would.
"""

import asyncio
import contextlib
import contextvars
import random
import uuid
from collections import deque
from collections.abc import Callable, Generator, Sequence
from heapq import heappush
from types import coroutine
from typing import Any, ParamSpec, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]
from holdfast.errors import DeadlineExceeded

from holdfast_simulator.virtual_loop import PROCESS, Process, VirtualHandle, VirtualLoop

P = ParamSpec("P")
T = TypeVar("T")

EPOCH = 1_750_000_000.0
"""Wall-clock time at virtual time 0."""


@coroutine
def _leave() -> Generator[None, None, None]:
    """Let the loop go round once, as `asyncio.sleep(0)` does, without a coroutine more for each call."""
    yield


class VirtualClock:
    """The clocks of one simulated machine.

    `offset` and `rate` make its monotonic clock its own (no two machines' clocks may be compared); `skew` is how far
    its wall clock is off, and may be changed at any time to make it jump.
    """

    def __init__(self, loop: VirtualLoop, offset: float = 0.0, rate: float = 1.0, skew: float = 0.0) -> None:
        self._loop = loop
        self._offset = offset
        self._rate = rate
        self.skew = skew

    def monotonic(self) -> float:
        """Steady seconds of this machine alone."""
        return self._offset + self._loop._now * self._rate

    def wall(self) -> float:
        """What this machine believes the date to be."""
        return EPOCH + self._loop._now + self.skew


class _Job:
    """One blocking call on its way through a pool. `outcome` has the answer or the error, once `done`.

    Only a call that does not end at once gets a future to wait for.
    """

    __slots__ = ("args", "context", "deadline", "done", "function", "future", "kwargs", "outcome", "since", "timer")

    def __init__(
        self, since: float, deadline: float, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.since = since
        self.deadline = deadline
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.context = contextvars.copy_context()
        self.future: asyncio.Future[Any] | None = None
        self.timer: VirtualHandle | None = None
        self.done = False
        self.outcome: Any = None

    def wanted(self) -> bool:
        """Whether somebody still waits for its outcome."""
        return not self.done and (self.future is None or not self.future.done())

    def end(self, outcome: Any, problem: BaseException | None = None) -> None:
        """Hand over the outcome, unless nobody wants it any more."""
        future = self.future
        if future is None:
            self.done, self.outcome = True, (outcome, problem)
        elif future.done():
            return
        elif problem is None:
            future.set_result(outcome)
        else:
            future.set_exception(problem)
            future._log_traceback = False  # whoever waits gets it, and one who crashed meanwhile must not make noise

    def result(self) -> Any:
        """The outcome of one that ended at once; raises its error."""
        (outcome, problem), self.outcome = self.outcome, None
        if problem is None:
            return outcome
        try:
            raise problem
        finally:
            del problem, self  # an error that holds its frame, which holds the error, is work for the collector


class VirtualCallPool:
    """A `holdfast.runtime.CallPool` under virtual time. Those of a dead process begin nothing any more."""

    def __init__(self, loop: VirtualLoop, name: str, limit: int, process: Process | None = None) -> None:
        if limit < 1:
            raise ValueError(f"pool {name}: a limit of {limit} would let no call run")
        self._loop = loop
        self._name = name
        self._limit = limit
        self._process = process
        self._running = 0
        self._waiting: deque[_Job] = deque()

    @property
    def limit(self) -> int:
        """How many calls run at once."""
        return self._limit

    @property
    def running(self) -> int:
        """How many calls run now, stuck ones included."""
        return self._running

    async def call(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of `function(*args)`, or `DeadlineExceeded` after `deadline` seconds.

        It begins at once if there is room, and its caller always leaves to the loop before it hears of the end.
        """
        loop, process = self._loop, self._process
        job = _Job(loop._now, deadline, function, args, kwargs)
        if process is not None and not process.alive:
            await loop.create_future()  # it is being buried, and this is clean-up code of its coroutines
        elif self._running < self._limit:
            self._running += 1
            loop.workers.run(job.context, self._run, job)
            if job.done:
                await _leave()
                found: T = job.result()
                return found
        else:
            self._waiting.append(job)
        job.future = loop.create_future()
        self._set_timer(job)
        try:
            found = await job.future
            return found  # noqa: RET504 - or it would be of no type
        finally:
            if job.timer is not None:
                job.timer.cancel()

    def _set_timer(self, job: _Job) -> None:
        job.timer = self._loop.call_at(job.since + job.deadline, self._expire, job, context=job.context)

    def _expire(self, job: _Job) -> None:
        if job.wanted():
            what = getattr(job.function, "__qualname__", repr(job.function))
            job.end(None, DeadlineExceeded(f"{what}: no answer within {job.deadline:g} s (pool {self._name})"))

    def _run(self, job: _Job) -> None:
        """Never raises, but for `GreenletExit`: then its process is dead, and its place in the pool with it."""
        if job.wanted():
            try:
                outcome = job.function(*job.args, **job.kwargs)
            except GreenletExit:
                raise
            except BaseException as problem:
                job.end(None, problem)
            else:
                job.end(outcome)
        self._running -= 1
        self._begin_waiting()

    def resize(self, limit: int) -> None:
        """Let `limit` calls run at once from now on."""
        self._limit = limit
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        while self._waiting and self._running < self._limit:
            following = self._waiting.popleft()
            if following.wanted():
                self._running += 1
                context = following.context
                self._loop.call_soon(self._loop.workers.run, context, self._run, following, context=context)


class VirtualWaiter:
    """Parks the calling greenlet until the answer or the timeout, whichever comes first."""

    __slots__ = ("_context", "_loop", "_parked", "_set", "value")

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._parked: greenlet | None = None
        self._context: contextvars.Context | None = None
        self._set = False
        self.value: Any = None

    def set(self, value: Any) -> None:
        """Give the answer; only the first counts."""
        if self._set:
            return
        self._set = True
        self.value = value
        if self._parked is not None:
            self._loop.call_soon(self._resume, context=self._context)

    def wait(self, timeout: float) -> bool:
        """Leave to the loop until there is an answer; `RuntimeError` on the event loop itself."""
        if self._set:
            return True
        current = getcurrent()
        hub = current.parent
        if hub is None:
            raise RuntimeError("a blocking call on the event loop: drivers may only be called through a pool")
        self._parked = current
        self._context = contextvars.copy_context()
        timer = self._loop.call_later(timeout, self._resume, context=self._context)
        _park(current, hub)
        timer.cancel()
        return self._set

    def _resume(self) -> None:
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.switch()


def rest(loop: VirtualLoop, seconds: float) -> None:
    """Park the calling greenlet for so long; `RuntimeError` on the event loop itself."""
    current = getcurrent()
    hub = current.parent
    if hub is None:
        raise RuntimeError("a blocking call on the event loop: drivers may only be called through a pool")
    loop.call_later(seconds, current.switch)
    _park(current, hub)


def _park(current: greenlet, hub: greenlet) -> None:
    """Leave to the loop until something switches back; or for ever, if its process dies meanwhile."""
    process = PROCESS.get()
    if process is None:
        hub.switch()
        return
    parked = process.greenlets
    parked.add(current)
    hub.switch()
    parked.discard(current)  # those that end here, because they are buried, are dropped all at once


def run_side_by_side(
    loop: VirtualLoop,
    deadline: float,
    calls: Sequence[Callable[[], T]],
    enough: Callable[[Sequence[T | Exception | None]], bool] | None,
) -> list[T | Exception | None]:
    """Each call in a greenlet of its own, while the calling greenlet is parked."""
    outcomes: list[T | Exception | None] = [None] * len(calls)
    waiter = VirtualWaiter(loop)

    def carry_out(number: int, call: Callable[[], T]) -> None:
        try:
            outcome: T | Exception = call()
        except Exception as problem:
            outcome = problem
        outcomes[number] = outcome
        if None not in outcomes or (enough is not None and enough(outcomes)):
            waiter.set(True)

    def begin(number: int, call: Callable[[], T]) -> None:
        loop.workers.run(contextvars.copy_context(), carry_out, number, call)

    for number, call in enumerate(calls):
        loop.call_soon(begin, number, call)
    waiter.wait(deadline)
    return list(outcomes)


class VirtualTime:
    """The world's time on a virtual loop (`holdfast_simulator.world.timing.WorldTime`)."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._context = loop.world_context

    def now(self) -> float:
        """True virtual time."""
        return self._loop._now

    def wall(self) -> float:
        """The date, perfectly set."""
        return EPOCH + self._loop._now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> VirtualHandle:
        """Let the world do something later, in no process. Most timers are the world's: this is `loop.call_at`."""
        loop = self._loop
        loop._order = order = loop._order + 1
        handle = VirtualHandle((when, order, callback, args, self._context))
        heappush(loop._timers, handle)
        return handle

    def waiter(self) -> VirtualWaiter:
        """Something the calling greenlet can wait for."""
        return VirtualWaiter(self._loop)

    def sleep(self, seconds: float) -> None:
        """Park the calling greenlet."""
        rest(self._loop, seconds)


class VirtualRuntime:
    """A `holdfast.runtime.Runtime` for one simulated process; chance comes from `seed` alone."""

    def __init__(self, loop: VirtualLoop, process: Process, seed: str, clock: VirtualClock | None = None) -> None:
        self._loop = loop
        self._process = process
        self._random = random.Random(f"{seed}/{process.name}")  # noqa: S311 - reproducible on purpose
        self._clock = clock or VirtualClock(loop)

    @property
    def clock(self) -> VirtualClock:
        """This process's clocks."""
        return self._clock

    def pool(self, name: str, limit: int) -> VirtualCallPool:
        """A pool of its own for one kind of call."""
        return VirtualCallPool(self._loop, name, limit, self._process)

    def together(
        self,
        deadline: float,
        calls: Sequence[Callable[[], T]],
        enough: Callable[[Sequence[T | Exception | None]], bool] | None = None,
    ) -> list[T | Exception | None]:
        """Calls side by side, from within a pool's call."""
        return run_side_by_side(self._loop, deadline, calls, enough)

    def rest(self, seconds: float) -> None:
        """Let virtual time pass, from within a pool's call."""
        rest(self._loop, seconds)

    def uuid(self) -> str:
        """A new identity, the same in every replay."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def random(self) -> float:
        """A number in [0, 1), the same in every replay."""
        return self._random.random()


def run_virtually(loop: VirtualLoop, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking driver function under virtual time, from ordinary code; for tests and set-up."""
    pool = VirtualCallPool(loop, "direct", 1)
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise AssertionError("run_virtually is for code outside the loop")
    return loop.run_until_complete(pool.call(1e9, function, *args, **kwargs))
