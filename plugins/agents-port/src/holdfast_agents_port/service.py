"""The service `agents`: the port that hosts' agents dial, and drivers that reach them for the manager beside it."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.notifier import Notice
from holdfast.hooks.service import ServiceContext
from holdfast.hooks.store import Query, Store
from holdfast.model import Configuration, ManagementServer
from holdfast.options import Option

from holdfast_agents_port.certificate_ends import CertificateEnds
from holdfast_agents_port.drivers import AgentHeartbeat, AgentHypervisor, Asking
from holdfast_agents_port.port import AgentsPort
from holdfast_agents_port.registrar import Registrar
from holdfast_agents_port.tls import ServerIdentity

log = logging.getLogger("holdfast.agents")

_NEWS_AT_MOST_EVERY = 0.5
_FIRST_LOOK_AT_ENDS = 10.0
_LOOK_AT_ENDS_EVERY = 300.0
_ANY = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_ELSEWHERE = ("192.0.2.1", 9)
"""An address for documentation: asking for the way there sends nothing, and tells this machine's own address."""


class AgentsService:
    """Leaves on the live board the drivers `agents.hypervisor` and `agents.heartbeat`, and its `agents.address`."""

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "address": Option(str, "", "the address to listen on; all of this machine's if empty"),
        "port": Option(int, 8250, "the port to listen on; 0 takes a free one", low=0, high=65535),
        "advertise": Option(
            str, "", "the address at which the other management servers reach this one; found out if empty"
        ),
        "certificate_days": Option(float, 90.0, "how long a host's certificate is good for", low=0.01, high=3650),
        "data_dir": Option(
            Path,
            Path(),
            "where a certificate stands while it is loaded; that of [server] if not given",
        ),
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._port: AgentsPort | None = None
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @hookimpl
    async def start(self, context: ServiceContext) -> None:
        """Make or read the authority, and listen."""
        store, loop = context.store, asyncio.get_running_loop()
        registrar = await asyncio.to_thread(Registrar, store, self._settings["certificate_days"])
        await asyncio.to_thread(registrar.refresh)
        folder = Path(self._settings["data_dir"]) / "agents"
        identity = await asyncio.to_thread(ServerIdentity, registrar.authority, context.name, folder)
        port = AgentsPort(context.name, registrar, identity, lambda: _peers(store, context.name))
        beat = await asyncio.to_thread(_beat_seconds, store)
        port.beat_seconds = lambda: beat
        self._port = port
        await self._listen(context, port)
        ends = CertificateEnds(store, registrar, context.name)
        self._tasks = [loop.create_task(self._hear(context, port)), loop.create_task(self._warn(context, ends))]
        asking = Asking(port.switchboard, loop)
        hypervisor: Hypervisor = AgentHypervisor(asking, port.switchboard)
        heartbeat: HeartbeatDriver = AgentHeartbeat(asking)
        context.live["agents.hypervisor"] = hypervisor
        context.live["agents.heartbeat"] = heartbeat
        context.live["agents.fingerprint"] = registrar.authority.fingerprint

    async def _hear(self, context: ServiceContext, port: AgentsPort) -> None:
        """News of certificates in this process are honoured at once, others' at the next look at the tables."""
        with context.bell.subscribe("certificates", "inventory") as heard:
            while True:
                await heard.wait()
                port.refresh_now.set()
                await asyncio.sleep(_NEWS_AT_MOST_EVERY)

    async def _warn(self, context: ServiceContext, ends: CertificateEnds) -> None:
        """Look for certificates that end, again and again; soon after a start, for that may be what it is about."""
        pause = _FIRST_LOOK_AT_ENDS
        while True:
            await asyncio.sleep(pause)
            pause = _LOOK_AT_ENDS_EVERY
            try:
                told = await asyncio.to_thread(ends.look)
            except HoldfastError as problem:
                log.info("certificates that end are looked for later: %s", problem)
                continue
            notify = context.live.get("manager.notify")
            if notify is None:
                continue
            for one in told:
                about = f"host {one.host.name}" if one.host else "the agents' certificate authority"
                uuid = one.host.uuid if one.host else ""
                notify(Notice("alert", one.alert, "WARN", about, one.text, time.time(), uuid))

    async def _listen(self, context: ServiceContext, port: AgentsPort) -> None:
        address, wanted = self._settings["address"], self._settings["port"]
        try:
            bound = await port.listen(address, wanted)
        except OSError as problem:
            raise ConfigurationError(
                f"the agents' port {address or '*'}:{wanted} cannot be had ({problem.strerror or problem}): end the "
                "program that listens there, or set agents.address and agents.port"
            ) from problem
        advertised = self._settings["advertise"] or (address if address not in _ANY else _own_address())
        context.live["agents.address"] = (advertised, bound)
        log.info("agents are awaited at %s:%d; other servers are told %s", address or "*", bound, advertised)

    @hookimpl
    async def wait(self) -> None:
        """Never returns by itself."""
        await self._ended.wait()

    @hookimpl
    async def stop(self) -> None:
        """Send the agents to another server."""
        for task in self._tasks:
            task.cancel()
        if self._port is not None:
            port, self._port = self._port, None
            await port.stop()


def _own_address() -> str:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _peers(store: Store, own: str) -> dict[str, tuple[str, int]]:
    rows = store.select(ManagementServer, Query(equal={"removed": None, "state": "Up"}))
    return {row.name: (row.service_ip, row.service_port) for row in rows if row.name != own and row.service_port > 0}


def _beat_seconds(store: Store) -> float:
    from holdfast.settings import Settings

    rows = store.select(Configuration, Query(equal={"name": "ping.interval"}))
    return Settings({row.name: row.value for row in rows}).number("ping.interval")
