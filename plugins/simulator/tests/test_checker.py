"""Each rule that is broken on purpose is reported, and its name is the right one."""

from collections.abc import Iterator

import pytest
from holdfast.engine.evidence_record import evidence_json
from holdfast.hooks.store import Insert, OwnedBy, Query, Update
from holdfast.model import (
    Evidence,
    GuestState,
    HaConfig,
    HAEvent,
    HaTransition,
    Host,
    Json,
    Kind,
    Opinion,
    Permit,
    PermitState,
    PowerAction,
    ResourceState,
    Secret,
    StoragePool,
    Vm,
    VmState,
    Work,
    WorkReason,
    WorkStep,
    Zone,
)
from holdfast.model.views import BmcView, VmSpec
from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.scenario import Scenario, WorldSize
from holdfast_simulator.session import Session
from holdfast_simulator.site import ServerLife
from holdfast_simulator.world.guests import Guest
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.network import AGENT, DATABASE


class Stage:
    """A session whose servers are played by the test."""

    def __init__(self) -> None:
        self.session = Session(Scenario(world=WorldSize(hosts=4, vms=2)), 0)
        self.world, self.store, self.site = self.session.world, self.session.site.store, self.session.site
        self.server: ServerLife = self.site.open("ms1")
        self.lease = self.world.coordinator.join("ms1", 1e6)
        assert not isinstance(self.lease, float)
        self.world.coordinator.claim(self.lease, ("h1", "h2", "h3", "h4"))

    def rules(self) -> set[str]:
        return {violation.rule for violation in self.session.checker.violations}

    def mark(
        self, host: str, state: str, resource_state: str = ResourceState.MAINTENANCE, incident: str = '{"roster":[]}'
    ) -> None:
        (row,) = self.store.select(Host, Query(equal={"uuid": host}))
        (config,) = self.store.select(HaConfig, Query(equal={"resource_id": row.id}))
        self.store.commit(
            [
                Update(Host, row.id, {"resource_state": resource_state}),
                Update(HaConfig, config.id, {"ha_state": state, "incident": incident}),
            ]
        )

    def cut(self, host: str) -> None:
        view = BmcView(host, "simulator", "", "", "", Secret(""))
        self.site.call(self.server.oobm.power_action, view, PowerAction.OFF, 5.0)

    def begin(self, host: str, vm: str, epoch: int) -> None:
        self.world.host(host).book.guests[vm] = Guest(VmSpec(vm, vm, vm, 1, 1, 1), epoch)
        self.world.tell(What.GUEST_BEGAN, host=host, vm=vm, run_epoch=epoch)

    def permit(self, vm_id: int, epoch: int, host_id: int, kind: str = "chassis-off") -> None:
        self.store.commit([Insert(Permit(vm_id=vm_id, run_epoch=epoch, host_id=host_id, proof_kind=kind))])

    def end_permit(self, vm_id: int, proof: str) -> None:
        (permit,) = self.store.select(Permit, Query(equal={"vm_id": vm_id}, unequal={"state": "ended"}))
        self.store.commit([Update(Permit, permit.id, {"state": PermitState.ENDED, "ended_by": proof})])


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.session.close()


def test_a_rightful_restart_breaks_nothing(stage: Stage) -> None:
    """The whole way: death, quarantine, cut, proof, permit, start."""
    stage.site.run(5)
    stage.world.host("h1").power_off("test")
    stage.site.run(10)
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    stage.end_permit(1, '{"kind":"chassis-off"}')
    stage.mark("h1", "Fenced")
    stage.permit(1, 2, 2)
    stage.begin("h2", "vm1", 2)
    assert stage.session.checker.violations == []


def test_s1_two_live_runs(stage: Stage) -> None:
    """The worst that can happen."""
    stage.permit(1, 2, 2)
    stage.begin("h2", "vm1", 2)
    assert stage.rules() == {"S1"}
    assert len(stage.session.checker.violations) >= 2


def test_s1_a_run_without_a_permit(stage: Stage) -> None:
    """Nothing was written down for it."""
    stage.world.host("h1").power_off("test")
    stage.begin("h2", "vm1", 7)
    assert stage.rules() == {"S1"}


