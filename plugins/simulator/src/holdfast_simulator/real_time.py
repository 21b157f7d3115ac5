"""The world's time in the real world: one thread that runs what is due, and waits that block the caller's thread."""

import heapq
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

_log = logging.getLogger("holdfast.simulator")


class RealTimer:
    """A callback that waits for its time."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Never run it."""
        self.callback = None
        self.args = ()


class RealWaiter:
    """Something one driver's thread waits for."""

    __slots__ = ("_event", "value")

    def __init__(self) -> None:
        self._event = threading.Event()
        self.value: Any = None

    def set(self, value: Any) -> None:
        """Give the answer; only the first counts."""
        if not self._event.is_set():
            self.value = value
            self._event.set()

    def wait(self, timeout: float) -> bool:
        """Block for at most `timeout` seconds; whether the answer came."""
        return self._event.wait(timeout)


class RealTime:
    """`holdfast_simulator.world.timing.WorldTime` by the machine's own clocks.

    Callbacks run one by one in a daemon thread, holding the world's lock once `guard` gave it.
    """

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._timers: list[tuple[float, int, RealTimer]] = []
        self._order = 0
        self._closed = False
        self._lock: AbstractContextManager[Any] = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="simulated-world", daemon=True)
        self._thread.start()

    def guard(self, lock: AbstractContextManager[Any]) -> None:
        """Run callbacks under this lock from now on."""
        self._lock = lock

    def now(self) -> float:
        """Steady seconds of this machine."""
        return time.monotonic()

    def wall(self) -> float:
        """The date."""
        return time.time()

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> RealTimer:
        """Run `callback` in the world's thread, later."""
        timer = RealTimer(callback, args)
        with self._wake:
            self._order += 1
            heapq.heappush(self._timers, (when, self._order, timer))
            if self._timers[0][2] is timer:
                self._wake.notify()
        return timer

    def waiter(self) -> RealWaiter:
        """Something the calling thread can wait for."""
        return RealWaiter()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        time.sleep(seconds)

    def close(self) -> None:
        """End the thread; what still waits is dropped."""
        with self._wake:
            self._closed = True
            self._timers.clear()
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            timer = self._await_next()
            if timer is None:
                return
            with self._lock:
                callback = timer.callback
                if callback is None:
                    continue
                try:
                    callback(*timer.args)
                except Exception:
                    _log.exception("the simulated world failed at %r", callback)

    def _await_next(self) -> RealTimer | None:
        with self._wake:
            while not self._closed:
                if not self._timers:
                    self._wake.wait()
                    continue
                remaining = self._timers[0][0] - time.monotonic()
                if remaining <= 0:
                    return heapq.heappop(self._timers)[2]
                self._wake.wait(remaining)
            return None
