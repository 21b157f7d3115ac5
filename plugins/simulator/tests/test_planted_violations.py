"""Each safety rule, broken on purpose inside the real manager or its world: the checker names the rule.

The same scenario without the plant breaks nothing, so that it is the plant which is caught. Targets are given by name:
plugins do not import each other, and a name that is gone fails the test.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from holdfast.engine import fencing, host, verdict
from holdfast.engine.incident import CutDone, Silent, Stage
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.store import Insert
from holdfast.model import Alert, HAEvent, Kind, Opinion, PermitGrant, Proof, ProofKind, Verdict
from holdfast_simulator.faulty_store import FaultyStore
from holdfast_simulator.hub import manager_class
from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.scenario import Fault, Scenario, WorldSize, load_scenario
from holdfast_simulator.session import run_scenario
from holdfast_simulator.world.lease import HostLease

Plant = Callable[[pytest.MonkeyPatch], None]
ONE_SERVER = Scenario(name="planted", duration=40.0, settle=90.0, world=WorldSize(servers=1))
POWER_LOSS = Fault(at=2.0, kind="power-loss", host="h1", lasts=30.0)
LYING_BMC = Fault(at=1.0, kind="bmc", host="h1", mode="lying", lasts=30.0)
UNHEARD = Fault(at=2.0, kind="cut-agent", host="h1", server="ms1", lasts=30.0)


@dataclass(frozen=True)
class Case:
    """A rule, how it is broken, and where that shows. A plant may break others at the same instant."""

    rule: str
    others: frozenset[str]
    plant: Plant
    scenario: Scenario


CASES: list[Case] = []


def planted(
    rule: str, *faults: Fault, others: tuple[str, ...] = (), scenario: Scenario | None = None, **changes: Any
) -> Callable[[Plant], Plant]:
    """Register a plant with the faults under which it shows."""

    def register(plant: Plant) -> Plant:
        story = scenario or replace(ONE_SERVER, faults=faults, **changes)
        CASES.append(Case(rule, frozenset(others), plant, story))
        return plant

    return register


def handler(patch: pytest.MonkeyPatch, kind: type, change: Callable[..., Any]) -> None:
    """Replace how the engine takes one kind of observation; `change` is given the real handler first."""
    real = host._HANDLERS[kind]
    patch.setitem(host._HANDLERS, kind, lambda *given: change(real, *given))


# --- S1: permits and proofs -----------------------------------------------------------------------------------------


@planted(
    "S1",
    POWER_LOSS,
    *(Fault(at=3.0, kind="delay", host=f"h{n}", server="ms1", amount=2.5, lasts=30.0) for n in (2, 3)),
    world=WorldSize(servers=1, vms=9),
    settings={"ha.vm.start.timeout": "1"},
)
def an_unanswered_start_is_taken_for_a_refused_one(patch: pytest.MonkeyPatch) -> None:
    """The run that nobody confirmed is called over on no word at all."""
    patch.setattr("holdfast_manager.starting.refused", lambda problem: True)


@planted("S1", Fault(at=2.0, kind="isolate-host", host="h1", lasts=25.0), others=("S3",))
def a_lease_is_over_as_soon_as_a_beat_is_late(patch: pytest.MonkeyPatch) -> None:
    """Its watchdog has not bitten yet, and its VM still runs."""
    real = verdict.lease_expired
    patch.setattr("holdfast.engine.verdict.lease_expired", lambda evidence, now, needed: real(evidence, now, 0.0))


@planted(
    "S1",
    Fault(at=0.5, kind="cut-agent", host="h1", server="ms1", lasts=5.0),
    Fault(at=10.0, kind="pool-down", pool="p1", lasts=40.0),
    Fault(at=49.9, kind="cut-storage", host="h1", pool="p1", lasts=60.0),
    Fault(at=80.0, kind="cut-agent", host="h1", server="ms1", lasts=45.0),
    Fault(at=80.0, kind="cut-bmc", host="h1", server="ms1", lasts=45.0),
    others=("S3",),
)
def a_lease_proof_does_not_wait_for_grants(patch: pytest.MonkeyPatch) -> None:
    """The storage came back for all but one, which lived by grants until a moment ago, and is now out of reach."""
    real = verdict.lease_expired

    def mutated(evidence: Any, now: float, needed: float) -> bool:
        return real([replace(e, lasting=1e9) if e.kind is Kind.GRANT else e for e in evidence], now, needed)

    patch.setattr("holdfast.engine.verdict.lease_expired", mutated)


# --- S2: unknown is never dead --------------------------------------------------------------------------------------


@planted("S2", UNHEARD, *(Fault(at=1.0, kind="cut-storage", host=f"h{n}", pool="p1", lasts=30.0) for n in (2, 3)))
def storage_that_nobody_can_read_counts_as_stale(patch: pytest.MonkeyPatch) -> None:
    """No neighbour reaches the pool; the host does."""
    real = verdict.activity

    def mutated(evidence: Any, now: float) -> Verdict:
        found = real(evidence, now)
        return Verdict(Opinion.DEAD, tuple(evidence)) if found.opinion is Opinion.UNKNOWN else found

    patch.setattr("holdfast.engine.verdict.activity", mutated)


@planted("S2", UNHEARD, Fault(at=1.0, kind="bmc", host="h1", mode="auth", lasts=30.0))
def a_bmc_that_refuses_the_login_counts_as_off(patch: pytest.MonkeyPatch) -> None:
    """A refused login is no reading."""
    real = verdict.power

    def mutated(evidence: Any, now: float) -> Any:
        opinion, pieces = real(evidence, now)
        return (Opinion.DEAD if opinion is Opinion.UNKNOWN else opinion), pieces

    patch.setattr("holdfast.engine.verdict.power", mutated)


# --- S3: an accepted order proves nothing ---------------------------------------------------------------------------


@planted("S3", LYING_BMC, Fault(at=2.0, kind="hang", host="h1", lasts=25.0), world=WorldSize(servers=1, watchdog=False))
def an_accepted_cut_is_proof(patch: pytest.MonkeyPatch) -> None:
    """The BMC says that it will, and does not."""

    def change(real: Any, record: Any, seen: CutDone, now: float, policy: Any, domains: Any) -> Any:
        if seen.accepted and record.fence is not None and record.fence.stage is Stage.CUTTING:
            return fencing.prove(record, ProofKind.CHASSIS_OFF, now, (), policy)
        return real(record, seen, now, policy, domains)

    handler(patch, CutDone, change)


# --- S4: two witnesses ----------------------------------------------------------------------------------------------


@planted("S4", UNHEARD)
def the_silent_link_alone_condemns(patch: pytest.MonkeyPatch) -> None:
    """Its storage heartbeat moves, and nobody looks."""

    def change(real: Any, record: Any, seen: Silent, now: float, *rest: Any) -> Any:
        return fencing.begin(record._replace(silent=True), HAEvent.POWER_OFF_CONFIRMED, now, "", (seen.evidence,))

    handler(patch, Silent, change)


def kept(name: str) -> Scenario:
    """A story that once went wrong."""
    return load_scenario(Path(__file__).with_name("scenarios") / f"{name}.toml")


@planted("S4", scenario=kept("s4-2092"))
def a_cut_is_tried_again_without_a_fresh_sign_of_death(patch: pytest.MonkeyPatch) -> None:
    """Its link is still cut, and its storage heartbeat moves again."""
    patch.setattr("holdfast.engine.fencing._witnessed", lambda *given: True)


# --- S5: only under the lease ---------------------------------------------------------------------------------------


@planted(
    "S5",
    Fault(at=1.0, kind="cut-coordinator", server="ms1", lasts=35.0),
    Fault(at=20.0, kind="power-loss", host="h1", lasts=15.0),
    others=("S6",),
)
def a_lease_never_ends(patch: pytest.MonkeyPatch) -> None:
    """The server goes on as the owner of hosts that belong to nobody any more."""
    patch.setattr("holdfast_manager.membership.Membership.holds", lambda self: self._session is not None)


@planted(
    "S5",
    Fault(at=1.0, kind="cut-coordinator", server="ms1", lasts=30.0),
    Fault(at=12.0, kind="cut-database", server="ms2", lasts=15.0),
    Fault(at=14.0, kind="power-loss", host="h1", lasts=15.0),
    world=WorldSize(servers=2),
)
def an_earlier_owner_may_write(patch: pytest.MonkeyPatch) -> None:
    """The host was taken over; its former owner does not look, goes on, and the store lets it."""
    patch.setattr("holdfast_manager.hosts.Hosts._is_current", lambda self, actor: True)
    patch.setattr("holdfast_manager.membership.Membership.holds", lambda self: self._session is not None)
    patch.setattr(MemoryStore, "_check_owner", lambda self, change: None)


# --- S6: nothing without the database -------------------------------------------------------------------------------


@planted(
    "S6",
    Fault(at=1.0, kind="cut-database", server="ms1", lasts=35.0),
    Fault(at=20.0, kind="power-loss", host="h1", lasts=15.0),
)
def a_store_adapter_takes_writes_while_the_database_is_away(patch: pytest.MonkeyPatch) -> None:
    """As one that keeps them for later and says that they are stored."""

    @hookimpl
    def commit(self: FaultyStore, changes: Any) -> tuple[int, ...]:
        return self._store.commit(tuple(changes))

    patch.setattr(FaultyStore, "commit", commit)
    patch.setattr(FaultyStore, "_read", lambda self, function, *args: function(*args))


# --- S7: the brake --------------------------------------------------------------------------------------------------


@planted(
    "S7",
    *(Fault(at=2.0, kind="hang", host=f"h{number}", lasts=25.0) for number in (1, 2, 3)),
    world=WorldSize(servers=1, hosts=4, vms=4, watchdog=False),
    settings={"kvm.ha.activity.check.max.attempts": "10", "kvm.ha.activity.check.interval": "2"},
)
def the_brake_holds_nothing(patch: pytest.MonkeyPatch) -> None:
    """Three hosts of four hang at once, as they do when the fault is their network's."""
    for module in ("host", "fencing"):
        patch.setattr(f"holdfast.engine.{module}.held", lambda domains, policy: "")


