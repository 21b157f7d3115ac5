"""Checks the safety rules S1 to S11 of the design against the truth, at every effect and every committed batch.

The checker knows what no machine in the world can know. It judges what a server did by what was true at that instant
and what the store held; where a server can only know late, it is given the time that knowing takes, and no more.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from holdfast.engine.evidence_record import evidence_from_json
from holdfast.hooks.store import Change, Insert, OwnedBy, Query, Update
from holdfast.model import (
    HaConfig,
    HAEvent,
    HAState,
    HaTransition,
    Host,
    Opinion,
    Permit,
    PermitState,
    PowerAction,
    ProofKind,
    ResourceState,
    Row,
    StoragePool,
    Vm,
    VmState,
    Work,
    WorkStep,
)
from holdfast.settings import Settings

from holdfast_simulator.cluster_first import ClusterFirst
from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.scenario import Scenario
from holdfast_simulator.told_off import ToldOff
from holdfast_simulator.wellbeing import Wellbeing
from holdfast_simulator.world.happenings import MOVED, Happening, What
from holdfast_simulator.world.network import COORDINATOR, DATABASE
from holdfast_simulator.world.world import World

R = TypeVar("R", bound=Row)
_SLACK = 0.05
"""Seconds that a message and a clock's drift may take."""
_GRANTING = 15.0
"""Seconds within which an owner that has just taken a host over must have granted it life."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: which, when, and how."""

    rule: str
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.at:.3f}: {self.text}"


