"""One connection on the agents' port: a host that joins, a host's agent, or another management server."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.model.views import LifeGrant, VmReport
from holdfast.protocol import HOST_URI, SERVER_NAME, VERSION
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol.questions import Asked, failure

from holdfast_agents_port.exchange import Exchange
from holdfast_agents_port.switchboard import BEATING
from holdfast_agents_port.tls import SecureProtocol

if TYPE_CHECKING:
    from holdfast_agents_port.port import AgentsPort

log = logging.getLogger("holdfast.agents")

_INTRODUCTION_SECONDS = 10.0
_LARGEST_BACKLOG = 8 << 20
_RETRY_SECONDS = 5.0
_HEARD_EVERY = 2
"""Beats per answer: enough for an agent to notice within its patience that nobody hears it."""


class Connection(SecureProtocol):
    """What is known of the other side grows: a certificate or none, then a greeting."""

    def __init__(self, port: "AgentsPort") -> None:
        super().__init__(port.identity.listening)
        self._port = port
        self._frames = f.FrameReader()
        self._hear: Callable[[m.Message], None] = self._from_stranger
        self._exchange: Exchange | None = None
        self._goodbye = False
        self.serial = ""
        self.host_uuid = ""
        self.host: m.HostHere | None = None
        self.server = ""
        self.heard_at = time.monotonic()
        self._beats = 0

    # --- coming and going ----------------------------------------------------------------------------------------

    def secured(self) -> None:
        """Read the certificate, if there is one."""
        self._port.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(_INTRODUCTION_SECONDS, self._silent)
        certificate = self.certificate()
        if not certificate:
            if not self._port.take_stranger(self):
                self.refuse("too many hosts without a certificate are connected already; try again")
            return
        self.serial = f"{int(certificate['serialNumber'], 16):x}"
        for kind, name in certificate.get("subjectAltName", ()):
            if kind == "URI" and name.startswith(HOST_URI):
                self.host_uuid, self._hear = name.removeprefix(HOST_URI), self._from_host
                self._frames.limit = f.MESSAGE_LIMIT
            elif kind == "DNS" and name == SERVER_NAME:
                self._hear = self._from_server
                self._frames.limit = f.MESSAGE_LIMIT

    def unsecured(self, why: str) -> None:
        """Somebody who cannot prove who he is, or does not speak TLS at all."""
        self._port.complain(self.address, f"a connection from {self.address} was refused: {why}")

    def lost(self) -> None:
        """Forget it."""
        self._port.connections.discard(self)
        self._port.strangers.discard(self)
        if self._exchange is not None:
            self._exchange.closed("the connection to its agent ended")
        if self.host is not None:
            self._port.switchboard.left(self, self.host.host_uuid)
        if self.server:
            self._port.switchboard.unfollow(self)

    def refuse(self, why: str, retry_seconds: float = _RETRY_SECONDS) -> None:
        """Say why, and close."""
        if not self._goodbye:
            self._goodbye = True
            self._port.complain(f"{self.address} {self.host_uuid}", f"{self._who()} is refused: {why}")
            self.say(m.Goodbye(why, retry_seconds))
            self.close()

    def leave(self, why: str) -> None:
        """End a connection that was good."""
        self._goodbye = True
        self.say(m.Goodbye(why))
        self.close()

    def quiet_for(self) -> float:
        """Seconds since its last beat."""
        return time.monotonic() - self.heard_at

    def say(self, message: m.Message) -> None:
        """Send a message. Somebody who takes none is cut off, before he takes the memory of all."""
        if self.backlog() > _LARGEST_BACKLOG:
            self.abort()
            return
        self.send(m.encode(message))

    def is_leaving(self) -> bool:
        """Whether a goodbye was said."""
        return self._goodbye

    def _silent(self) -> None:
        self.refuse(f"nothing was said within {_INTRODUCTION_SECONDS:g} s")

    def _introduced(self) -> None:
        self._stop_timer()

    def _who(self) -> str:
        return (
            f"the agent of host {self.host_uuid} at {self.address}" if self.host_uuid else f"a host at {self.address}"
        )

    # --- what comes in --------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Take frames. Whoever breaks the protocol is cut off."""
        if self._goodbye:
            return
        try:
            for kind, body in self._frames.feed(data):
                if kind is f.FrameKind.BEAT:
                    self._beat(body)
                elif kind is f.FrameKind.MESSAGE:
                    self._hear(m.decode(body))
                elif kind is f.FrameKind.HOST_GRANT and self.server:
                    self._port.switchboard.remote_grant(f.read_host_grant(body))
                else:
                    raise f.ProtocolError(f"frames of kind {kind.name} are not taken here")
                if self.is_leaving():
                    return
        except f.ProtocolError as problem:
            self.refuse(str(problem))

    def _beat(self, body: bytes) -> None:
        sequence, armed, adrift = f.read_beat(body)
        if self.host is None:
            raise f.ProtocolError("a beat came before the host was welcome")
        self.heard_at = time.monotonic()
        self._beats += 1
        self._port.switchboard.beat(self.host, sequence, armed, adrift)
        if self._beats % _HEARD_EVERY == 1:
            self.send(f.heard_frame(sequence))

    # --- hosts without a certificate ------------------------------------------------------------------------------

    def _from_stranger(self, message: m.Message) -> None:
        if isinstance(message, m.AskAuthority):
            self.say(m.Authority(self._port.registrar.authority.certificate))
        elif isinstance(message, m.Join):
            self._introduced()
            self._port.spawn(self._join(message))
        elif isinstance(message, (m.Hello, m.PeerHello)):
            self.refuse("a certificate is needed here: let the host join with a token (holdfast agent join)")
        else:
            raise f.ProtocolError(f"{type(message).__name__} is not taken from a host without a certificate")

    async def _join(self, message: m.Join) -> None:
        registrar = self._port.registrar
        try:
            secret = message.secret.reveal()
            host, issued = await self._port.call(registrar.join, secret, message.request, self.address)
        except HoldfastError as problem:
            self.refuse(str(problem))
            return
        log.info("host %s joined from %s", host.name, self.address)
        self.say(m.Joined(host.uuid, host.name, issued.certificate, registrar.authority.certificate))
        self._port.revoked(host.uuid, "the host joined anew")
        self.close()

    # --- agents ---------------------------------------------------------------------------------------------------

    def _from_host(self, message: m.Message) -> None:
        if self.host is None:
            if not isinstance(message, m.Hello):
                raise f.ProtocolError(f"{type(message).__name__} came before Hello")
            self._hello(message)
        elif isinstance(message, m.VmChanged):
            self._port.switchboard.vm(self.host_uuid, message.report)
        elif isinstance(message, m.Answer):
            assert self._exchange is not None
            self._exchange.answered(message)
        elif isinstance(message, m.Sized):
            here = m.HostHere(self.host_uuid, self.host.boot_id, message.cpus, message.speed, message.ram)
            self.host = here
            self._port.switchboard.arrived(self, here)
        elif isinstance(message, m.AskRenewal):
            self._port.spawn(self._renew(message))
        else:
            raise f.ProtocolError(f"{type(message).__name__} is not taken from an agent")

    def _hello(self, hello: m.Hello) -> None:
        self._introduced()
        if VERSION not in hello.versions:
            known = ", ".join(str(version) for version in hello.versions)
            self.refuse(
                f"the agent speaks versions {known} of the protocol and this server {VERSION}: upgrade the older"
            )
            return
        if hello.host_uuid != self.host_uuid:
            self.refuse(
                f"the agent says it is host {hello.host_uuid}, its certificate is that of host {self.host_uuid}"
            )
            return
        if not hello.boot_id or len(hello.boot_id) > 64:
            self.refuse("the agent did not say a boot id")
            return
        if self._port.registrar.objection(self.host_uuid, self.serial):
            self._port.spawn(self._look_up(hello))
        else:
            self._admitted(hello)

    async def _look_up(self, hello: m.Hello) -> None:
        try:
            await self._port.call(self._port.registrar.admit, self.host_uuid, self.serial)
        except HoldfastError as problem:
            self.refuse(str(problem))
            return
        self._admitted(hello)

    def _admitted(self, hello: m.Hello) -> None:
        if self.host is not None or self._goodbye:
            return
        row = self._port.registrar.host(self.host_uuid)
        if row is None or row.hypervisor_type.lower() != hello.hypervisor.lower():
            expected = row.hypervisor_type if row else "nothing"
            self.refuse(f"the agent runs hypervisor {hello.hypervisor}, but the host was added with {expected}")
            return
        before = self._port.switchboard.local.get(self.host_uuid)
        if before is not None and not self._replaces(before[0], hello):
            return
        self._exchange = Exchange(f"host {row.name}")
        self.host = m.HostHere(self.host_uuid, hello.boot_id, hello.cpus, hello.speed, hello.ram)
        self.heard_at = time.monotonic()
        self.say(m.Welcome(VERSION, self._port.name, self._port.beat_seconds(), self._port.patience()))
        self._port.switchboard.arrived(self, self.host)
        log.info("the agent of host %s connected from %s (boot %s)", row.name, self.address, hello.boot_id)

    def _replaces(self, other: Any, hello: m.Hello) -> bool:
        """A newer connection of the same boot takes the place of the older; one of another boot only if that is silent.

        Two machines that beat at the same time with one certificate are a copied disk: neither must be mistaken for
        the other.
        """
        if not isinstance(other, Connection) or other.host is None:
            return True
        quiet_for = other.quiet_for()
        if other.host.boot_id != hello.boot_id and quiet_for < BEATING:
            text = (
                f"another machine (boot {other.host.boot_id}, at {other.address}) beats as this host: was its disk "
                "copied? Give each host a certificate of its own with `holdfast agent join`"
            )
            self._port.clash(self.host_uuid, text)
            self.refuse(text, 2.0)
            return False
        other.leave("the agent connected anew")
        return True

    async def _renew(self, message: m.AskRenewal) -> None:
        try:
            issued = await self._port.call(self._port.registrar.renew, self.host_uuid, self.serial, message.request)
        except Refused as problem:
            self.refuse(str(problem))
        except HoldfastError as problem:
            log.warning("%s: its certificate was not renewed yet: %s", self._who(), problem)
        else:
            self.say(m.Renewed(issued.certificate, self._port.registrar.authority.certificate))

    async def ask_host(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """Ask the agent."""
        if self._exchange is None or self._transport is None:
            raise Unreachable("the agent is not connected")
        return await self._exchange.ask(asked, deadline, self.say)

    def grant_life(self, grant: LifeGrant) -> None:
        """Tell the agent, unless it is of another boot than the one that beat."""
        if self.host is not None and self.host.boot_id == grant.boot_id:
            self.send(f.grant_frame(grant))

    # --- other servers --------------------------------------------------------------------------------------------

    def _from_server(self, message: m.Message) -> None:
        if isinstance(message, m.PeerHello) and not self.server:
            self._introduced()
            if VERSION not in message.versions:
                self.refuse(f"this server speaks version {VERSION} of the protocol")
                return
            self.server = message.server
            self.say(m.PeerWelcome(VERSION, self._port.name))
            self._port.switchboard.follow(self, frozenset())
        elif isinstance(message, m.Follow) and self.server:
            self._port.switchboard.follow(self, frozenset(message.hosts))
        elif isinstance(message, m.HostQuestion) and self.server:
            self._port.spawn(self._pass_on(message))
        else:
            raise f.ProtocolError(f"{type(message).__name__} is not taken from another server")

    async def _pass_on(self, message: m.HostQuestion) -> None:
        asked = message.question
        try:
            known = self._port.switchboard.local.get(message.host_uuid)
            if known is None or not isinstance(known[0], Connection):
                raise Unreachable(f"the host's agent is not connected to server {self._port.name} any more")
            answer = await known[0].relay(asked)
        except HoldfastError as problem:
            answer = failure(asked.number, problem)
        self.say(m.Answer(asked.number, answer.value, answer.error, answer.text))

    async def relay(self, asked: m.Question) -> m.Answer:
        """Ask the agent another server's question."""
        if self._exchange is None or self._transport is None:
            raise Unreachable("the agent is not connected")
        return await self._exchange.pass_on(asked.what, asked.body, asked.deadline, self.say)

    def here(self, host: m.HostHere) -> None:
        """Tell the other server."""
        self.say(host)

    def gone(self, host_uuid: str) -> None:
        """Tell the other server."""
        self.say(m.HostGone(host_uuid))

    def beat(self, host_uuid: str, sequence: int, armed: bool, adrift: bool) -> None:
        """Tell the other server."""
        self.send(f.host_beat_frame(uuid.UUID(host_uuid).bytes, sequence, armed, adrift))

    def vm(self, host_uuid: str, report: VmReport) -> None:
        """Tell the other server."""
        self.say(m.HostVm(host_uuid, report))
