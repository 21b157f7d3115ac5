"""Beats: when each host was last heard. The only code that runs for every beat, so it does next to nothing.

Callbacks come from drivers' threads; they write plain attributes, and the sweep on the event loop reads them.
"""

from collections import deque
from collections.abc import Callable
from math import inf

from holdfast.engine.incident import Heard, LeaseTerms
from holdfast.model.views import Beat, VmReport
from holdfast.runtime import Clock


class Link:
    """What one host's agent last said."""

    __slots__ = (
        "adrift_beat", "armed", "boot_id", "connected", "heard_at", "lease", "sequence", "size", "size_sent", "told_at",
        "told_silent", "up_sent_at",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.heard_at = now
        """Counted from taking over: a host that was never heard is silent only after the usual time (S2)."""
        self.boot_id = ""
        self.sequence = -1
        self.armed = False
        self.adrift_beat: Beat | None = None
        """The newest beat, if it said that no pool takes this host's heartbeats."""
        self.lease: LeaseTerms | None = None
        """What the agent confirmed of its storage lease; None before it confirmed its orders to this server."""
        self.connected = False
        self.size: tuple[int, int, int] | None = None
        """CPUs, MHz per CPU, bytes of memory."""
        self.size_sent: tuple[int, int, int] | None = None
        """The size that the store was given last: the row that is known here may be older. None: what the row says."""
        self.up_sent_at = -inf
        """When the store was last given that the host is Up: a row that was read before may still say otherwise."""
        self.told_at = now
        self.told_silent = False

    def sign_of_life(self) -> Heard:
        """What the engine is told. A watchdog counts only on terms that are known."""
        if self.lease is None:
            return Heard()
        return Heard(self.armed, self.lease)


class Links:
    """All links of this server; a `HostListener` for drivers."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self.links: dict[str, Link] = {}
        self.adrift: dict[str, None] = {}
        """Uuids of hosts whose newest beat said that none of their pools takes their heartbeats. A new connection alone
        says nothing of that; its first beat does."""
        self.connections: deque[tuple[str, str]] = deque()
        """(host uuid, boot id) of agents that connected, for the loop to reconcile."""
        self.heard_again: deque[str] = deque()
        """Hosts that beat although the loop was told that they are silent."""
        self.reports: deque[tuple[str, VmReport]] = deque()

    def open(self, host_uuid: str) -> Link:
        """Begin to listen to a host."""
        link = self.links[host_uuid] = Link(self._clock.monotonic())
        return link

    def close(self, host_uuid: str) -> None:
        """Stop listening."""
        self.links.pop(host_uuid, None)
        self.adrift.pop(host_uuid, None)

    def heard_within(self, host_uuid: str, seconds: float) -> bool:
        """Whether the host was really heard (not merely taken over) within so many seconds."""
        link = self.links.get(host_uuid)
        return link is not None and link.connected and self._clock.monotonic() - link.heard_at <= seconds

    # --- HostListener ------------------------------------------------------------------------------------------

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        """The agent connected."""
        link = self.links.get(host_uuid)
        if link is None:
            return
        link.boot_id, link.sequence, link.connected = boot_id, -1, True
        link.size, link.adrift_beat = (cpus, speed, ram), None
        link.heard_at = self._clock.monotonic()
        self.connections.append((host_uuid, boot_id))
        self.heard_again.append(host_uuid)
        self._wake()

    def on_beat(self, beat: Beat) -> None:
        """One sign of life. A beat of another boot, or an older one that was overtaken, is no news."""
        link = self.links.get(beat.host_uuid)
        if link is None or beat.boot_id != link.boot_id or beat.sequence <= link.sequence:
            return
        link.sequence = beat.sequence
        link.armed = beat.watchdog_armed
        link.heard_at = self._clock.monotonic()
        if beat.adrift or beat.host_uuid in self.adrift:  # also where the connection that said so is gone
            self._note_adrift(link, beat)
        if link.told_silent:
            self.heard_again.append(beat.host_uuid)
            self._wake()

    def _note_adrift(self, link: Link, beat: Beat) -> None:
        link.adrift_beat = beat if beat.adrift else None
        if beat.adrift:
            self.adrift[beat.host_uuid] = None
        else:
            self.adrift.pop(beat.host_uuid, None)

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state."""
        if host_uuid in self.links:
            self.reports.append((host_uuid, report))
            self._wake()