def test_s1_a_permit_while_the_old_run_lives(stage: Stage) -> None:
    """Found when it is stored, before anything started."""
    stage.permit(1, 2, 2)
    assert stage.rules() == {"S1"}


def test_s1_an_end_that_is_none(stage: Stage) -> None:
    """A run is declared over on its host's word while it lives there."""
    stage.end_permit(1, '{"kind":"agent-report"}')
    assert stage.rules() == {"S1"}


def test_s1_a_start_that_still_waits_in_a_hung_host(stage: Stage) -> None:
    """The run is not there yet, and may come at any time."""
    stage.site.run(3)
    host = stage.world.host("h2")
    host.hang()
    spec = VmSpec("vm1", "vm1", "vm1", 1, 1, 1)
    from holdfast_simulator.world.agents import Start

    stage.world.agents.receive(
        host.session(), host, stage.world.agents.start, lambda answer: None, Start("ms1", spec, 2)
    )
    stage.world.host("h1").power_off("test")
    stage.end_permit(1, '{"kind":"chassis-off"}')
    assert stage.rules() == set()
    stage.permit(1, 3, 3)
    assert stage.rules() == {"S1"}


def test_s2_and_s4_a_healthy_host_is_cut(stage: Stage) -> None:
    """It was heard and it wrote, for long."""
    stage.site.run(20)
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    assert stage.rules() == {"S2", "S4"}


def test_s4_one_silent_path_is_no_witness(stage: Stage) -> None:
    """The link is silent; the storage heartbeat moves."""
    stage.site.run(5)
    stage.world.host("h1").kill_agent()
    stage.site.run(20)
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    assert stage.rules() == {"S4"}


def test_s3_an_accepted_order_is_taken_for_its_effect(stage: Stage) -> None:
    """The host is called fenced, and its run ended, while it lives."""
    stage.mark("h1", "Fenced")
    stage.end_permit(1, '{"kind":"chassis-off"}')
    assert stage.rules() == {"S3"}


def test_s5_an_effect_on_a_host_that_belongs_to_another(stage: Stage) -> None:
    """Its lease ended, and the other server took over."""
    assert not isinstance(stage.lease, float)
    stage.world.host("h1").power_off("test")
    stage.site.run(10)
    stage.mark("h1", "Fencing")
    stage.world.coordinator.leave(stage.lease)
    stage.site.run(1)
    stage.cut("h1")
    assert stage.rules() == {"S5"}


