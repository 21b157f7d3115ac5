"""Links to the other management servers, to hear of the hosts whose agents are connected there, and to ask them."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.errors import Unreachable
from holdfast.model.views import LifeGrant
from holdfast.protocol import SERVER_NAME, VERSION
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol.questions import Asked

from holdfast_agents_port.exchange import Exchange

if TYPE_CHECKING:
    from holdfast_agents_port.port import AgentsPort

log = logging.getLogger("holdfast.agents.peers")

_PATIENCE = 3.5
_FOLLOW_DELAY = 0.05
_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE = 10.0


class PeerLine(asyncio.Protocol):
    """One connection to another server."""

    def __init__(self, port: "AgentsPort", server: str) -> None:
        self._port = port
        self._server = server
        self._frames = f.FrameReader(f.MESSAGE_LIMIT)
        self._exchange = Exchange(f"server {server}")
        self._transport: asyncio.Transport | None = None
        self.welcome = False
        self.heard_at = time.monotonic()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce this server."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(m.PeerHello((VERSION,), self._port.name))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other server's hosts cannot be reached any more."""
        self._transport = None
        self._port.switchboard.line_lost(self)
        self._exchange.closed("the link to that server ended")
        if not self.ended.done():
            self.ended.set_result(str(exc or "it closed the connection"))

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()

    def follow(self, hosts: tuple[str, ...]) -> None:
        """Say which hosts this server wants to hear of."""
        if self.welcome:
            self._say(m.Follow(hosts))

    async def ask_host(self, host_uuid: str, asked: Asked, deadline: float) -> Any:
        """Ask a host's agent through the other server."""
        if self._transport is None:
            raise Unreachable(f"there is no link to server {self._server}")
        return await self._exchange.ask(
            asked, deadline, lambda question: self._say(m.HostQuestion(host_uuid, question))
        )

    def grant_life(self, grant: LifeGrant) -> None:
        """Let the other server tell the host's agent."""
        if self.welcome and self._transport is not None:
            self._transport.write(f.host_grant_frame(grant))

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self.heard_at = time.monotonic()
        try:
            for kind, body in self._frames.feed(data):
                if kind is f.FrameKind.HOST_BEAT:
                    host, sequence, armed, adrift = f.read_host_beat(body)
                    self._port.switchboard.remote_beat(self, str(uuid.UUID(bytes=host)), sequence, armed, adrift)
                elif kind is f.FrameKind.MESSAGE:
                    self._hear(m.decode(body))
        except f.ProtocolError as problem:
            log.warning("server %s does not keep to the protocol: %s", self._server, problem)
            self.close()

    def _hear(self, message: m.Message) -> None:
        board = self._port.switchboard
        match message:
            case m.PeerWelcome():
                self.welcome = True
                log.info("linked with server %s", self._server)
                self.follow(tuple(board.listeners))
            case m.HostHere():
                board.remote_here(self, message)
            case m.HostGone():
                board.remote_gone(self, message.host_uuid)
            case m.HostVm():
                board.remote_vm(self, message.host_uuid, message.report)
            case m.Answer():
                self._exchange.answered(message)
            case m.Goodbye():
                log.warning("server %s does not take this one: %s", self._server, message.reason)
                self.close()
            case _:
                raise f.ProtocolError(f"{type(message).__name__} is not taken from another server")

    def _say(self, message: m.Message) -> None:
        if self._transport is not None:
            self._transport.write(m.encode(message))


class Peers:
    """Keeps a link to each other server. `find` reads name → (address, port) of those there are; it blocks."""

    def __init__(self, port: "AgentsPort", find: Callable[[], dict[str, tuple[str, int]]]) -> None:
        self._port = port
        self._find = find
        self._tasks: dict[str, tuple[tuple[str, int], asyncio.Task[None]]] = {}
        self._lines: dict[str, PeerLine] = {}
        self._follow_soon: asyncio.TimerHandle | None = None
        port.switchboard.on_listeners_changed = self._listeners_changed

    async def refresh(self) -> None:
        """Link with servers that appeared, unlink from those that are gone."""
        found = await self._port.call(self._find)
        for server in [name for name, (address, _) in self._tasks.items() if found.get(name) != address]:
            self._tasks.pop(server)[1].cancel()
        for server, address in found.items():
            if server not in self._tasks:
                task = asyncio.get_running_loop().create_task(self._keep(server, *address))
                self._tasks[server] = (address, task)

    async def stop(self) -> None:
        """End all links."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._follow_soon is not None:
            self._follow_soon.cancel()

    async def _keep(self, server: str, address: str, port: int) -> None:
        pause, told = 0.2, ""
        while True:
            began = time.monotonic()
            try:
                why = await self._link(server, address, port)
            except (OSError, TimeoutError) as problem:
                why = str(problem) or type(problem).__name__
            if why != told:
                log.warning("no link to server %s at %s:%d: %s", server, address, port, why)
                told = why
            pause = 0.2 if time.monotonic() - began > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _link(self, server: str, address: str, port: int) -> str:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: PeerLine(self._port, server), address, port,
                ssl=self._port.identity.dialing, server_hostname=SERVER_NAME,
            )  # fmt: skip
        self._lines[server] = line
        try:
            while not line.ended.done():
                await asyncio.wait({line.ended}, timeout=1.0)
                if time.monotonic() - line.heard_at > _PATIENCE:
                    return f"nothing was heard for {_PATIENCE:g} s"
            return str(line.ended.result())
        finally:
            line.close()
            self._lines.pop(server, None)

    def _listeners_changed(self) -> None:
        if self._follow_soon is None and self._lines:
            self._follow_soon = asyncio.get_running_loop().call_later(_FOLLOW_DELAY, self._follow)

    def _follow(self) -> None:
        self._follow_soon = None
        hosts = tuple(self._port.switchboard.listeners)
        for line in self._lines.values():
            line.follow(hosts)