# --- S8: written down first -----------------------------------------------------------------------------------------


@planted("S8", POWER_LOSS)
def power_is_cut_before_the_runs_are_written_down(patch: pytest.MonkeyPatch) -> None:
    """It does not wait for `Prepared`."""
    real = fencing.begin

    def mutated(record: Any, cause: HAEvent, now: float, *rest: Any) -> Any:
        after: Any
        after, decisions = real(record, cause, now, *rest)
        if decisions:
            after = after._replace(fence=after.fence._replace(stage=Stage.READY, next_at=now))
        return after, decisions[:-1] if decisions else ()

    patch.setattr(fencing, "begin", mutated)


@planted("S8", POWER_LOSS)
def the_quarantine_is_not_stored(patch: pytest.MonkeyPatch) -> None:
    """The host goes on taking starts while its power is cut."""

    async def nothing(self: Any, actor: Any) -> list[Any]:
        return []

    patch.setattr("holdfast_manager.effects.Effects._quarantine", nothing)


@planted("S8", POWER_LOSS)
def a_start_is_sent_before_its_permit_is_stored(patch: pytest.MonkeyPatch) -> None:
    """In the hope that the batch will be taken."""
    runs = manager_part("runs", "Runs")
    real = runs.permit

    async def send(self: Any, place: Any) -> None:
        grant = PermitGrant(
            place.vm.uuid, place.vm.run_epoch + 1, place.target.uuid, 1, Proof(ProofKind.NEVER_RAN, place.vm.uuid, 0.0)
        )
        view, spec = self._desk.inventory.host_view(place.target), await self.spec(place.vm)
        driver = self._desk.hypervisor(place.target)
        await self._desk.pool("agent").call(5.0, driver.start_vm, view, spec, grant, 5.0)

    async def permit(self: Any, placed: Any, *more: Any) -> Any:
        for place in placed:
            await send(self, place)
        return await real(self, placed, *more)

    patch.setattr(runs, "permit", permit)


