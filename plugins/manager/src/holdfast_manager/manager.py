"""The running loop of one management server, put together from its parts.

The same code runs under real time with real drivers and under virtual time with simulated ones: everything it needs of
the world comes in through the constructor.
"""

import asyncio
import hashlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from holdfast.engine.dedicated import warnings as dedicated_warnings
from holdfast.errors import HoldfastError
from holdfast.hooks.coordinator import Coordinator
from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model import Alert, ManagementServer
from holdfast.runtime import Runtime
from holdfast.settings import contradictions

from holdfast_manager.comparison import Comparison
from holdfast_manager.connections import Connections
from holdfast_manager.desk import Desk, PluginHub
from holdfast_manager.explaining import explain_host
from holdfast_manager.fence_readiness import FenceReadiness
from holdfast_manager.heartbeat_rooms import HeartbeatRooms
from holdfast_manager.hosts import Hosts
from holdfast_manager.housekeeping import Housekeeping
from holdfast_manager.inventory import read_inventory
from holdfast_manager.jobs.runner import JobRunner
from holdfast_manager.life_grants import LifeGrants
from holdfast_manager.membership import Membership
from holdfast_manager.memory import Memory
from holdfast_manager.notices import Notices
from holdfast_manager.placing import Placing
from holdfast_manager.power_sync import PowerSync
from holdfast_manager.readiness_record import ReadinessRecord
from holdfast_manager.restarts import Restarts
from holdfast_manager.returning import Returning
from holdfast_manager.runs import Runs
from holdfast_manager.standing_orders import StandingOrders
from holdfast_manager.starting import Starting
from holdfast_manager.vm_explaining import VmExplainer

log = logging.getLogger("holdfast.manager")

_INVENTORY_SECONDS = 30.0
_SHARE_OF_TIME = 20.0
"""An inventory that takes long to read is read so much less often that it never takes more than 1/20 of the time."""
_LONGEST_PAUSE = 30.0
_LONG_READING = 0.05
_RECORD_SECONDS = 5.0
_PATIENCE_IN_LEASES = 6
"""For so long a server that cannot read the tables keeps its hosts: failing over the database takes a while."""


