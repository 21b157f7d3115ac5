"""A host's storage lease and its watchdog: how a host that nobody can reach ends its own VMs."""

import math
from collections import deque
from typing import TYPE_CHECKING

from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.timing import Timer

if TYPE_CHECKING:
    from holdfast_simulator.world.host import SimHost

_REMEMBERED = 256
"""Beats that a grant may name."""


class HostLease:
    """The lease is held while a beat landed on any of the host's pools within `physics.lease`.

    When it lapses on all of them and the host runs a VM there, the watchdog is no longer fed and resets the host
    `physics.watchdog_time` later; a hung kernel feeds nothing either. Without such a VM nothing is reset (S11), and
    starts are refused until the lease is renewed. Messages sent before a lapse are void after it.

    An owner's grant keeps the host from being reset for `physics.lease` from when the beat that it names was sent; for
    starts and messages it does not count.
    """

    def __init__(self, host: "SimHost") -> None:
        self._host = host
        self._began = host.world.time.now()
        self._lapses = 0
        self._counted = -math.inf
        self._granted = -math.inf
        self._newest_owner = 0
        self._sent: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._hung_at = 0.0
        self._stop_timer: Timer | None = None
        self._bite_timer: Timer | None = None

    @property
    def armed(self) -> bool:
        """Whether the watchdog will reset the host when the lease lapses; what the agent's beats say."""
        physics = self._host.world.physics
        return self.kept and physics.self_fence == "reboot"

    @property
    def kept(self) -> bool:
        """Whether the host keeps a lease at all: it has pools, a watchdog, and host HA (S11)."""
        host = self._host
        return bool(host.pools) and host.has_watchdog and host.ha_on and host.world.physics.watchdog_armed

    def begin(self) -> None:
        """The host booted: the lease counts from now."""
        self._began = self._host.world.time.now()
        self._granted = -math.inf
        self._sent.clear()

    @property
    def adrift(self) -> bool:
        """Whether half of the lease is over without a beat: what the agent's beats say."""
        physics = self._host.world.physics
        return self.kept and self._host.world.time.now() - self.renewed_at() >= physics.lease / 2

    def sending(self, sequence: int) -> None:
        """The agent sends a beat that says adrift."""
        self._sent.append((sequence, self._host.world.time.now()))

    def grant(self, sequence: int, owner_epoch: int) -> None:
        """The agent has a grant for that beat."""
        sent_at = next((at for number, at in self._sent if number == sequence), -math.inf)
        if owner_epoch >= self._newest_owner:
            self._newest_owner = owner_epoch
            self._granted = max(self._granted, sent_at)
            self.note()

    def renewed_at(self) -> float:
        """When a beat renewed it last."""
        host, newest = self._host, self._began
        for pool in host.pools:
            newest = max(newest, host.world.pool(pool).last_beat(host.uuid))
        return newest

    def lapsed(self) -> bool:
        """Whether it does not hold now."""
        now = self._host.world.time.now()
        return self.kept and now - self.renewed_at() > self._host.world.physics.lease

    def lapses(self) -> int:
        """How often it has lapsed since the world began."""
        return self._lapses + (self.lapsed() and self.renewed_at() != self._counted)

    def note(self) -> None:
        """Circumstances are about to be judged anew: remember a lapse, and set the timers that depend on it."""
        if self.lapsed() and self.renewed_at() != self._counted:
            self._lapses += 1
            self._counted = self.renewed_at()
        for timer in (self._stop_timer, self._bite_timer):
            if timer is not None:
                timer.cancel()
        self._stop_timer = self._bite_timer = None
        host = self._host
        self._hung_at = (self._hung_at or host.world.time.now()) if host.condition == "hung" else 0.0
        if self.kept and host.condition in ("up", "hung") and not any(host.beats_on(pool) for pool in host.pools):
            self._set_timers()

    def _set_timers(self) -> None:
        host, physics = self._host, self._host.world.physics
        end = max(self.renewed_at(), self._granted) + physics.lease
        if physics.self_fence == "reboot":
            bite = min(end, self._hung_at) if self._hung_at else end
            self._bite_timer = host.world.time.call_at(bite + physics.watchdog_time, self._bite, host.boots)
        elif physics.self_fence == "stop":
            self._stop_timer = host.world.time.call_at(end, self._stop_guests, host.boots)

    def _endangered(self) -> bool:
        host = self._host
        return any(not guest.spec.pool or guest.spec.pool in host.pools for guest in host.book.live())

    def _bite(self, boot: int) -> None:
        host = self._host
        if host.boots == boot and host.powered and self._endangered():
            host.world.tell(What.SELF_FENCED, host=host.uuid, detail="watchdog")
            host.reset("watchdog")

    def _stop_guests(self, boot: int) -> None:
        host = self._host
        if host.boots != boot or host.condition != "up":
            return
        for guest in host.book.live():
            if not guest.spec.pool or guest.spec.pool in host.pools:
                del host.book.guests[guest.spec.uuid]
                host.drop_guest(guest, "storage lease lapsed")
