"""Which host is connected where, and who wants to hear of it. Event loop only.

A host's agent is connected to one server, perhaps not to the one that owns the host. That one then hears of it, and
asks it, through a link between the two servers: ownership never follows a connection.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from holdfast.errors import Unreachable
from holdfast.hooks.hypervisor import HostListener
from holdfast.model.views import Beat, VmReport
from holdfast.protocol.messages import HostHere
from holdfast.protocol.questions import Asked

log = logging.getLogger("holdfast.agents")


class Line(Protocol):
    """A way to a host's agent: its own connection, or the link to the server that has it."""

    async def ask_host(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """The agent's answer; raises what the agent met. `Unreachable`: the outcome is not known."""


class Follower(Protocol):
    """Another server, as this one tells it of hosts."""

    def here(self, host: HostHere) -> None:
        """An agent connected here."""

    def gone(self, host_uuid: str) -> None:
        """It is connected here no more."""

    def beat(self, host_uuid: str, sequence: int, armed: bool) -> None:
        """It beat."""

    def vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state on it."""


class Switchboard:
    """All hosts that this server can reach."""

    def __init__(self) -> None:
        self.local: dict[str, tuple[Line, HostHere]] = {}
        self.remote: dict[str, tuple[Line, HostHere]] = {}
        self.listeners: dict[str, HostListener] = {}
        self.followers: dict[Follower, frozenset[str]] = {}
        self.on_listeners_changed: Callable[[], None] = lambda: None

    # --- listeners: the manager of this server --------------------------------------------------------------------

    def attach(self, host_uuid: str, listener: HostListener) -> None:
        """Tell `listener` of this host from now on; at once, if it is connected."""
        self.listeners[host_uuid] = listener
        self.on_listeners_changed()
        known = self.local.get(host_uuid) or self.remote.get(host_uuid)
        if known is not None:
            self._tell_connected(known[1])

    def detach(self, host_uuid: str) -> None:
        """Tell nobody of it any more."""
        if self.listeners.pop(host_uuid, None) is not None:
            self.on_listeners_changed()

    async def ask(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """The answer of the host's agent, wherever it is connected."""
        known = self.local.get(host_uuid) or self.remote.get(host_uuid)
        if known is None:
            raise Unreachable("the host's agent is not connected to any management server that is known here")
        return await known[0].ask_host(host_uuid, asked, deadline)

    # --- agents that are connected here ---------------------------------------------------------------------------

    def arrived(self, line: Line, host: HostHere) -> None:
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
        elsewhere = self.remote.get(host_uuid)
        if elsewhere is not None:
            self._tell_connected(elsewhere[1])

    def beat(self, host: HostHere, sequence: int, armed: bool) -> None:
        """An agent that is connected here beat."""
        uuid = host.host_uuid
        listener = self.listeners.get(uuid)
        if listener is not None:
            listener.on_beat(Beat(uuid, host.boot_id, sequence, armed))
        if self.followers:
            for follower, followed in self.followers.items():
                if uuid in followed:
                    follower.beat(uuid, sequence, armed)

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
        self.remote[host.host_uuid] = (line, host)
        if host.host_uuid not in self.local:
            self._tell_connected(host)

    def remote_gone(self, line: Line, host_uuid: str) -> None:
        """It has it no more."""
        known = self.remote.get(host_uuid)
        if known is not None and known[0] is line:
            del self.remote[host_uuid]

    def remote_beat(self, line: Line, host_uuid: str, sequence: int, armed: bool) -> None:
        """A beat through another server."""
        known, listener = self.remote.get(host_uuid), self.listeners.get(host_uuid)
        if known is not None and known[0] is line and listener is not None and host_uuid not in self.local:
            listener.on_beat(Beat(host_uuid, known[1].boot_id, sequence, armed))

    def remote_vm(self, line: Line, host_uuid: str, report: VmReport) -> None:
        """A VM change through another server."""
        known, listener = self.remote.get(host_uuid), self.listeners.get(host_uuid)
        if known is not None and known[0] is line and listener is not None:
            listener.on_vm(host_uuid, report)

    def line_lost(self, line: Line) -> None:
        """The link to another server is gone, and with it the way to its hosts."""
        self.remote = {uuid: known for uuid, known in self.remote.items() if known[0] is not line}

    def _tell_connected(self, host: HostHere) -> None:
        listener = self.listeners.get(host.host_uuid)
        if listener is not None:
            listener.on_connected(host.host_uuid, host.boot_id, host.cpus, host.speed, host.ram)
