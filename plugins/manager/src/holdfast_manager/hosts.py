"""All owned hosts: taking them up and giving them back, their timers, beats and switches.

A sweep looks at every link once per beat, and whenever one may fall silent; all else happens because something was seen
or is due.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import inf
from operator import is_
from typing import Any

from holdfast.engine.incident import Judged, Silent, Switched
from holdfast.engine.policy import HostPolicy, host_policy
from holdfast.errors import Conflict, HoldfastError
from holdfast.hooks.provider import Eligibility, Surroundings
from holdfast.hooks.store import Query, Update
from holdfast.model import MAINTENANCE_STATES, HaConfig, HAState, Host

from holdfast_manager.actor import HostActor
from holdfast_manager.census import SILENT, Census
from holdfast_manager.desk import Desk
from holdfast_manager.domain_alarms import DomainAlarms
from holdfast_manager.effects import Effects
from holdfast_manager.inventory import HA_SWITCH
from holdfast_manager.link import Link
from holdfast_manager.lost_rows import carried_over, rows_for_missing
from holdfast_manager.refusals import Refusals

log = logging.getLogger("holdfast.manager.hosts")

_TAKEN_AT_ONCE = 64
_COUNT_LASTS = 0.2
_IN_DOUBT = frozenset(
    {
        HAState.SUSPECT,
        HAState.CHECKING,
        HAState.DEGRADED,
        HAState.RECOVERING,
        HAState.RECOVERED,
        HAState.FENCING,
        HAState.FENCED,
    }
)


class Hosts:
    """The actors of this server, by host uuid."""

    def __init__(self, desk: Desk, kick_restarts: Callable[[], None], notices: Callable[..., None]) -> None:
        self.desk = desk
        self.census = Census()
        self.actors: dict[str, HostActor] = {}
        self.effects = Effects(desk, self, kick_restarts)
        self.domain_alarms = DomainAlarms(desk)
        self.refusals = Refusals(desk)
        self.notices = notices
        self._heap: list[tuple[float, int, HostActor]] = []
        self._order = count()
        self._policies: dict[tuple[int, int], HostPolicy] = {}
        self._policies_of = desk.inventory.settings
        self._owning = asyncio.Lock()
        self._alarm = asyncio.Event()
        self._next_sweep = 0.0
        self._wakes_at = inf
        """When the timers look next, unless the alarm rings."""
        self._counted_at = -inf
        self._owned: tuple[object, dict[str, int], int] = (None, {}, 0)
        """Hosts, claims and how many actors there were when nothing was left to take or to drop."""
        self._refreshed: tuple[object, list[object]] = (None, [])
        """Inventory and what the actors knew when there was nothing to tell any of them."""
        self.on_fell_silent: list[Callable[[HostActor], None]] = []
        self.on_heard_again: Callable[[HostActor], None] = lambda actor: None
        self.words_of_return: Callable[[HostActor, bool], tuple[str, ...]] = lambda actor, live: ()

    def policy(self, host: Host, defaults: Mapping[str, str] | None) -> HostPolicy:
        """The policy in effect for a host; computed once per cluster, provider defaults and settings.

        A host with several fence levels has more time for a fence attempt.
        """
        settings = self.desk.inventory.settings
        if settings is not self._policies_of:
            self._policies, self._policies_of = {}, settings
        key = (host.cluster_id, hash(tuple(sorted(defaults.items()))) if defaults else 0)
        found = self._policies.get(key)
        if found is None:
            found = self._policies[key] = host_policy(
                settings, zone=host.data_center_id, cluster=host.cluster_id, provider_defaults=defaults
            )
        seconds = self.desk.fence_seconds(host, found.fence_timeout)
        return found if seconds == found.fence_timeout else found._replace(fence_timeout=seconds)

    # --- timers ------------------------------------------------------------------------------------------------

    def schedule(self, actor: HostActor) -> None:
        """Call `actor.on_due()` at `actor.due`."""
        if actor.due < inf and not actor.gone:
            heapq.heappush(self._heap, (actor.due, next(self._order), actor))
            if actor.due < self._wakes_at:
                self._alarm.set()

    async def run_timers(self) -> None:
        """Wake actors when they are due, and look at all links once per sweep. Runs until cancelled."""
        while True:
            now = self.desk.clock.monotonic()
            if now >= self._next_sweep:
                self._next_sweep = self._sweep(now)
            while self._heap and self._heap[0][0] <= now:
                due, _, actor = heapq.heappop(self._heap)
                if not actor.gone and actor.due == due:
                    actor.due = inf
                    actor.on_due()
            self._wakes_at = until = min(self._next_sweep, self._heap[0][0] if self._heap else inf)
            self._alarm.clear()
            delay = max(0.0, until - self.desk.clock.monotonic())
            waker = asyncio.get_running_loop().call_later(delay, self._alarm.set)
            await self._alarm.wait()
            waker.cancel()

    async def pause(self, seconds: float) -> None:
        """Wait before another try at something that depends on others."""
        await asyncio.sleep(seconds)

    # --- beats -------------------------------------------------------------------------------------------------

    def _sweep(self, now: float) -> float:
        """Tell actors of links that fell silent, and of beats where somebody waits for them.

        Returns when to look again: when the next link may fall silent, or a beat later.
        """
        limit = self.desk.silent_after()
        again = now + self.desk.inventory.settings.number("ping.interval")
        for uuid, link in self.desk.links.links.items():
            silent_at = link.heard_at + limit
            if now < silent_at:
                again = min(again, silent_at)
                self._heard(uuid, link)
            elif not link.told_silent:
                link.told_silent = True
                self._tell_silent(uuid)
        return again

    def hear(self) -> None:
        """Tell at once of beats on links that were silent; no sweep is waited for."""
        links = self.desk.links
        while links.heard_again:
            uuid = links.heard_again.popleft()
            if uuid in links.links:
                self._heard(uuid, links.links[uuid])

    def _heard(self, uuid: str, link: Link) -> None:
        if link.heard_at <= link.told_at:
            return
        actor = self.actors.get(uuid)
        if actor is None:
            return
        record = actor.record
        said = link.sign_of_life()
        waits = link.told_silent or record.state in _IN_DOUBT or (record.armed, record.lease) != said
        if waits and record.poll_every == 0:
            actor.tell(said)
        if link.told_silent:
            self.on_heard_again(actor)
        link.told_at, link.told_silent = link.heard_at, False

    def _tell_silent(self, uuid: str) -> None:
        actor = self.actors.get(uuid)
        if actor is None:
            return
        if actor.record.poll_every == 0:
            actor.tell(Silent(self.desk.probes(actor.host).link()))
        for tell in self.on_fell_silent:
            tell(actor)

    # --- ownership ---------------------------------------------------------------------------------------------

    async def own(self, epochs: Mapping[str, int]) -> None:
        """Make the actors match the hosts that this server owns, each under its present epoch."""
        by_uuid = self.desk.inventory.hosts_by_uuid
        if by_uuid is self._owned[0] and (epochs, len(self.actors)) == self._owned[1:]:
            return
        for uuid in [uuid for uuid in self.actors if uuid not in epochs or uuid not in by_uuid]:
            self.drop(uuid)
        async with self._owning:  # or two callers would make two actors for one host
            missing = []
            for uuid, epoch in list(epochs.items()):
                actor, host = self.actors.get(uuid), by_uuid.get(uuid)
                if host is None or (actor is not None and actor.epoch == epoch):
                    continue
                if actor is not None:
                    self.drop(uuid)
                missing.append((host, epoch))
            for start in range(0, len(missing), _TAKEN_AT_ONCE):
                await self._take(missing[start : start + _TAKEN_AT_ONCE])
            if not missing:
                self._owned = (by_uuid, dict(epochs), len(self.actors))

    def drop(self, uuid: str) -> None:
        """Stop acting on a host at once."""
        actor = self.actors.pop(uuid, None)
        if actor is not None:
            actor.gone = True
            self.desk.states[actor.host.id] = actor.record.state
        self._detach(uuid)

    def _detach(self, uuid: str) -> None:
        if self.desk.links.links.get(uuid) is None:
            return
        self.desk.links.close(uuid)
        host = self.desk.inventory.hosts_by_uuid.get(uuid)
        if host is None:
            return
        try:
            self.desk.hypervisor(host).detach(uuid)
        except Exception as problem:
            log.warning("host %s was not detached: %s", host.name, problem)

    async def _take(self, claimed: Sequence[tuple[Host, int]]) -> None:
        """Store this server as the owner, under the claims' epochs; from then on every older epoch is refused.

        All of them together: thousands are taken up at a start, and each look at the store costs as much as for one.
        """
        try:
            known = await self._rows(claimed)
            stored = await asyncio.gather(*(self._store_claim(*one, known.get(one[0].id)) for one in claimed))
            mine = [one for one, good in zip(claimed, stored, strict=True) if good]
            rows = await self._rows(mine)
        except HoldfastError as problem:
            names = ", ".join(host.name for host, _ in claimed[:3])
            log.warning("%d hosts (%s …) could not be taken over yet: %s", len(claimed), names, problem)
            return
        for host, epoch in mine:
            row = rows.get(host.id)
            if row is not None and row.owner_epoch == epoch and self.desk.epoch(host) == epoch:
                self._begin(host, epoch, row)

    async def _store_claim(self, host: Host, epoch: int, row: HaConfig | None) -> bool:
        """Whether the store knows this server as the owner now. Raises nothing."""
        try:
            return await self._claim_row(host, epoch, row)
        except HoldfastError as problem:
            log.warning("host %s could not be taken over yet: %s", host.name, problem)
            return False

    def _begin(self, host: Host, epoch: int, row: HaConfig) -> None:
        actor = self.actors[host.uuid] = HostActor(self, host, row, epoch)
        self.refusals.clear(host.uuid)
        self._attach(host)
        actor.take_up()
        if actor.keep.get("power_on") and actor.record.state is HAState.FENCED:
            self.desk.spawn(self.effects.power_on(actor))
        self.judge(actor)

    async def _rows(self, claimed: Sequence[tuple[Host, int]]) -> dict[int, HaConfig]:
        """Host id -> its row. Raises what the store raises."""
        if not claimed:
            return {}
        query = Query(equal={"resource_type": "Host"}, among={"resource_id": [host.id for host, _ in claimed]})
        return {row.resource_id: row for row in await self.desk.memory.select(HaConfig, query)}

    async def _owned_row(self, host: Host, epoch: int) -> HaConfig | None:
        """One host's row, with this server as the owner; None if the store knows a newer one."""
        one = [(host, epoch)]
        if not await self._claim_row(host, epoch, (await self._rows(one)).get(host.id)):
            return None
        fresh = (await self._rows(one)).get(host.id)
        return fresh if fresh is not None and fresh.owner_epoch == epoch else None

    async def _claim_row(self, host: Host, epoch: int, row: HaConfig | None) -> bool:
        if row is None:
            # Every host has a row, so that there is always an owner epoch to be checked against.
            fresh_row = HaConfig(resource_id=host.id, owner_epoch=epoch, mgmt_server_id=self.desk.msid)
            await self.desk.memory.commit(
                await rows_for_missing(self.desk, host, fresh_row, self.actors.get(host.uuid))
            )
        elif row.owner_epoch > epoch:
            if self.refusals.note(host, epoch, row.owner_epoch):
                log.error(
                    "host %s: the store knows a newer owner epoch than the coordinator gave; not taken", host.name
                )
            return False
        elif (row.owner_epoch, row.mgmt_server_id) != (epoch, self.desk.msid):
            values = {"owner_epoch": epoch, "mgmt_server_id": self.desk.msid}
            values |= carried_over(row, self.actors.get(host.uuid))
            await self.desk.memory.commit([Update(HaConfig, row.id, values, {"owner_epoch": row.owner_epoch})])
        return True

    def _attach(self, host: Host) -> None:
        self.desk.links.open(host.uuid)
        try:
            driver = self.desk.hypervisor(host)
            if driver.runs_on == "server":
                driver.attach(self.desk.host_view(host), self.desk.links)
        except Exception as problem:
            log.warning("host %s was not attached: %s", host.name, problem)

    async def reread(self, actor: HostActor) -> None:
        """Take a host up again from the store, because what was meant to be stored was refused."""
        uuid, epoch = actor.host.uuid, actor.epoch
        if self.actors.get(uuid) is not actor:
            return
        link = self.desk.links.links.get(uuid)
        actor.gone = True
        while self.actors.get(uuid) is actor and self.desk.membership.owns(uuid):
            try:
                row = await self._owned_row(actor.host, epoch)
            except Conflict:
                continue
            except HoldfastError as problem:
                log.warning("host %s cannot be read again yet: %s", actor.host.name, problem)
                await self.pause(0.5)
                continue
            if row is None or self.actors.get(uuid) is not actor:
                break
            fresh = self.actors[uuid] = HostActor(self, actor.host, row, epoch)
            fresh.take_up()
            if link is not None:
                link.told_at, link.told_silent = link.heard_at, False  # only the next beat is news for it
                self._next_sweep = 0.0
                self._alarm.set()
            self.judge(fresh)
            return
        if self.actors.get(uuid) is actor:
            self.drop(uuid)

    def reattach(self, host: Host) -> None:
        """Drop the connection to a host's agent and make it anew."""
        self._detach(host.uuid)
        if host.uuid in self.actors:
            self._attach(host)

    async def settled(self, uuid: str) -> None:
        """Return once what was told to the host's actor so far has been worked off; at once if it is not ours."""
        actor = self.actors.get(uuid)
        if actor is not None:
            await actor.idle()

    async def reaches(self, uuid: str, states: frozenset[HAState], seconds: float) -> bool:
        """Wait until the host is in one of `states`; False if that takes longer."""
        until = self.desk.clock.monotonic() + seconds
        while self.desk.clock.monotonic() < until:
            actor = self.actors.get(uuid)
            if actor is None:
                return False
            if actor.record.state in states:
                return True
            await actor.next_change(until - self.desk.clock.monotonic())
        return False

    async def count_others(self) -> None:
        """Bring the census up to date with what others have stored of their hosts. Raises what the store raises.

        What was read within the last tenths of a second is good enough: a rack asks a hundred times at once.
        """
        began = self.desk.clock.monotonic()
        if began - self._counted_at < _COUNT_LASTS:
            return
        if self.actors.keys() >= self.desk.inventory.hosts_by_uuid.keys():
            self._counted_at = began  # there are no others
            return
        query = Query(equal={"resource_type": "Host"}, among={"ha_state": sorted(SILENT)})
        silent = {row.resource_id: row.ha_state for row in await self.desk.memory.select(HaConfig, query)}
        for host_id, host in self.desk.inventory.hosts.items():
            if host.uuid in self.actors:
                continue
            if host_id in silent:
                self.desk.states[host_id] = _known(silent[host_id])
            elif self.desk.states.get(host_id) in SILENT:
                self.desk.states[host_id] = HAState.AVAILABLE
            self.census.note(host_id, self.desk.states.get(host_id))
        self._counted_at = began

    # --- tables and eligibility --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """The tables were read: honour changed rows, switches and eligibility."""
        inventory, known = self._refreshed
        if inventory is self.desk.inventory and _same(known, self._knowledge()):
            return
        self._refreshed = (None, [])
        states: dict[int, HAState | None] = {}
        for host_id, row in self.desk.inventory.ha.items():
            host = self.desk.inventory.hosts.get(host_id)
            actor = self.actors.get(host.uuid) if host else None
            states[host_id] = actor.record.state if actor else _known(row.ha_state)
        self.desk.states = states
        self.census.rebuild(self.desk.inventory, states)
        self.domain_alarms.refresh()
        calm, settled = self.desk.calm_hosts(), True
        for actor in list(self.actors.values()):
            neighbours = calm[actor.host.cluster_id] - self.desk.is_calm(actor.host)
            try:
                current = self._is_current(actor)
                if current:
                    self.judge(actor, neighbours)
                settled = settled and current and self._is_settled(actor, neighbours)
            except Exception:
                settled = False
                log.exception("host %s could not be judged", actor.host.name)
        if settled:
            self._refreshed = (self.desk.inventory, self._knowledge())

    def _knowledge(self) -> list[object]:
        """All that is known of the hosts apart from the tables; the same objects for as long as nothing happens."""
        return [known for actor in self.actors.values() for known in (actor.row, actor.record)]

    def _is_settled(self, actor: HostActor, neighbours: int) -> bool:
        """Whether the same tables would say nothing else of the host at the next look."""
        return actor.is_judged(neighbours) and not actor.busy and self.desk.inventory_at >= actor.row_at

    def _is_current(self, actor: HostActor) -> bool:
        """Whether the tables agree with what this server knows of its host; if not, it is read again."""
        host = self.desk.inventory.hosts.get(actor.host.id)
        if host is None:
            return False
        actor.host = host
        if self.desk.inventory_at < actor.row_at:
            return True  # the tables were read before the host was taken over
        row = self.desk.inventory.ha.get(host.id)
        if row is None or row.id != actor.row.id:
            changed = True  # the row was removed, or made anew, by hand
        elif row.update_count == actor.row.update_count:
            changed = (row.ha_state, row.mgmt_server_id, row.owner_epoch, row.enabled, row.provider) != (
                actor.stored_state, self.desk.msid, actor.epoch, actor.row.enabled, actor.row.provider,
            )  # fmt: skip
        else:
            changed = row.update_count > actor.row.update_count and not actor.busy
        if changed:
            self.desk.spawn(self.reread(actor))
        return not changed

    def judge(self, actor: HostActor, neighbours: int | None = None) -> None:
        """Switches, then the provider's word on eligibility. `neighbours` is their number where it is known already.

        A host that is what it is called is looked at again only once something differs: polls find little new.
        """
        if neighbours is None:
            neighbours = sum(1 for _ in self.desk.neighbours(actor.host))
        if actor.is_judged(neighbours):
            return
        host, row = actor.host, actor.row
        off = self.desk.inventory.switch_off(host, HA_SWITCH)
        provider = self.desk.provider(row.provider) if row.provider else None
        on = row.enabled and not off and provider is not None
        if not on:
            reason = f"host HA is disabled for {off}" if off else f"host HA is disabled for host {host.name}"
            if row.enabled and not off:
                reason = (
                    f"HA provider {row.provider!r} cannot be used" if row.provider else "no HA provider is configured"
                )
            if actor.record.state not in (None, HAState.DISABLED) or actor.record.state is None:
                actor.tell(Switched(False, reason))
            return
        view = self.desk.inventory.host_view(host)
        assert provider is not None
        actor.set_polling(1.0 if provider.polls_health(view) else 0.0, view.details.get("simulator.ha.revision", ""))
        if actor.record.state in (None, HAState.DISABLED):
            actor.tell(Switched(True))
        found, answered = self._eligibility(actor, neighbours)
        deliberate = found.eligible or not self._eligibility(actor, 1)[0].eligible
        maintenance = host.resource_state in MAINTENANCE_STATES
        record = actor.record
        if (
            (record.state is HAState.INELIGIBLE) == found.eligible
            or record.maintenance is not maintenance
            or (not found.eligible and record.reason != found.reason)
        ):
            actor.tell(Judged(found.eligible, found.reason, deliberate, maintenance))
        elif answered:  # a provider that failed may answer next time, though nothing of the host has changed
            actor.note_judged(neighbours)

    def _eligibility(self, actor: HostActor, neighbours: int) -> tuple[Eligibility, bool]:
        """What the provider says, and whether it said it: one that raises counts as refusing."""
        inventory, host = self.desk.inventory, actor.host
        problem = inventory.oobm_problem(host)
        surroundings = Surroundings(not problem, problem, neighbours, len(inventory.ha_pools(host)))
        provider: Any = self.desk.provider(actor.row.provider)
        try:
            found: Eligibility = provider.eligibility(inventory.host_view(host), surroundings)
        except Exception as trouble:
            log.exception("HA provider %s failed in eligibility", actor.row.provider)
            return Eligibility(False, f"the HA provider failed: {type(trouble).__name__}"), False
        return found, True


def _same(left: Sequence[object], right: Sequence[object]) -> bool:
    return len(left) == len(right) and all(map(is_, left, right))


def _known(text: str | None) -> HAState | None:
    try:
        return HAState(text) if text else None
    except ValueError:
        return None
