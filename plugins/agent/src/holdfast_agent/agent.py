"""The agent: always connected to one of the servers, or on its way to one."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from importlib.metadata import version

from holdfast.errors import HoldfastError
from holdfast.model.certificates import RENEWED_AFTER
from holdfast.model.views import Beat, LifeGrant, VmReport
from holdfast.protocol import SERVER_NAME, VERSION
from holdfast.protocol import messages as m

from holdfast_agent.addresses import read_address
from holdfast_agent.certificates import new_request
from holdfast_agent.identity import Identity, IdentityStore
from holdfast_agent.ledger import Ledger
from holdfast_agent.line import WELCOME_SECONDS, Line, words_of
from holdfast_agent.machine import Size, boot_id, own_size
from holdfast_agent.steward import GONE, Steward
from holdfast_agent.storage.lease import uptime
from holdfast_agent.storage.sent_beats import SentBeats
from holdfast_agent.storage.watch import StorageWatch

log = logging.getLogger("holdfast.agent")

_CONNECT_SECONDS = 2.0
_HANDSHAKE_SECONDS = 4.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
_LONGEST_RETRY = 5.0
_LOOK_AT_CERTIFICATE = 60.0
_CROWD = 0.4
"""Seconds over which the agents of a server that just died spread themselves."""


class Agent:
    """Event loop only, but for the `HostListener` methods, which drivers call from threads of theirs."""

    def __init__(
        self,
        identity: Identity,
        store: IdentityStore,
        hypervisor: str,
        steward: Steward,
        ledger: Ledger,
        watch: StorageWatch,
    ) -> None:
        self._identity = identity
        self._store = store
        self._hypervisor = hypervisor
        self._steward = steward
        self._ledger = ledger
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._boot_id = boot_id()
        self._size = own_size()
        self._sequence = time.monotonic_ns() // 1_000_000
        """Higher at each start of the agent, so that a beat of an earlier one is never newer."""
        self._sent = SentBeats()
        self._newest_owner = 0
        self._line: Line | None = None
        self._new_key = ""
        self._told = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_connected_to: Callable[[str], None] = lambda server: None

    # --- HostListener: what the hypervisor driver says ---------------------------------------------------------------

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        """The driver knows how large the host is."""
        self._loop.call_soon_threadsafe(self._sized, Size(cpus, speed, ram))

    def on_beat(self, beat: Beat) -> None:
        """The agent beats by itself."""

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state."""
        if report.state in GONE:
            self._ledger.gone(report.vm_uuid, report.run_epoch)
        self._loop.call_soon_threadsafe(self._vm_changed, report)

    def _sized(self, size: Size) -> None:
        if size != self._size and min(size.cpus, size.ram) > 0:
            self._size = size
            if self._line is not None:
                self._line.sized(size)

    def _vm_changed(self, report: VmReport) -> None:
        if self._line is not None:
            self._line.vm_changed(report)

    # --- connections ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Raises `ConfigurationError` if this host can never connect as it is."""
        servers = [read_address(text) for text in self._identity.servers]
        random.shuffle(servers)
        pause = _FIRST_PAUSE
        care = self._loop.create_task(self._care_for_certificate())
        try:
            while True:
                good = False
                for address, port in list(servers):
                    good = await self._stay_with(address, port)
                    if good:
                        servers.append(servers.pop(0))  # it is gone: the others first
                        break
                    servers.append(servers.pop(0))
                if good:
                    pause = _FIRST_PAUSE
                    await asyncio.sleep(random.uniform(0.0, _CROWD))  # noqa: S311 - jitter
                else:
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            care.cancel()
            if self._line is not None:
                self._line.close("the agent stops")

    async def _stay_with(self, address: str, port: int) -> bool:
        """Connect, and return once that is over; True if the server took this host."""
        where = f"{address}:{port}"
        try:
            context = await asyncio.to_thread(self._store.context)
            async with asyncio.timeout(_CONNECT_SECONDS):
                transport, _ = await self._loop.create_connection(asyncio.Protocol, address, port)
            # Where very many agents come at once, the server needs time for each: to give up early makes it worse.
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                line = self._new_line()
                secure = await self._loop.start_tls(transport, line, context, server_hostname=SERVER_NAME)
                assert secure is not None
                line.connection_made(secure)
        except (OSError, TimeoutError) as problem:
            self._tell(f"server {where} cannot be reached: {words_of(problem)}")
            return False
        self._line = line
        try:
            await line.first_word(WELCOME_SECONDS)
            if line.welcome is None:
                line.close("the server did not welcome this host in time")
                self._tell(f"server {where}: {await line.ended}")
                await asyncio.sleep(min(line.retry_seconds, _LONGEST_RETRY) * random.uniform(0.5, 1.0))  # noqa: S311
                return False
            line.sized(self._size)  # the driver may have said it since the greeting was written
            self._tell(f"connected to {line.welcome.server} at {where}", good=True)
            self.on_connected_to(line.welcome.server)
            why = await line.ended
            self._tell(f"the connection to {where} ended: {why}")
            return True
        finally:
            line.close("the agent goes elsewhere")
            self._line = None

    def _new_line(self) -> Line:
        hello = m.Hello(
            (VERSION,), self._identity.host_uuid, self._identity.name, self._boot_id, self._hypervisor,
            self._size.cpus, self._size.speed, self._size.ram, f"holdfast {version('holdfast')}",
        )  # fmt: skip
        return Line(hello, self._steward.answer, self._next_beat, self._on_message, self._on_grant)

    def _next_beat(self) -> tuple[int, bool, bool]:
        self._sequence += 1
        self._sent.sending(self._sequence, uptime())
        return self._sequence, self._watch.watchdog_armed(), self._watch.is_adrift()

    def _on_grant(self, grant: LifeGrant) -> None:
        """Heed it, unless it is of another boot, of an owner before the newest, or of a beat that was not this one's.

        Safety does not hang on the epoch: a grant counts from a beat that its owner heard while it was the owner.
        """
        newest = max(self._newest_owner, self._ledger.owner_epoch)
        if grant.boot_id != self._boot_id or grant.owner_epoch < newest:
            return
        self._newest_owner = grant.owner_epoch
        sent_at = self._sent.sent_at(grant.sequence)
        if sent_at is not None:
            self._watch.owner_granted(sent_at)

    def _tell(self, text: str, good: bool = False) -> None:
        """The same trouble, met every few seconds, is told once."""
        if text != self._told:
            log.log(logging.INFO if good else logging.WARNING, "%s", text)
            self._told = text

    # --- certificate ----------------------------------------------------------------------------------------------

    async def _care_for_certificate(self) -> None:
        while True:
            try:
                since, until = await asyncio.to_thread(self._store.validity)
                if time.time() > since + (until - since) * RENEWED_AFTER:
                    await self._ask_renewal()
            except HoldfastError as problem:
                log.error("%s", problem)
            await asyncio.sleep(_LOOK_AT_CERTIFICATE)

    async def _ask_renewal(self) -> None:
        line = self._line
        if line is not None and line.welcome is not None:
            try:
                request, self._new_key = await asyncio.to_thread(new_request, self._identity.name)
            except HoldfastError as problem:
                log.error("the certificate is not renewed yet: %s", problem)  # asked for again within a minute
            else:
                line.say(m.AskRenewal(request))

    def _on_message(self, line: Line, message: m.Message) -> None:
        work = self._take_certificate(message) if isinstance(message, m.Renewed) else self._ask_renewal()
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_certificate(self, message: m.Renewed) -> None:
        key, self._new_key = self._new_key, ""
        if key:
            await asyncio.to_thread(self._store.save_certificate, message.certificate, key, message.authority)
            log.info("the host's certificate was renewed; it is used from the next connection on")
