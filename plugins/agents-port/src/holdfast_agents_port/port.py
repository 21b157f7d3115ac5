"""The agents' port: the listener, and what all of its connections share."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from holdfast.errors import HoldfastError
from holdfast.protocol.frames import heard_frame
from holdfast.protocol.messages import PleaseRenew

from holdfast_agents_port.connection import Connection
from holdfast_agents_port.peers import Peers
from holdfast_agents_port.registrar import Registrar
from holdfast_agents_port.switchboard import Switchboard
from holdfast_agents_port.tls import ServerIdentity

log = logging.getLogger("holdfast.agents")

P = ParamSpec("P")
T = TypeVar("T")

_REFRESH_SECONDS = 2.0
_DEAD_AFTER = 20.0
_COMPLAINT_SECONDS = 60.0
_MOST_STRANGERS = 256
_MOST_COMPLAINTS = 1000
_RENEW_SERVER_SECONDS = 86400.0 * 30
_BACKLOG = 4096


class AgentsPort:
    """Event loop only, but for what runs in `call`."""

    def __init__(
        self, name: str, registrar: Registrar, identity: ServerIdentity, find_peers: Callable[[], Any]
    ) -> None:
        self.name = name
        self.registrar = registrar
        self.identity = identity
        self.switchboard = Switchboard()
        self.connections: set[Connection] = set()
        self.strangers: set[Connection] = set()
        self.peers = Peers(self, find_peers)
        self.beat_seconds: Callable[[], float] = lambda: 1.0
        self._calls = ThreadPoolExecutor(4, thread_name_prefix="holdfast-agents")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._complaints: dict[str, tuple[str, float]] = {}
        self._renewal_sent: dict[str, float] = {}
        self._identity_at = time.monotonic()
        self.refresh_now = asyncio.Event()

    async def listen(self, address: str, port: int) -> int:
        """Begin; returns the port. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), address or None, port, backlog=_BACKLOG, reuse_address=True
        )
        self.spawn(self._care())
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End all connections; agents go elsewhere at once."""
        if self._server is not None:
            self._server.close()
        await self.peers.stop()
        for connection in list(self.connections):
            connection.leave("this management server stops")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(20):
            if not self.connections:
                break
            await asyncio.sleep(0.05)
        for connection in list(self.connections):
            connection.abort()
        self._calls.shutdown(wait=False, cancel_futures=True)

    def patience(self) -> float:
        """Seconds without a word after which an agent goes elsewhere."""
        return max(3.5, 3.5 * self.beat_seconds())

    def take_stranger(self, connection: Connection) -> bool:
        """Whether one more host without a certificate may be connected."""
        if len(self.strangers) >= _MOST_STRANGERS:
            return False
        self.strangers.add(connection)
        return True

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that blocks on the store."""
        return await asyncio.get_running_loop().run_in_executor(self._calls, lambda: function(*args, **kwargs))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something on its own; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the agents' port failed", exc_info=task.exception())

    def complain(self, about: str, text: str) -> None:
        """Log a refusal, but not again and again: whoever is refused tries again every few seconds."""
        now = time.monotonic()
        before = self._complaints.get(about)
        if before is not None and before[0] == text and now - before[1] < _COMPLAINT_SECONDS:
            return
        if len(self._complaints) >= _MOST_COMPLAINTS:
            self._complaints.clear()
        self._complaints[about] = (text, now)
        log.warning("%s", text)

    # --- what happens by itself -----------------------------------------------------------------------------------

    async def _care(self) -> None:
        """Honour changed rows, look for servers that came and went, cut off the dead."""
        while True:
            self.refresh_now.clear()
            try:
                await self.call(self.registrar.refresh)
                self._honour()
                await self.peers.refresh()
            except HoldfastError as problem:
                log.warning("hosts and certificates cannot be read; going on with what is known: %s", problem)
            except Exception:
                log.exception("the agents' port stumbled; going on")
            if time.monotonic() - self._identity_at > _RENEW_SERVER_SECONDS:
                await self.call(self.identity.renew)
                self._identity_at = time.monotonic()
            await self._pause(_REFRESH_SECONDS)

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.refresh_now.is_set():
            self._keep_alive()
            try:
                async with asyncio.timeout(min(1.0, left)):
                    await self.refresh_now.wait()
            except TimeoutError:
                continue

    def _keep_alive(self) -> None:
        """Other servers hear that this one lives; agents that were silent for long are cut off."""
        now = time.monotonic()
        for connection in list(self.connections):
            if connection.server:
                connection.send(heard_frame(0))
            elif connection.host is not None and now - connection.heard_at > _DEAD_AFTER:
                log.info("the agent at %s was silent for %g s: cut off", connection.address, _DEAD_AFTER)
                connection.abort()

    def _honour(self) -> None:
        asked = self.registrar.renewals_asked()
        for connection in list(self.connections):
            if connection.host is None:
                continue
            why_not = self.registrar.objection(connection.host_uuid, connection.serial)
            if why_not:
                connection.refuse(why_not)
            elif asked.get(connection.host_uuid, 0.0) > self._renewal_sent.get(connection.host_uuid, 0.0):
                self._renewal_sent[connection.host_uuid] = asked[connection.host_uuid]
                connection.say(PleaseRenew())

    def clash(self, host_uuid: str, text: str) -> None:
        """Two machines say that they are the same host."""
        self.spawn(self._alert_of_copy(host_uuid, text))

    async def _alert_of_copy(self, host_uuid: str, text: str) -> None:
        try:
            await self.call(self.registrar.alert_of_copy, host_uuid, text)
        except HoldfastError as problem:
            log.warning("an alert was not stored: %s", problem)

    def revoked(self, host_uuid: str, why: str) -> None:
        """End connections of a host whose certificates are good no more."""
        for connection in list(self.connections):
            if connection.host is not None and connection.host_uuid == host_uuid:
                connection.refuse(why)
