"""The storage lease: until when this host may be trusted, going by what it knows to be on storage."""

import math
import threading
import time

OWNER = "owner"
"""The source of renewals that the owner grants to a host whose pools do not answer while it can still be heard."""


def uptime() -> float:
    """Seconds since the machine booted, those in which it slept included: a lease does not stop for a nap."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class StorageLease:
    """Renewed by each source alone, and held while any of them has renewed it within `seconds`. Thread-safe.

    Times are those of `uptime`. A renewal counts from when its write was *begun*: whoever sees the beat sees it later.
    So if no reader has seen any beat move for `seconds`, the lease has lapsed.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._renewed: dict[str, float] = {}
        self._held_since = math.inf

    def renew(self, source: str, begun: float, now: float) -> None:
        """What `source` was asked to do at `begun` is known, at `now`, to be done. Never shortens."""
        with self._lock:
            if now >= self._ends_at():
                self._held_since = now
            self._renewed[source] = max(begun, self._renewed.get(source, -math.inf))

    def keep_only(self, sources: frozenset[str]) -> None:
        """Renewals of all other sources count no more."""
        with self._lock:
            self._renewed = {source: at for source, at in self._renewed.items() if source in sources}

    def ends_at(self) -> float:
        """When it lapses, unless it is renewed; minus infinity if it never was."""
        with self._lock:
            return self._ends_at()

    def _ends_at(self) -> float:
        return max(self._renewed.values(), default=-math.inf) + self.seconds

    def held(self, now: float) -> bool:
        """Whether it holds."""
        return now < self.ends_at()

    def held_throughout(self, since: float, now: float) -> bool:
        """Whether it holds and did not lapse since then: what was ordered before a lapse is void after it."""
        with self._lock:
            return now < self._ends_at() and since >= self._held_since

    def lapsed_sources(self, sources: frozenset[str], now: float) -> frozenset[str]:
        """Those of `sources` that renewed once, but not within `seconds`."""
        with self._lock:
            return frozenset(s for s in sources if s in self._renewed and now >= self._renewed[s] + self.seconds)

    def renewed_at(self, source: str) -> float:
        """When `source` renewed it last; minus infinity if never."""
        with self._lock:
            return self._renewed.get(source, -math.inf)