class Checker:
    """Watches a world and its store. `violations` grows; `on_violation` is called at each."""

    def __init__(self, world: World, store: MemoryStore, scenario: Scenario) -> None:
        self.violations: list[Violation] = []
        self.on_violation: Callable[[], None] = lambda: None
        self._world = world
        self._store = store
        self._settings = Settings(scenario.settings)
        self._wellbeing = Wellbeing(world, scenario)
        self._cluster_first = ClusterFirst(store)
        servers = tuple(f"ms{number}" for number in range(1, scenario.world.servers + 1))
        self._told_off = ToldOff(world, store, self._wellbeing, servers)
        self._hosts = {row.uuid: row for row in store.select(Host, Query())}
        self._names = {row.id: row.uuid for row in self._hosts.values()}
        self._vms = {row.id: row.uuid for row in store.select(Vm, Query())}
        self._offs: dict[str, float] = {}
        self._owned_since: dict[str, float] = {}
        self._checks: dict[What, Callable[[Happening], None]] = {
            What.SENT: self._sent,
            What.GUEST_BEGAN: self._guest_began,
            What.SELF_FENCED: self._self_fenced,
            What.CLAIMED: self._claimed,
        }
        world.chronicle.watchers.append(self._happened)
        store.observers.append(self._committed)

    def report(self, rule: str, text: str) -> None:
        """A rule is broken."""
        self.violations.append(Violation(rule, self._world.time.now(), text))
        self.on_violation()

    def _happened(self, event: Happening) -> None:
        self._wellbeing.note(event)
        check = self._checks.get(event.what)
        if check is not None:
            check(event)

    def _claimed(self, event: Happening) -> None:
        self._owned_since |= dict.fromkeys(event.data, event.at)

    # --- S1: runs and permits

    def _guest_began(self, event: Happening) -> None:
        live = self._world.live_runs(event.vm)
        if live != [(event.host, event.run_epoch)]:
            self.report("S1", f"{event.vm} has the live runs {live} after run {event.run_epoch} began on {event.host}")
        permits = {permit.run_epoch: permit for permit in self._permits(event.vm)}
        own = permits.get(event.run_epoch)
        if own is None or self._names[own.host_id] != event.host:
            self.report("S1", f"run {event.run_epoch} of {event.vm} began on {event.host} without a stored permit")
            return
        if own.state == PermitState.ENDED:
            self.report("S1", f"run {event.run_epoch} of {event.vm} began on {event.host} after its permit had ended")
        for permit in permits.values():
            moved = event.detail == MOVED and permit.state == PermitState.RUNNING
            if permit.run_epoch < event.run_epoch and permit.state != PermitState.ENDED and not moved:
                self.report(
                    "S1", f"run {event.run_epoch} of {event.vm} began while run {permit.run_epoch} was not ended"
                )

    def _permits(self, vm_uuid: str) -> list[Permit]:
        ids = [row_id for row_id, uuid in self._vms.items() if uuid == vm_uuid]
        return self._store.select(Permit, Query(equal={"vm_id": ids[0]})) if ids else []

    def _committed(self, changes: Sequence[Change]) -> None:
        self._cluster_first.note(changes, self._world.time.now())
        self._told_off.note(changes)
        self._restarted(changes)
        for change in changes:
            if isinstance(change, Insert) and isinstance(change.row, Permit):
                self._permit_given(change.row)
            elif isinstance(change, Update) and change.record is Permit and change.values.get("state") == "ended":
                self._permit_ended(change)
            elif isinstance(change, Update) and change.record is HaConfig:
                self._host_moved(change)
            elif isinstance(change, Insert) and isinstance(change.row, HaTransition):
                self._decided(change.row)
            elif isinstance(change, OwnedBy):
                self._owner_wrote(change)

    def _permit_given(self, permit: Permit) -> None:
        vm = self._vms[permit.vm_id]
        row = self._row(Vm, permit.vm_id)
        target = self._row(Host, permit.host_id)
        if permit.proof_kind == ProofKind.NEVER_RAN and permit.run_epoch > 1:
            self.report("S1", f"run {permit.run_epoch} of {vm} was permitted as if it had never run")
        live = [(host, epoch) for host, epoch in self._possible_runs(vm) if epoch < permit.run_epoch]
        if live and not self._is_move(row, permit, live):
            self.report("S1", f"run {permit.run_epoch} of {vm} was permitted while {live} can still write")
        self._check_reach(row, target)
        if target.resource_state != ResourceState.ENABLED:
            self.report("S8", f"{vm} was permitted on {target.name}, which is {target.resource_state}")

    def _is_move(self, vm: Vm, permit: Permit, live: list[tuple[str, int]]) -> bool:
        """Whether the one run that lives is handed over to this one by a live migration."""
        earlier = [one for one in self._permits(vm.uuid) if one.run_epoch < permit.run_epoch]
        before = [one for one in earlier if one.state != PermitState.ENDED]
        return (
            vm.state == VmState.MIGRATING
            and len(before) == 1
            and before[0].state == PermitState.RUNNING
            and live == [(self._names[before[0].host_id], before[0].run_epoch)]
        )

    def _check_reach(self, vm: Vm, target: Host) -> None:
        pool = self._store.get(StoragePool, vm.pool_id or 0)
        if target.data_center_id != vm.data_center_id:
            self.report("S9", f"{vm.uuid} was permitted on {target.name}, which is in another zone")
        elif pool is not None and pool.scope == "HOST" and vm.last_host_id not in (None, target.id):
            self.report("S9", f"{vm.uuid} was permitted on {target.name}, away from its local storage {pool.name}")
        elif pool is not None and pool.scope == "CLUSTER" and pool.cluster_id != target.cluster_id:
            self.report("S9", f"{vm.uuid} was permitted on {target.name}, which its storage {pool.name} does not serve")

    def _restarted(self, changes: Sequence[Change]) -> None:
        """HA restarts of this batch: in their own cluster, as long as that can take them."""
        for change in changes:
            if not (isinstance(change, Update) and change.record is Work):
                continue
            if change.values.get("step") != WorkStep.RESTARTING or self._wellbeing.any_cut_lately(DATABASE):
                continue
            work = self._row(Work, change.id)
            vm, target = self._row(Vm, work.instance_id), self._row(Host, work.target_host_id or 0)
            wrong = self._cluster_first.violation(work, vm, target, self._world.time.now())
            if wrong:
                self.report("S9", wrong)

    def _permit_ended(self, change: Update) -> None:
        permit = self._row(Permit, change.id)
        vm, host = self._vms[permit.vm_id], self._names[permit.host_id]
        left = [run for run in self._possible_runs(vm) if run[0] == host and run[1] <= permit.run_epoch]
        if left:
            proof = change.values.get("ended_by", "")
            rule = "S3" if '"chassis-off"' in str(proof) else "S1"
            self.report(rule, f"run {permit.run_epoch} of {vm} on {host} was declared over while {left} lives: {proof}")

    def _possible_runs(self, vm: str) -> list[tuple[str, int]]:
        """Runs that can write now, or will once a hung host works off what it was sent."""
        waiting = []
        for host_uuid, vm_uuid, epoch in self._world.agents.pending_starts():
            host = self._world.host(host_uuid)
            if vm_uuid == vm and epoch > host.book.revoked.get(vm, -1) and not host.lease.lapsed():
                waiting.append((host_uuid, epoch))
        return [*self._world.live_runs(vm), *waiting]

    def _row(self, record: type[R], row_id: int) -> R:
        row = self._store.get(record, row_id)
        assert row is not None
        return row

    # --- S5: who wrote it

    def _owner_wrote(self, owner: OwnedBy) -> None:
        (config,) = self._store.select(HaConfig, Query(equal={"resource_id": owner.host_id, "resource_type": "Host"}))
        if config.owner_epoch != owner.epoch:
            host = self._names[owner.host_id]
            self.report("S5", f"the owner of {host} under epoch {owner.epoch} wrote, after {config.owner_epoch} began")

    # --- S3: a fence that is believed

    def _host_moved(self, change: Update) -> None:
        if change.values.get("ha_state") != HAState.FENCED:
            return
        config = self._row(HaConfig, change.id)
        uuid = self._names[config.resource_id]
        alive = [guest.spec.uuid for guest in self._world.host(uuid).book.live()]
        permitted = {
            self._vms[permit.vm_id]
            for permit in self._store.select(Permit, Query(equal={"host_id": config.resource_id}))
            if permit.state != PermitState.ENDED
        }
        if set(alive) & permitted or (alive and not self._wellbeing.was_down_lately(uuid)):
            self.report("S3", f"{uuid} was called fenced while {alive} can write there: {change.values.get('reason')}")

    # --- S2: what a decision was taken on

    def _decided(self, moved: HaTransition) -> None:
        """Whatever condemns a host by itself has to say dead, piece by piece."""
        if moved.event not in (HAEvent.OVER_THRESHOLD, HAEvent.POWER_OFF_CONFIRMED):
            return
        pieces = evidence_from_json(moved.evidence)
        open_questions = [piece.detail or piece.source for piece in pieces if piece.opinion is not Opinion.DEAD]
        if open_questions or not pieces:
            host = self._names[moved.host_id]
            self.report("S2", f"{host} was condemned ({moved.event}), though this is not dead: {open_questions}")

    # --- S2, S4 to S8: effects as they leave a server

    def _sent(self, event: Happening) -> None:
        self._check_owner(event)
        if event.detail == "start":
            self._check_start(event)
        elif event.detail in (PowerAction.OFF, PowerAction.RESET, PowerAction.CYCLE):
            self._check_cut(event)

    def _check_owner(self, event: Happening) -> None:
        coordinator, now = self._world.coordinator, self._world.time.now()
        holder = coordinator.holder(event.host)
        if holder is not None and holder[0] == event.server:
            return
        member, ended = coordinator.given_up.get(event.host, ("", 0.0))
        if holder is None and member == event.server and now - ended <= _SLACK:
            return
        who = f"{holder[0]} under epoch {holder[1]}" if holder else "nobody"
        self.report("S5", f"{event.server} sent {event.detail} to {event.host}, which belongs to {who}")

    def _check_start(self, event: Happening) -> None:
        found = [permit for permit in self._permits(event.vm) if permit.run_epoch == event.run_epoch]
        if not found or self._names[found[0].host_id] != event.host:
            self.report("S8", f"{event.server} sent run {event.run_epoch} of {event.vm} to {event.host} unwritten")

    def _check_cut(self, event: Happening) -> None:
        row = self._row(Host, self._hosts[event.host].id)
        (config,) = self._store.select(HaConfig, Query(equal={"resource_id": row.id, "resource_type": "Host"}))
        if config.ha_state not in (HAState.FENCING, HAState.RECOVERING):
            self.report("S8", f"{event.server} cut {event.host}, which the store calls {config.ha_state}")
        fences = event.detail == PowerAction.OFF and config.ha_state != HAState.RECOVERING
        if fences and row.resource_state != ResourceState.MAINTENANCE:
            self.report("S8", f"{event.server} cut {event.host} before its quarantine ({row.resource_state})")
        if fences and "roster" not in json.loads(config.incident or "{}"):
            self.report("S8", f"{event.server} cut {event.host} before its runs were written down")
        self._check_witness(event)
        for kind in (DATABASE, COORDINATOR):
            down = self._wellbeing.cut_for(kind, event.server)
            limit = self._settings.number("cluster.heartbeat.threshold") / 1000 + 5.0
            if down > limit:
                self.report("S6", f"{event.server} cut {event.host}, {down:.1f} s after it had lost its {kind}")
        self._check_brake(event)
        self._offs[event.host] = event.at

    def _check_witness(self, event: Happening) -> None:
        heard, wrote = self._wellbeing.heard_for(event.host, event.server), self._wellbeing.wrote_for(event.host)
        grace = self._wellbeing.grace
        if heard > grace:
            self.report("S2", f"{event.server} cut {event.host}, whose beats it had heard for {heard:.1f} s on end")
        if wrote > grace:
            self.report("S4", f"{event.server} cut {event.host}, whose storage heartbeat had moved for {wrote:.1f} s")

    def _check_brake(self, event: Happening) -> None:
        cluster = self._hosts[event.host].cluster_id
        if event.at - self._offs.get(event.host, -1e9) < 120.0:
            return
        of_cluster = [uuid for uuid, row in self._hosts.items() if row.cluster_id == cluster]
        silent = [uuid for uuid in of_cluster if self._in_doubt(uuid, event)]
        fraction = self._settings.number("ha.brake.fraction") * len(of_cluster)
        allowed = max(self._settings.whole("ha.brake.min.hosts"), fraction)
        if len(silent) > allowed and self._world.host(event.host).powered:
            self.report("S7", f"{event.server} cut {event.host} while {silent} are silent, of {len(of_cluster)} hosts")

    def _in_doubt(self, uuid: str, cut: Happening) -> bool:
        """Whether its owner has not heard a host for long. One that is fenced is dead by proof, and says nothing of
        what the others' silence comes from."""
        (config,) = self._store.select(HaConfig, Query(equal={"resource_id": self._hosts[uuid].id}))
        if config.ha_state == HAState.FENCED:
            return False
        owner = (self._world.coordinator.holder(uuid) or (cut.server,))[0]
        owned = cut.at - self._owned_since.get(uuid, -1e9)
        return min(self._wellbeing.silent_for(uuid, owner), owned) > self._wellbeing.grace

    # --- S11

    def _self_fenced(self, event: Happening) -> None:
        host = self._world.host(event.host)
        mine = [guest for guest in host.book.live() if not guest.spec.pool or guest.spec.pool in host.pools]
        reached = [pool for pool in host.pools if host.beats_on(pool)]
        if not mine or reached:
            self.report("S11", f"{event.host} reset itself with VMs {mine} and the pools {reached} in reach")
        kept = self._wellbeing.kept_for(event.host)
        (config,) = self._store.select(HaConfig, Query(equal={"resource_id": self._hosts[event.host].id}))
        if kept > _GRANTING and config.ha_state == HAState.AVAILABLE:
            self.report("S11", f"{event.host} reset itself, though its owner heard it in an outage of {kept:.1f} s")
        if event.host in self._told_off.must_know:
            self.report("S11", f"{event.host} reset itself although its host HA is off")

    # --- S10 and liveness

    def check_end(self) -> None:
        """Everything was mended long ago: each HA VM runs once, or the store says why not."""
        from holdfast_simulator.outcome import unexplained

        for rule, text in unexplained(self._world, self._store):
            self.report(rule, text)
