"""Beats on one pool, in a thread of its own: write, then look at the neighbours'. A pool that hangs delays no other."""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable

from holdfast.errors import HoldfastError
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model.views import PoolView

from holdfast_agent.storage.lease import StorageLease

log = logging.getLogger("holdfast.agent.storage")

_REMEMBERED_WRITES = 60
_PREPARE_SECONDS = 10.0
_WATCH_SECONDS = 3.0
_AGAIN_SECONDS = 1.0
_NUMBERS = re.compile(r"[0-9.]+")


class PoolBeats:
    """Writes `host`'s beat each `interval` seconds and renews `lease` by each that is known to be on the pool."""

    def __init__(
        self,
        pool: PoolView,
        host: str,
        driver: Callable[[], HeartbeatDriver],
        lease: StorageLease,
        interval: float,
        clock: Callable[[], float],
        written: Callable[[], object] = lambda: None,
    ) -> None:
        self.pool = pool
        self.interval = interval
        self._host = host
        self._driver = driver
        self._lease = lease
        self._clock = clock
        self._written = written
        # Any change of the sequence is a sign of life, so a clock that is wrong does no harm here.
        self._sequence = int(time.time())
        self._took: deque[float] = deque(maxlen=_REMEMBERED_WRITES)
        self._stop = threading.Event()
        self._leaves = False
        self._prepared = False
        self._problem = "no beat has been written yet"
        self._told = ""
        self._thread = threading.Thread(target=self._run, name=f"beats-{pool.name[:20]}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, leave: bool = True) -> None:
        """Write no more. Never blocks: a call that hangs is left behind. `leave` the pool unless others go on there."""
        self._leaves = leave
        self._stop.set()

    @property
    def slowest(self) -> float:
        """Seconds that the slowest of the last writes took."""
        return max(self._took, default=0.0)

    @property
    def problem(self) -> str:
        """Why the last beat is not on the pool, or ""."""
        return self._problem

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            worked = self._beat()
            # A beat that took long is followed by the next at once; missed ones are not made up for.
            due = max(due + self.interval, time.monotonic())
            self._stop.wait(due - time.monotonic() if worked else max(_AGAIN_SECONDS, self.interval))
        try:
            if self._leaves:
                self._driver().leave(self.pool.uuid)
        except Exception:
            log.exception("pool %s could not be left", self.pool.name)

    def _beat(self) -> bool:
        try:
            driver = self._driver()
            if not self._prepared:
                driver.prepare(self.pool, self._host, _PREPARE_SECONDS)
                self._prepared = True
            self._sequence += 1
            begun, since = self._clock(), time.monotonic()
            driver.write(self.pool, self._host, self._sequence, self._lease.seconds)
            if self._stop.is_set():
                return True
            self._took.append(time.monotonic() - since)
            self._lease.renew(self.pool.uuid, begun, self._clock())
            self._written()
            driver.watch(self.pool, self._host, _WATCH_SECONDS)
        except HoldfastError as problem:
            self._tell(str(problem) or type(problem).__name__)
            return False
        except Exception as problem:
            log.exception("the heartbeat driver of pool %s failed", self.pool.name)
            self._tell(f"the driver failed with {type(problem).__name__}")
            return False
        self._tell("")
        return True

    def _tell(self, problem: str) -> None:
        """Each trouble is told once, whatever the numbers in its words, and so is its end."""
        self._problem = problem
        kind = _NUMBERS.sub("", problem)
        if problem and kind != self._told:
            log.warning("no heartbeat on pool %s: %s", self.pool.name, problem)
        elif not problem and (self._told or len(self._took) == 1):
            log.info("the heartbeat on pool %s works", self.pool.name)
        self._told = kind
