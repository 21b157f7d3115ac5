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

    Times are those of `uptime`. A renewal counts from when its write was *begun*, or its beat *sent*: whoever sees
    either sees it later. So if no reader has seen any beat move for `seconds`, and no owner that grants has heard the
    host for as long, the lease has lapsed.

    `OWNER` keeps a host from being reset, and no more: what is started needs a pool that takes beats.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._renewed: dict[str, float] = {}
        self._on_storage_since = math.inf

    def renew(self, source: str, begun: float, now: float) -> None:
        """What `source` was asked to do at `begun` is known, at `now`, to be done. Never shortens."""
        with self._lock:
            if source != OWNER and now >= self._storage_ends_at():
                self._on_storage_since = now
            self._renewed[source] = max(begun, self._renewed.get(source, -math.inf))

    def keep_only(self, sources: frozenset[str]) -> None:
        """Renewals of all other sources count no more."""
        with self._lock:
            self._renewed = {source: at for source, at in self._renewed.items() if source in sources}

    def ends_at(self) -> float:
        """When it lapses, unless it is renewed; minus infinity if it never was."""
        with self._lock:
            return max(self._renewed.values(), default=-math.inf) + self.seconds

    def storage_ends_at(self) -> float:
        """When it would lapse without any owner's grant."""
        with self._lock:
            return self._storage_ends_at()

    def _storage_ends_at(self) -> float:
        beats = (at for source, at in self._renewed.items() if source != OWNER)
        return max(beats, default=-math.inf) + self.seconds

    def held(self, now: float) -> bool:
        """Whether it holds."""
        return now < self.ends_at()

    def held_on_storage(self, now: float) -> bool:
        """Whether it holds by beats alone."""
        return now < self.storage_ends_at()

    def held_on_storage_throughout(self, since: float, now: float) -> bool:
        """Whether beats alone hold it and did so since then: what was ordered before a lapse is void after it."""
        with self._lock:
            return now < self._storage_ends_at() and since >= self._on_storage_since

    def lapsed_sources(self, sources: frozenset[str], now: float) -> frozenset[str]:
        """Those of `sources` that renewed once, but not within `seconds`."""
        with self._lock:
            return frozenset(s for s in sources if s in self._renewed and now >= self._renewed[s] + self.seconds)

    def renewed_at(self, source: str) -> float:
        """When `source` renewed it last; minus infinity if never."""
        with self._lock:
            return self._renewed.get(source, -math.inf)
