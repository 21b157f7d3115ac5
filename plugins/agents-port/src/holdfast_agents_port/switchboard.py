"""Which host is connected where, and who wants to hear of it. Event loop only.

A host's agent is connected to one server, perhaps not to the one that owns the host. That one then hears of it, and
asks it, through a link between the two servers: ownership never follows a connection.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from holdfast.errors import Unreachable
from holdfast.hooks.hypervisor import HostListener
from holdfast.model.views import Beat, LifeGrant, VmReport
from holdfast.protocol.messages import HostHere
from holdfast.protocol.questions import Asked

log = logging.getLogger("holdfast.agents")

BEATING = 2.5
"""Seconds since its last beat for which an agent is surely alive."""


class Line(Protocol):
    """A way to a host's agent: its own connection, or the link to the server that has it."""

    async def ask_host(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """The agent's answer; raises what the agent met. `Unreachable`: the outcome is not known."""

    def grant_life(self, grant: LifeGrant) -> None:
        """Pass it on, if that can be done at once."""


class LocalLine(Line, Protocol):
    """A connection that ends here."""

    def quiet_for(self) -> float:
        """Seconds since its last beat."""

    def abort(self) -> None:
        """End it at once."""


class Follower(Protocol):
    """Another server, as this one tells it of hosts."""

    def here(self, host: HostHere) -> None:
        """An agent connected here."""

    def gone(self, host_uuid: str) -> None:
        """It is connected here no more."""

    def beat(self, host_uuid: str, sequence: int, armed: bool, adrift: bool) -> None:
        """It beat."""

    def vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state on it."""


class Switchboard:
    """All hosts that this server can reach."""

    def __init__(self) -> None:
        self.local: dict[str, tuple[LocalLine, HostHere]] = {}
        self.remote: dict[str, dict[Line, HostHere]] = {}
        """Host uuid → each server that says it has the agent; the last one is believed."""
        self._beat_at: dict[str, float] = {}
        self.listeners: dict[str, HostListener] = {}
        self.followers: dict[Follower, frozenset[str]] = {}
        self.on_listeners_changed: Callable[[], None] = lambda: None

    # --- listeners: the manager of this server --------------------------------------------------------------------

    def attach(self, host_uuid: str, listener: HostListener) -> None:
        """Tell `listener` of this host from now on; at once, if it is connected."""
        self.listeners[host_uuid] = listener
        self.on_listeners_changed()
        known = self._way(host_uuid)
        if known is not None:
            self._tell_connected(known[1])

    def _way(self, host_uuid: str) -> tuple[Line, HostHere] | None:
        here = self.local.get(host_uuid)
        if here is not None:
            return here
        elsewhere = self.remote.get(host_uuid)
        return next(reversed(elsewhere.items())) if elsewhere else None

    def detach(self, host_uuid: str) -> None:
        """Tell nobody of it any more."""
        if self.listeners.pop(host_uuid, None) is not None:
            self.on_listeners_changed()

    async def ask(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """The answer of the host's agent, wherever it is connected."""
        known = self._way(host_uuid)
        if known is None:
            raise Unreachable("the host's agent is not connected to any management server that is known here")
        return await known[0].ask_host(host_uuid, asked, deadline)

    def grant_life(self, grant: LifeGrant) -> None:
        """Pass the grant of this server, the host's owner, on to its agent, wherever it is connected."""
        known = self._way(grant.host_uuid)
        if known is not None:
            known[0].grant_life(grant)

    # --- agents that are connected here ---------------------------------------------------------------------------

    def arrived(self, line: LocalLine, host: HostHere) -> None:
        """An agent connected here, or says anew how large its host is."""
        self.local[host.host_uuid] = (line, host)
        for follower in self.followers:
            follower.here(host)
        self._tell_connected(host)

    def left(self, line: Line, host_uuid: str) -> None:
        """Its connection ended. Another one may have taken its place before."""
        known = self.local.get(host_uuid)
        if known is None or known[0] is not line:
            return
        del self.local[host_uuid]
        for follower in self.followers:
            follower.gone(host_uuid)
        elsewhere = self._way(host_uuid)
        if elsewhere is not None:
            self._tell_connected(elsewhere[1])

    def beat(self, host: HostHere, sequence: int, armed: bool, adrift: bool) -> None:
        """An agent that is connected here beat."""
        uuid = host.host_uuid
        listener = self.listeners.get(uuid)
        if listener is not None:
            listener.on_beat(Beat(uuid, host.boot_id, sequence, armed, adrift))
        if self.followers:
            for follower, followed in self.followers.items():
                if uuid in followed:
                    follower.beat(uuid, sequence, armed, adrift)

    def vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state on a host that is connected here."""
        listener = self.listeners.get(host_uuid)
        if listener is not None:
            listener.on_vm(host_uuid, report)
        for follower, followed in self.followers.items():
            if host_uuid in followed:
                follower.vm(host_uuid, report)

    # --- other servers --------------------------------------------------------------------------------------------

    def follow(self, follower: Follower, hosts: frozenset[str]) -> None:
        """Another server wants to hear of exactly these hosts; a new one is told of all that are connected here."""
        is_new = follower not in self.followers
        self.followers[follower] = hosts
        if is_new:
            for _, host in self.local.values():
                follower.here(host)

    def unfollow(self, follower: Follower) -> None:
        """Another server is gone."""
        self.followers.pop(follower, None)

    def remote_here(self, line: Line, host: HostHere) -> None:
        """Another server has the agent of a host."""
        lines = self.remote.setdefault(host.host_uuid, {})
        lines.pop(line, None)
        lines[line] = host
        self._beat_at[host.host_uuid] = time.monotonic()
        if host.host_uuid in self.local:
            self._leave_dead_connection(host.host_uuid)
        else:
            self._tell_connected(host)

    def remote_gone(self, line: Line, host_uuid: str) -> None:
        """It has it no more."""
        lines = self.remote.get(host_uuid, {})
        was_believed = next(reversed(lines), None) is line
        lines.pop(line, None)
        if not lines:
            self.remote.pop(host_uuid, None)
        elif was_believed and host_uuid not in self.local:
            self._tell_connected(next(reversed(lines.values())))

    def remote_beat(self, line: Line, host_uuid: str, sequence: int, armed: bool, adrift: bool) -> None:
        """A beat through another server."""
        lines, listener = self.remote.get(host_uuid, {}), self.listeners.get(host_uuid)
        if line not in lines or listener is None or self._is_heard_here(host_uuid):
            return
        if next(reversed(lines)) is not line:
            # A server that has the host no more may not know it yet: believe the one through which it beats.
            if time.monotonic() - self._beat_at.get(host_uuid, 0.0) < BEATING:
                return
            self.remote_here(line, lines[line])
        self._beat_at[host_uuid] = time.monotonic()
        self._leave_dead_connection(host_uuid)
        listener.on_beat(Beat(host_uuid, lines[line].boot_id, sequence, armed, adrift))

    def remote_grant(self, grant: LifeGrant) -> None:
        """The owner is another server: pass its grant on, if the agent is connected here."""
        here = self.local.get(grant.host_uuid)
        if here is not None:
            here[0].grant_life(grant)

    def remote_vm(self, line: Line, host_uuid: str, report: VmReport) -> None:
        """A VM change through another server."""
        listener = self.listeners.get(host_uuid)
        if listener is not None and line in self.remote.get(host_uuid, {}):
            listener.on_vm(host_uuid, report)

    def line_lost(self, line: Line) -> None:
        """The link to another server is gone, and with it the way to its hosts."""
        for host_uuid in [uuid for uuid, lines in self.remote.items() if line in lines]:
            self.remote_gone(line, host_uuid)

    def _is_heard_here(self, host_uuid: str) -> bool:
        here = self.local.get(host_uuid)
        return here is not None and here[0].quiet_for() < BEATING

    def _leave_dead_connection(self, host_uuid: str) -> None:
        """A host that is heard elsewhere, and not here any more, has left: its path may have been cut silently."""
        here = self.local.get(host_uuid)
        if here is not None and here[0].quiet_for() >= BEATING:
            here[0].abort()
            self.left(here[0], host_uuid)

    def _tell_connected(self, host: HostHere) -> None:
        listener = self.listeners.get(host.host_uuid)
        if listener is not None:
            listener.on_connected(host.host_uuid, host.boot_id, host.cpus, host.speed, host.ram)