# --- S9: the zone ---------------------------------------------------------------------------------------------------


@planted(
    "S9",
    POWER_LOSS,
    Fault(at=0.0, kind="start-failure", host="h3", lasts=35.0),
    world=WorldSize(servers=1, hosts=4, clusters=2, zones=2, pools=2, vms=4),
)
def hosts_of_every_zone_are_looked_at(patch: pytest.MonkeyPatch) -> None:
    """The only other host of the VM's zone refuses it; the other zone has room."""
    placing = manager_part("placing", "Placing")
    real = placing.rooms

    async def rooms(self: Any, zone_ids: Any) -> Any:
        found = await real(self, self._desk.inventory.zones)
        for room in found:
            room.zone = "z1"
        return found

    patch.setattr(placing, "rooms", rooms)


@planted("S9", POWER_LOSS, world=WorldSize(servers=1, hosts=4, clusters=2, vms=4))
def the_other_cluster_is_asked_first(patch: pytest.MonkeyPatch) -> None:
    """A host of the VM's own cluster has room, and the VM goes to the other cluster."""
    placing = manager_part("placing", "Placing")
    real = placing.request

    def request(self: Any, *given: Any, **more: Any) -> Any:
        return replace(real(self, *given, **more), cluster="c2")

    patch.setattr(placing, "request", request)


