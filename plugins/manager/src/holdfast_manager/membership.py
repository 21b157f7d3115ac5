"""This server's session with the coordinator, and which hosts it may act on (S5, S6).

`holds()` is asked before every effect. It answers by this process's own clock alone, counted from before the last
successful renewal was sent: a server that is cut off from the coordinator stops before another may start.
"""

import asyncio
import hashlib
import logging
import math

from holdfast.errors import CoordinatorUnavailable, HoldfastError, LeaseLost
from holdfast.hooks.coordinator import Coordinator, Session
from holdfast.runtime import Runtime

log = logging.getLogger("holdfast.manager.membership")

_SHARE_USED = 0.95
"""This server stops a little before its lease ends: clocks drift, and what it sends last is still on the way."""


class Membership:
    """The lease of one management server. Single-threaded: used on the event loop only."""

    def __init__(self, name: str, coordinator: Coordinator, runtime: Runtime) -> None:
        self.name = name
        self.members: tuple[str, ...] = ()
        self.epochs: dict[str, int] = {}
        """Host uuid -> claim epoch, for hosts this server owns while `holds()`."""
        self.renewals = 0
        """How many renewals the coordinator has confirmed: each proves that this server's claims held then."""
        self._coordinator = coordinator
        self._clock = runtime.clock
        self._pool = runtime.pool("coordinator", 2)
        self._session: Session | None = None
        self._until = 0.0
        self._wanted: dict[str, bool] = {}
        """Which hosts fall to this server among `_wanted_of`: asked of every host, every second."""
        self._wanted_of: tuple[str, ...] = ()

    def holds(self) -> bool:
        """Whether the lease holds now."""
        return self._session is not None and self._clock.monotonic() < self._until

    def seconds_left(self) -> float:
        """How long the lease still holds; 0 if it does not."""
        return max(0.0, self._until - self._clock.monotonic()) if self._session else 0.0

    @property
    def session_epoch(self) -> int:
        """The number of the present session; 0 if there is none."""
        return self._session.epoch if self._session else 0

    def owns(self, host_uuid: str) -> bool:
        """Whether this server may act on the host now."""
        return host_uuid in self.epochs and self.holds()

    async def keep(self, lease_seconds: float, deadline: float) -> bool:
        """Join, or renew. True if the lease holds afterwards. Never raises; a lost lease loses all claims.

        A lease that ended by this process's own clock is lost, whatever the coordinator says later: meanwhile nothing
        was acted on, so everything is taken up afresh.
        """
        try:
            if self._session is None:
                await self._join(lease_seconds)
            await self._renew(deadline)
            self.members = await self._pool.call(deadline, self._coordinator.members)
        except LeaseLost as problem:
            log.warning("the lease of session %d is lost, all hosts are given up: %s", self.session_epoch, problem)
            self._forget()
        except HoldfastError as problem:
            log.warning("the coordinator does not answer: %s", problem)
        if self._session is not None and not self.holds():
            log.warning("the lease of session %d was not renewed in time: all hosts are given up", self.session_epoch)
            await self.leave(deadline)
        return self.holds()

    async def _join(self, lease_seconds: float) -> None:
        """Joining waits for an earlier session of this very server to end, after a crash: let it."""
        patience = 3 * lease_seconds + 5.0
        self._session = await self._pool.call(patience, self._coordinator.join, self.name, lease_seconds)
        self._until = math.inf  # decided by the renewal that follows at once; without claims nothing is acted on yet
        log.info("joined as %s, session %d", self.name, self._session.epoch)

    async def _renew(self, deadline: float) -> None:
        session = self._session
        assert session is not None
        asked_at, held_until = self._clock.monotonic(), self._until
        try:
            seconds = await self._pool.call(deadline, self._coordinator.renew, session)
        except HoldfastError:
            if held_until == math.inf:
                self._until = asked_at
            raise
        if self._clock.monotonic() >= held_until:
            self._until = asked_at
            return
        self._until = asked_at + seconds * _SHARE_USED
        self.renewals += 1

    def _forget(self) -> None:
        self._session = None
        self.epochs = {}

    def wants(self, host_uuid: str) -> bool:
        """Whether this host falls to this server among the members there are (highest random weight)."""
        if self._wanted_of != self.members:
            self._wanted, self._wanted_of = {}, self.members
        found = self._wanted.get(host_uuid)
        if found is None:
            members = self.members or (self.name,)
            found = max(members, key=lambda member: _weight(member, host_uuid)) == self.name
            self._wanted[host_uuid] = found
        return found

    async def claim(self, host_uuids: tuple[str, ...], deadline: float) -> dict[str, int]:
        """Claim hosts; returns those that this server holds now, with their epochs. Raises nothing: {} if it cannot."""
        if self._session is None or not host_uuids:
            return {}
        session = self._session
        try:
            held = await self._pool.call(deadline, self._coordinator.claim, session, host_uuids)
        except LeaseLost:
            self._forget()
            return {}
        except (CoordinatorUnavailable, HoldfastError) as problem:
            log.warning("hosts could not be claimed: %s", problem)
            return {}
        if self._session is not session or not self.holds():
            return {}
        self.epochs.update(held)
        return held

    async def release(self, host_uuids: tuple[str, ...], deadline: float) -> None:
        """Give hosts back; this server stops acting on them before the coordinator hears of it."""
        for uuid in host_uuids:
            self.epochs.pop(uuid, None)
        if self._session is None or not host_uuids:
            return
        try:
            await self._pool.call(deadline, self._coordinator.release, self._session, host_uuids)
        except HoldfastError as problem:
            log.info("hosts were not released at the coordinator, their lease will end: %s", problem)

    async def leave(self, deadline: float) -> None:
        """End the session, so that another server can take over at once."""
        session, self._session, self.epochs = self._session, None, {}
        if session is None:
            return
        try:
            await self._pool.call(deadline, self._coordinator.leave, session)
        except (HoldfastError, asyncio.CancelledError) as problem:
            log.info("the session was not closed at the coordinator, its lease will end: %s", problem)


def _weight(member: str, host_uuid: str) -> bytes:
    return hashlib.blake2b(f"{member}\0{host_uuid}".encode(), digest_size=8).digest()