def test_s5_a_batch_of_an_earlier_owner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store should have refused it."""
    monkeypatch.setattr(MemoryStore, "_check_owner", lambda self, change: None)
    stage.store.commit([OwnedBy(1, 0)])
    assert stage.rules() == set()
    stage.store.commit([OwnedBy(1, 7)])
    assert stage.rules() == {"S5"}


def test_s6_a_server_without_its_database_fences(stage: Stage) -> None:
    """It should have stopped acting long ago."""
    stage.world.host("h1").power_off("test")
    stage.mark("h1", "Fencing")
    stage.world.network.set_up(DATABASE, "ms1", DATABASE, False)
    stage.site.run(30)
    stage.cut("h1")
    assert stage.rules() == {"S6"}


def test_s7_many_hosts_fall_silent_together(stage: Stage) -> None:
    """Three of four: the fault is not theirs."""
    stage.site.run(5)
    for name in ("h1", "h2", "h3"):
        stage.world.host(name).hang()
    stage.site.run(15)
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    assert stage.rules() == {"S7"}


def test_s7_a_host_that_is_dead_by_proof_is_not_in_doubt(stage: Stage) -> None:
    """Two others may be, of four."""
    stage.site.run(5)
    for name in ("h1", "h2", "h3"):
        stage.world.host(name).hang()
    stage.site.run(15)
    stage.world.host("h2").power_off("test")
    stage.mark("h2", "Fenced")
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    assert stage.rules() == set()


def test_s7_a_host_that_its_owner_hears_is_not_in_doubt(stage: Stage) -> None:
    """Though the server that cuts another one does not hear it."""
    stage.site.run(5)
    stage.world.coordinator.release(stage.lease, ("h3",))
    other = stage.world.coordinator.join("ms2", 1e6)
    assert not isinstance(other, float)
    stage.world.coordinator.claim(other, ("h3",))
    stage.world.network.set_up(AGENT, "h3", "ms1", False)
    for name in ("h1", "h2"):
        stage.world.host(name).hang()
    stage.site.run(15)
    stage.mark("h1", "Fencing")
    stage.cut("h1")
    assert stage.rules() == set()


def test_s8_a_cut_before_it_is_written_down(stage: Stage) -> None:
    """The store knows of no fence, nor of a quarantine."""
    stage.world.host("h1").power_off("test")
    stage.site.run(15)
    stage.cut("h1")
    assert stage.rules() == {"S8"}


def test_s8_a_cut_before_the_runs_are_written_down(stage: Stage) -> None:
    """Quarantined, and nobody has listed what runs there."""
    stage.world.host("h1").power_off("test")
    stage.site.run(15)
    stage.mark("h1", "Fencing", incident="{}")
    stage.cut("h1")
    assert stage.rules() == {"S8"}


def test_s2_a_host_is_condemned_on_an_unknown(stage: Stage) -> None:
    """As the stored transition says itself."""
    unknown = Evidence(Kind.HEARTBEAT, "h1", Opinion.UNKNOWN, "neighbours", 1.0, "nobody can look at pool p1")
    moved = HaTransition(
        host_id=1, event=HAEvent.OVER_THRESHOLD, prev_state="Checking", state="Recovering",
        evidence=Json(evidence_json((unknown,))),
    )  # fmt: skip
    stage.store.commit([Insert(moved)])
    assert stage.rules() == {"S2"}


def test_s8_a_start_is_permitted_into_quarantine(stage: Stage) -> None:
    """The target was on its way out."""
    stage.world.host("h1").power_off("test")
    stage.mark("h2", "Fencing")
    stage.end_permit(1, "{}")
    stage.permit(1, 2, 2)
    assert stage.rules() == {"S8"}


def test_s9_a_restart_in_another_zone(stage: Stage) -> None:
    """Never, by no proof."""
    (zone,) = stage.store.commit([Insert(Zone(uuid="z2", name="z2"))])
    stage.store.commit([Update(Host, 3, {"data_center_id": zone})])
    stage.world.host("h1").power_off("test")
    stage.end_permit(1, "{}")
    stage.permit(1, 2, 3)
    assert stage.rules() == {"S9"}


@pytest.mark.parametrize("scope", ["HOST", "CLUSTER"])
def test_s9_a_restart_away_from_its_storage(stage: Stage, scope: str) -> None:
    """A volume on a host's own disk, or on storage of another cluster, is not there."""
    stage.store.commit([Update(StoragePool, 1, {"scope": scope, "cluster_id": 7}), Update(Vm, 1, {"last_host_id": 1})])
    stage.world.host("h1").power_off("test")
    stage.end_permit(1, "{}")
    stage.permit(1, 2, 2)
    assert stage.rules() == {"S9"}


def test_s10_a_restart_given_up_without_an_alert(stage: Stage) -> None:
    """Somebody has to be told."""
    stage.world.host("h1").end_guest("vm1", GuestState.CRASHED)
    work = Work(instance_id=1, reason=WorkReason.VM_CRASHED, step=WorkStep.ERROR, host_id=1)
    stage.store.commit([Insert(work), Update(Vm, 1, {"state": VmState.STOPPED})])
    stage.session.checker.check_end()
    assert stage.rules() == {"S10"}


def test_s11_a_host_without_vms_resets_itself(stage: Stage) -> None:
    """Nothing was to be protected."""
    stage.world.tell(What.SELF_FENCED, host="h4", detail="watchdog")
    assert stage.rules() == {"S11"}


def test_a_vm_that_nobody_restarts_is_found(stage: Stage) -> None:
    """Liveness: it does not run, and nobody works on it."""
    stage.world.host("h1").end_guest("vm1", GuestState.CRASHED)
    stage.session.checker.check_end()
    assert stage.rules() == {"LIVENESS"}