# --- S10: nothing is given up silently ------------------------------------------------------------------------------


@planted(
    "S10",
    POWER_LOSS,
    *(Fault(at=0.0, kind="start-failure", host=f"h{number}", lasts=35.0) for number in (2, 3)),
    settings={"vm.ha.migration.max.retries": "2"},
)
def a_restart_is_given_up_without_an_alert(patch: pytest.MonkeyPatch) -> None:
    """Two starts failed; the work ends in Error, and nobody is told."""
    runs = manager_part("runs", "Runs")
    real = runs.now_ended

    async def quietly(self: Any, vm: Any, permit: Any, target: Any, why: str, proof: Any, *more: Any) -> None:
        kept = [change for change in more if not (isinstance(change, Insert) and isinstance(change.row, Alert))]
        await real(self, vm, permit, target, why, proof, *kept)

    patch.setattr(runs, "now_ended", quietly)


# --- S11: self-fencing ----------------------------------------------------------------------------------------------


@planted(
    "S11",
    Fault(at=2.0, kind="cut-storage", host="h3", pool="p1", lasts=30.0),
    world=WorldSize(servers=1, vms=2, spare=1),
)
def a_watchdog_spares_no_host(patch: pytest.MonkeyPatch) -> None:
    """The host that lost its pool runs no VM."""
    patch.setattr(HostLease, "_endangered", lambda self: True)


@planted(
    "S11",
    Fault(at=1.0, kind="order-ha-off", host="h3", lasts=70.0),
    Fault(at=20.0, kind="cut-storage", host="h3", pool="p1", lasts=30.0),
)
def agents_are_not_told_that_ha_is_off(patch: pytest.MonkeyPatch) -> None:
    """The host that lost its pool runs a VM, and its HA has been off for twenty seconds."""
    orders = manager_part("standing_orders", "StandingOrders")
    real = orders._orders
    patch.setattr(orders, "_orders", lambda self, *given: replace(real(self, *given), ha=True))


@planted("S11", Fault(at=2.0, kind="pool-down", pool="p1", lasts=50.0))
def nobody_is_granted_life(patch: pytest.MonkeyPatch) -> None:
    """The storage answers nobody, every host is heard, and one after the other resets itself all the same."""
    patch.setattr(manager_part("life_grants", "LifeGrants"), "_send", lambda *_given: None)


# --- both ways ------------------------------------------------------------------------------------------------------


def manager_part(module: str, name: str) -> Any:
    """A class of the running manager, found beside the manager itself."""
    import sys

    package = manager_class().__module__.rpartition(".")[0]
    return getattr(sys.modules[f"{package}.{module}"], name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.plant.__name__}")
def test_a_planted_violation_is_caught(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found without the plant; with it, its rule."""
    assert [str(violation) for violation in run_scenario(case.scenario).violations] == []
    case.plant(monkeypatch)
    found = run_scenario(case.scenario).violations
    assert {violation.rule for violation in found} == {case.rule, *case.others}, [str(violation) for violation in found]


def test_every_rule_has_a_plant() -> None:
    """S1 to S11."""
    assert {case.rule for case in CASES} == {f"S{number}" for number in range(1, 12)}