class Manager:
    """One management server's loop."""

    def __init__(
        self, name: str, runtime: Runtime, store: Store, coordinator: Coordinator, plugins: PluginHub, bell: Any = None
    ) -> None:
        self.name = name
        self.store = store
        self.address = ("127.0.0.1", 0)
        """Where other servers reach this one's agents' port; port 0 if it has none."""
        memory = Memory(store, runtime)
        membership = Membership(name, coordinator, runtime)
        self.desk = Desk(name, runtime, memory, membership, plugins)
        self.desk.msid = self.msid_of(name)
        self.notices = Notices(self.desk)
        memory.on_stored = self._stored
        self.placing = Placing(self.desk)
        self.runs = Runs(self.desk)
        self.starting = Starting(self.desk, self.runs)
        self.restarts = Restarts(self.desk, self.placing, self.runs, self.starting)
        self.starting.kick = self.restarts.kick
        self.hosts = Hosts(self.desk, self.restarts.kick, self.notices.host)
        self.grants = LifeGrants(self.desk, self.hosts)
        self.comparison = Comparison(self.desk, self.hosts, self.runs, self.restarts.kick)
        self.orders = StandingOrders(self.desk)
        self.connections = Connections(self.desk, self.hosts, self.comparison, self.orders)
        self.returning = Returning(self.desk, self.hosts)
        self.power = PowerSync(self.desk)
        self.readiness = FenceReadiness(self.desk, ReadinessRecord(self.desk, self.notices.host))
        self.heartbeats = HeartbeatRooms(self.desk)
        self.jobs = JobRunner(self)
        self.housekeeping = Housekeeping(self.desk)
        self._vm_explainer = VmExplainer(self)
        self._bell = bell
        self._loops: list[asyncio.Task[Any]] = []
        self._news = asyncio.Event()
        self._wake_links = asyncio.Event()
        self._ownership = asyncio.Event()
        self._reading = asyncio.Lock()
        self._away_since = math.inf
        """Since when the tables cannot be read."""
        self._runid = 0
        self._recorded_at = -_RECORD_SECONDS
        self._warned: set[str] = set()
        self._checked: tuple[object, object] = (None, None)
        self._contradictions: list[str] = []
        self._warned_of: tuple[object, str] = (None, "")
        self._shared_out: tuple[object, ...] = ()
        """Inventory, members and claims by which every host is where it belongs."""

    @staticmethod
    def msid_of(name: str) -> int:
        """The number by which tables name a management server: the same at each start."""
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big")

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Join, read the tables, begin to watch. Returns once the loops run; hosts are taken up as they are claimed."""
        loop = asyncio.get_running_loop()
        self.desk.links._wake = lambda: _from_any_thread(loop, self._wake_links)
        self.desk.ring_inventory = self._news.set
        self._runid = int(self.desk.clock.wall() * 1000)
        for work in (
            self._keep_lease,
            self._keep_ownership,
            self._keep_inventory,
            self._keep_links,
            self.hosts.run_timers,
            self.comparison.run,
            self.restarts.run,
            self.power.run,
            self.readiness.run,
            self.jobs.run,
            self.notices.run,
            self.housekeeping.run,
        ):
            self._loops.append(loop.create_task(self._for_ever(work), name=f"{self.name}:{work.__name__}"))
        if self._bell is not None:
            self._loops.append(loop.create_task(self._hear_bell()))

    async def wait(self) -> None:
        """Return when a loop ended, which none does by itself."""
        await asyncio.gather(*self._loops)

    async def stop(self) -> None:
        """Stop acting, then give everything back so that another server can take over at once. Idempotent."""
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        for uuid in list(self.hosts.actors):
            self.hosts.drop(uuid)
        await self.desk.stop_tasks()
        await self.desk.membership.leave(2.0)

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """A loop that fails is a bug; the server goes on with it, and says so, rather than without."""
        while True:
            try:
                await work()
            except HoldfastError as problem:
                log.warning("%s: %s", work.__name__, problem)
            except Exception:
                log.exception("%s failed and is begun again", work.__name__)
            await asyncio.sleep(0.5)

    def _stored(self, changes: Sequence[Change]) -> None:
        self.notices.stored(changes)
        self.restarts.room_news.stored(changes)

    # --- lease and ownership ------------------------------------------------------------------------------------

    async def _keep_lease(self) -> None:
        """Nothing else is done here: a slow store must not cost this server its lease."""
        membership = self.desk.membership
        while True:
            settings = self.desk.inventory.settings
            lease = settings.number("cluster.heartbeat.threshold") / 1000
            interval = settings.number("cluster.heartbeat.interval") / 1000
            if self.desk.clock.monotonic() - self._away_since > _PATIENCE_IN_LEASES * lease:
                # Another server may still reach the store; as long as this one keeps its hosts, nobody recovers them.
                await membership.leave(lease / 3)
            else:
                heard, renewals = self.grants.heard(), membership.renewals
                await membership.keep(lease, min(interval, lease / 3))
                if membership.renewals > renewals:
                    self.grants.give(heard)
            self._ownership.set()
            await asyncio.sleep(interval)

    async def _keep_ownership(self) -> None:
        while True:
            self._ownership.clear()
            if self.desk.membership.holds():
                await self._share_out()
            await self.hosts.own(self.desk.membership.epochs)
            await self._record_self()
            await self._ownership.wait()

    async def _share_out(self) -> None:
        """Claim the hosts that fall to this server; give back quiet ones that fall to another live one."""
        membership, inventory = self.desk.membership, self.desk.inventory
        known = self._shared_out
        if known and known[0] is inventory and known[1:] == (membership.members, membership.epochs):
            return
        everyone = inventory.hosts_by_uuid
        wanted = tuple(uuid for uuid in everyone if uuid not in membership.epochs and membership.wants(uuid))
        if wanted:
            await membership.claim(wanted, 2.0)
        surplus = tuple(
            uuid
            for uuid in membership.epochs
            if uuid not in everyone or (self._is_quiet(uuid) and not membership.wants(uuid))
        )
        if surplus:
            for uuid in surplus:
                self.hosts.drop(uuid)
            await membership.release(surplus, 2.0)
        if not wanted and not surplus and all(map(membership.wants, membership.epochs)):
            self._shared_out = (inventory, membership.members, dict(membership.epochs))

    def _is_quiet(self, uuid: str) -> bool:
        actor = self.hosts.actors.get(uuid)
        return actor is None or (actor.record.fence is None and not actor.record.silent)

    async def _record_self(self) -> None:
        """The row of this server in `mshost`, refreshed now and then; losing it changes nothing that matters."""
        now = self.desk.clock.monotonic()
        if now - self._recorded_at < _RECORD_SECONDS:
            return
        self._recorded_at = now
        values = {
            "runid": self._runid, "state": "Up", "session_epoch": self.desk.membership.session_epoch,
            "last_update": self.desk.journal.now(), "removed": None,
            "service_ip": self.address[0], "service_port": self.address[1],
        }  # fmt: skip
        try:
            found = await self.desk.memory.select(ManagementServer, Query(equal={"msid": self.desk.msid}))
            if found:
                await self.desk.memory.commit([Update(ManagementServer, found[0].id, values)])
            else:
                row = ManagementServer(
                    uuid=self.desk.runtime.uuid(), msid=self.desk.msid, name=self.name, version="0.1.0",
                    service_ip=self.address[0], service_port=self.address[1], started=self.desk.journal.now(),
                    runid=self._runid, last_update=self.desk.journal.now(),
                )  # fmt: skip
                await self.desk.memory.commit([Insert(row)])
        except HoldfastError as problem:
            log.info("this server's row was not refreshed: %s", problem)

    # --- inventory ----------------------------------------------------------------------------------------------

    async def _keep_inventory(self) -> None:
        while True:
            self._news.clear()
            pause = self.desk.inventory.settings.number("ha.checking.interval")
            began = self.desk.clock.monotonic()
            try:
                await self._read_inventory()
            except HoldfastError as problem:
                self._away_since = min(self._away_since, began)
                log.warning("the tables cannot be read; going on with what is known: %s", problem)
            else:
                self._away_since = math.inf
                took = self.desk.clock.monotonic() - began
                pause = max(pause, min(took * _SHARE_OF_TIME, _LONGEST_PAUSE))
                await self._after_reading()
                spent = self.desk.clock.monotonic() - began
                if spent > _LONG_READING:
                    # Every host that comes or goes rings for a reading. When thousands do, it must leave time for them.
                    await asyncio.sleep(min(2 * spent, _LONGEST_PAUSE))
            await self._pause(self._news, pause)

    async def _read_inventory(self) -> None:
        async with self._reading:  # one after the other, or an older snapshot could replace a newer one
            began = self.desk.clock.monotonic()
            pool, before = self.desk.pool("inventory"), self.desk.inventory
            found = await pool.call(_INVENTORY_SECONDS, read_inventory, self.store, before)
            self.desk.inventory, self.desk.inventory_at = found, began
            if found is not before:
                self.desk.fit_pools()

    async def _after_reading(self) -> None:
        if self.desk.membership.holds():
            await self._share_out()
            await self.hosts.own(self.desk.membership.epochs)
        self.hosts.refresh()
        self.heartbeats.refresh()
        self.orders.refresh()
        self.restarts.room_news.tables_read()
        self.returning.refresh()
        await self._warn()

    async def _warn(self) -> None:
        """Say today what would fail tonight: contradictory settings, and `ha.tag` without a host that carries it."""
        inventory, refused = self.desk.inventory, self.hosts.refusals.warning()
        if inventory is self._warned_of[0] and refused == self._warned_of[1]:
            return
        if inventory.settings is not self._checked[0] or inventory.clusters.keys() != self._checked[1]:
            self._checked = (inventory.settings, inventory.clusters.keys())
            self._contradictions = contradictions(inventory.settings, (0, *inventory.clusters))
        found = {f"ALERT.HA.SETTINGS\0{text}" for text in self._contradictions}
        found |= {f"ALERT.HA.SETTINGS\0{text}" for text in inventory.settings.problems}
        found |= {f"ALERT.HA.OWNER.EPOCH\0{refused}"} if refused else set()
        by_zone: dict[str, dict[str, frozenset[str]]] = {}
        for host in inventory.hosts.values():
            zone = inventory.zones.get(host.data_center_id)
            if zone is not None:
                by_zone.setdefault(zone.name, {})[host.name] = inventory.tags.get(host.id, frozenset())
        tag = inventory.settings.text("ha.tag").strip()
        found |= {f"ALERT.HA.TAG.UNUSED\0{text}" for text in dedicated_warnings(tag, by_zone).values()}
        for key in sorted(found - self._warned):
            name, text = key.split("\0", 1)
            open_alert = Query(equal={"name": name, "subject": text[:250], "archived": False}, limit=1)
            if not await self.desk.memory.select(Alert, open_alert):
                await self.desk.memory.commit([self.desk.journal.alert(name, text[:250], text)])
            log.warning("%s: %s", name, text)
        self._warned, self._warned_of = found, (inventory, refused)

    async def _pause(self, news: asyncio.Event, seconds: float) -> None:
        waker = asyncio.get_running_loop().call_later(seconds, news.set)
        await news.wait()
        waker.cancel()

    async def _keep_links(self) -> None:
        while True:
            self.hosts.hear()
            self.connections.work_off()
            self._wake_links.clear()
            await self._wake_links.wait()

    async def _hear_bell(self) -> None:
        with self._bell.subscribe("inventory", "settings", "jobs") as heard:
            while True:
                await heard.wait()
                self._news.set()
                self.jobs.kick()

    # --- for others ---------------------------------------------------------------------------------------------

    def explain_host(self, uuid: str) -> dict[str, Any]:
        """The live part of an explanation, for the API in the same process; {} if this server does not own the host."""
        found = explain_host(self.desk, self.hosts, self.readiness, uuid)
        adrift = self.grants.words(uuid)
        if adrift and "waitingfor" in found:
            found["waitingfor"] += adrift
        return found

    def explain_vm(self, uuid: str) -> dict[str, Any]:
        """The live part of a VM's explanation. Blocks: it reads the store; may be called from any thread."""
        return self._vm_explainer.explain(uuid)

    async def refresh_inventory(self) -> None:
        """Read the tables now, because this server itself just changed them."""
        await self._read_inventory()
        self.hosts.refresh()
        self.restarts.room_news.tables_read()


def _from_any_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)
