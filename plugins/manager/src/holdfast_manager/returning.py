"""Fenced hosts that return to service by themselves (`ha.return.after.fence`), where an operator has asked for that.

Only what host HA alone has closed is opened again: a host that was in service when it was fenced, that nobody declared
dead, ordered off or put into maintenance since, and that was not fenced before within a day. It has to be healthy for
the whole of that time without a break, as this server itself sees it; what another server saw does not count.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from holdfast.errors import Conflict, HoldfastError, OutcomeUnknown
from holdfast.hooks.store import Query, Update
from holdfast.model import HAState, HaTransition, Host, Moment, Oobm, PowerState, Proof, ProofKind, ResourceState

from holdfast_manager.desk import Desk
from holdfast_manager.inventory import is_usable

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor
    from holdfast_manager.hosts import Hosts

log = logging.getLogger("holdfast.manager.returning")

SETTING = "ha.return.after.fence"
KEPT = "returns"
"""In a host's persisted incident: it may return by itself."""
_DAY = 86400.0


def note(actor: "HostActor", before: object, proof: Proof) -> None:
    """Of a host that is proven dead: whether it was in service before, and host HA alone took it out."""
    actor.keep.pop(KEPT, None)
    if before == ResourceState.ENABLED and proof.kind is not ProofKind.DECLARED_DEAD:
        actor.keep[KEPT] = True


class Returning:
    """The hosts of one server. Event loop only."""

    def __init__(self, desk: Desk, hosts: "Hosts") -> None:
        self._desk = desk
        self._hosts = hosts
        self._well_since: dict[str, float] = {}
        self._returns = asyncio.Lock()
        self._underway: set[str] = set()
        hosts.on_fell_silent.append(self._fell_silent)
        hosts.words_of_return = self.words

    def refresh(self) -> None:
        """Look at each fenced host once more; called about as often as the tables are read. Returns at once."""
        now, well = self._desk.clock.monotonic(), self._well_since
        self._well_since = {}
        for uuid, actor in self._hosts.actors.items():
            seconds = self._seconds(actor)
            if not seconds or self._problem(actor):
                continue
            since = self._well_since[uuid] = well.get(uuid, now)
            if now - since >= seconds and uuid not in self._underway:
                self._underway.add(uuid)
                self._desk.spawn(self._return(actor, seconds))

    async def stays(self, host: Host) -> None:
        """Somebody ordered maintenance for a host that is in it already: it does not end by itself any more.

        Raises what the store raises. After this the host has returned, or it stays.
        """
        async with self._returns:
            actor = self._hosts.actors.get(host.uuid)
            if actor is not None and actor.keep.pop(KEPT, None):
                try:
                    await actor.remember()
                except HoldfastError:
                    actor.keep[KEPT] = True
                    raise

    def words(self, actor: "HostActor", live: bool) -> tuple[str, ...]:
        """What is to be said of it beside what the host waits for; `live`: also how far it is."""
        seconds = self._seconds(actor)
        if not seconds:
            return ()
        text = f"it returns by itself once it has been healthy for {seconds:g} s without a break ({SETTING})"
        if not live:
            return (text,)
        since = self._well_since.get(actor.host.uuid)
        problem = self._problem(actor)
        if problem:
            return (f"{text}; that needs {problem}",)
        return (f"{text}; {self._desk.clock.monotonic() - since:.1f} s so far" if since is not None else text,)

    def _fell_silent(self, actor: "HostActor") -> None:
        self._well_since.pop(actor.host.uuid, None)  # its time begins anew

    # --- what is asked for ---------------------------------------------------------------------------------------

    def _seconds(self, actor: "HostActor") -> float:
        """How long the host has to be healthy; 0 if it does not return by itself."""
        if actor.record.state is not HAState.FENCED or not actor.keep.get(KEPT):
            return 0.0
        return self._desk.inventory.settings.number(SETTING, cluster=actor.host.cluster_id)

    def _problem(self, actor: "HostActor") -> str:
        """What it lacks now, or ""."""
        desk, host = self._desk, actor.host
        if actor.record.silent or not desk.links.heard_within(host.uuid, desk.silent_after()):
            return "its agent to answer"
        if host.uuid in desk.links.adrift:
            return "a storage pool that takes its heartbeats"
        rows = desk.inventory.fence_devices.get(host.id, ())
        if any(row.ordered_state == "Off" for row in rows):
            return "an order to power it on: an operator ordered it off"
        if desk.inventory.oobm_problem(host) or not _reads_on(rows):
            return "a fence path that reads its power as On"
        if host.resource_state != ResourceState.MAINTENANCE:
            return "its resource state to be Maintenance, as its fence left it"
        return ""

    # --- the return ----------------------------------------------------------------------------------------------

    async def _return(self, actor: "HostActor", seconds: float) -> None:
        host = actor.host
        try:
            async with self._returns:
                if self._seconds(actor) and not self._problem(actor) and self._desk.membership.owns(host.uuid):
                    await self._open(actor, seconds)
        except (Conflict, OutcomeUnknown) as problem:
            log.info("host %s did not return: %s", host.name, problem)
            await self._hosts.reread(actor)
        except HoldfastError as problem:
            log.info("host %s does not return yet: %s", host.name, problem)
        finally:
            self._underway.discard(host.uuid)

    async def _open(self, actor: "HostActor", seconds: float) -> None:
        """One batch that holds only while the host is fenced and as it was read (S5, S8)."""
        host, journal = actor.host, self._desk.journal
        fresh = await self._desk.memory.get(Host, host.id)
        if fresh is None or fresh.resource_state != ResourceState.MAINTENANCE:
            return
        since = Moment(self._desk.clock.wall() - _DAY)
        query = Query(equal={"host_id": host.id, "state": HAState.FENCED}, above={"created": since}, limit=2)
        fences = await self._desk.memory.select(HaTransition, query)
        actor.keep.pop(KEPT, None)
        try:
            if len(fences) > 1:
                subject = f"host {host.name} stays in Maintenance: it was fenced again within a day"
                text = (
                    f"{subject}. It answers, but what ended it may do so again, with the VMs that it would take. "
                    "Look after it; then cancelHostMaintenance returns it to service"
                )
                await actor.remember(journal.alert("ALERT.HA.QUARANTINE", subject, text, host))
                return
            values = {"resource_state": ResourceState.ENABLED, "alloc_version": fresh.alloc_version + 1}
            expect = {"resource_state": ResourceState.MAINTENANCE, "alloc_version": fresh.alloc_version}
            text = f"host {host.name}: Enabled, for it was healthy for {seconds:g} s after its fence ({SETTING})"
            event = journal.event("MAINT.CANCEL", text, resource=host.uuid)
            await actor.remember(Update(Host, host.id, values, expect), event, token=actor.record.token)
        except HoldfastError:
            actor.keep[KEPT] = True
            raise
        log.info(text)
        self._desk.ring_inventory()


def _reads_on(rows: tuple[Oobm, ...]) -> bool:
    """Whether all devices of one level read On: without a fence path that works it could not be fenced again."""
    levels: dict[int, bool] = {}
    for row in rows:
        good = is_usable(row) and row.power_state == PowerState.ON
        levels[row.level] = levels.get(row.level, True) and good
    return any(levels.values())
