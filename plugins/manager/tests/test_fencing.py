"""BMCs that lie, are slow, refuse or are dead; the lease path; an admin's word; the brake."""

from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import HAState, ResourceState, User, VmState
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode

UNARMED = Physics(watchdog_armed=False)


@pytest.mark.parametrize("mode", [BmcMode.LYING, BmcMode.REFUSING, BmcMode.DEAD, BmcMode.AUTH])
def test_without_proof_nothing_starts_elsewhere(make_bed: Callable[..., Bed], mode: BmcMode) -> None:
    """A hung host that cannot be cut, without a watchdog: its VMs wait, visibly; an alert says that it is stuck."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(mode)
    bed.machine("h1").hang()
    bed.run(200)
    assert bed.state(1) == HAState.FENCING
    assert len(bed.starts("vm1")) == 0
    assert len(bed.alerts("ALERT.HA.FENCE.STUCK")) >= 1
    assert bed.ha(1).waiting_for != "[]"
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: bed.runs_elsewhere(1), 90)
    bed.check_once()


def test_what_a_dark_bmc_did_is_told_and_not_only_that_time_ran_out(make_bed: Callable[..., Bed]) -> None:
    """Whoever reads the alert knows which device to look at."""
    bed = make_bed(physics=UNARMED)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()
    bed.run_until(lambda: bool(bed.alerts("ALERT.HA.FENCE.STUCK")), 200)
    assert "OFF at simulator bmc-h1: Unreachable: " in bed.alerts("ALERT.HA.FENCE.STUCK")[0].content


def test_a_slow_bmc_is_waited_for(make_bed: Callable[..., Bed]) -> None:
    """Twenty times slower: several attempts, one proof, one run."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.SLOW)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 120)
    bed.check_once()


def test_a_flapping_bmc_proves_nothing_by_a_glitch(make_bed: Callable[..., Bed]) -> None:
    """Single OFF readings among nonsense never fence a host that only lost its agent's link."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.FLAPPING)
    bed.machine("h1").kill_agent()
    bed.run(120)
    assert bed.world.live_runs("vm1") == [("h1", 1)]
    assert bed.state(1) in (HAState.DEGRADED, HAState.SUSPECT, HAState.CHECKING)
    assert bed.orders("h1") == []


def test_a_dead_bmc_is_overcome_by_the_lease(bed: Bed) -> None:
    """An armed watchdog and a lease that ran out are proof: within 30 s of the loss (design, time budget)."""
    bed.add_vms(2)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").power_off("power loss")
    took = bed.run_until(lambda: bed.runs_elsewhere(1), 60)
    assert took <= 30.0
    bed.check_once()


def test_the_lease_proves_nothing_unless_the_watchdog_was_armed(make_bed: Callable[..., Bed]) -> None:
    """The same without a watchdog waits for another proof; declareHostDead is one."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.put(User(uuid="u1", username="alice", password="", account_id=1))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").power_off("power loss")
    bed.run(90)
    assert len(bed.starts("vm1")) == 0
    wrong = bed.outcome(bed.job("declareHostDead", 1, id=1, name="h2"))
    assert (wrong.job_status, wrong.job_result_code) == (2, 431)
    job = bed.outcome(bed.job("declareHostDead", 1, id=1, name="h1"))
    assert job.job_status == 1, job.job_result
    bed.run_until(lambda: bed.runs_elsewhere(1), 10)
    assert bed.state(1) == HAState.FENCED
    assert "alice" in bed.everything_stored()
    bed.check_once()


def test_a_living_host_cannot_be_declared_dead(bed: Bed) -> None:
    """An admin's mistake is refused, and nothing happens."""
    bed.add_vms(1)
    job = bed.outcome(bed.job("declareHostDead", 1, id=1, name="h1"))
    assert (job.job_status, job.job_result_code) == (2, 431)
    bed.run(10)
    assert bed.state(1) == HAState.AVAILABLE


def test_a_declaration_that_the_store_does_not_take_is_no_success(make_bed: Callable[..., Bed]) -> None:
    """The job never says that a host is fenced which is not."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCING, 20)
    job = bed.job("declareHostDead", 1, id=1, name="h1")
    bed.run(1.0)
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.run(40)
    for name in bed.managers:
        bed.mend("database", name, "database")
    outcome = bed.outcome(job)
    assert (outcome.job_status == 1) == (bed.state(1) == HAState.FENCED), bed.show()


# --- the brake -------------------------------------------------------------------------------------------------------


def _silence(bed: Bed, hosts: list[str]) -> None:
    """The hosts hang: link and storage are silent, the chassis stays on."""
    for name in hosts:
        bed.machine(name).hang()


@pytest.mark.parametrize(("total", "hung", "servers"), [(5, 3, 1), (5, 3, 2), (10, 5, 1), (10, 5, 2), (10, 5, 3)])
def test_the_brake_holds_when_many_hosts_hang_at_once(
    make_bed: Callable[..., Bed], total: int, hung: int, servers: int
) -> None:
    """S7: nobody is cut, an alert says so; however the hosts are spread over the servers."""
    bed = make_bed(hosts=total, servers=servers, physics=Physics(watchdog_armed=False))
    for number in range(1, hung + 1):
        bed.add_vm(f"vm{number}", number)
    names = [f"h{number}" for number in range(1, hung + 1)]
    _silence(bed, names)
    bed.run(40)
    assert [bed.orders(name) for name in names] == [[]] * hung
    (alert,) = bed.alerts("ALERT.HA.BRAKE")  # one for all of them, whoever watches them
    assert alert.subject in ("ALERT.HA.BRAKE: cluster c1", "ALERT.HA.BRAKE: zone z1")
    assert f"of {total} hosts of" in alert.content
    # It lets go by itself: all but one come back, and that one is fenced.
    for name in names[1:]:
        bed.machine(name).unhang()
    bed.run_until(lambda: bed.runs_elsewhere(1, 1), 40)
    assert all(bed.orders(name) == [] for name in names[1:])
    bed.check_once()


def test_neighbours_that_hung_with_a_host_do_not_hide_those_who_saw_it_stop(make_bed: Callable[..., Bed]) -> None:
    """The first neighbours in line came back after its last beat, and saw nothing move: others are asked."""
    bed = make_bed(hosts=8, servers=1, physics=Physics(watchdog_armed=False), settings={"ha.brake.fraction": "0.9"})
    vm_id = bed.add_vm("vm1", 1)
    for number in range(2, 7):
        bed.cut("agent", "ms1", f"h{number}")  # nobody is told of them, so nobody is fenced
        bed.machine(f"h{number}").bmc().set_mode(BmcMode.DEAD)
    _silence(bed, [f"h{number}" for number in range(1, 7)])
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.run(2.0)
    for number in range(2, 7):
        bed.machine(f"h{number}").unhang()
        bed.mend("agent", "ms1", f"h{number}")
    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm_id), 40)
    bed.check_once()


def test_a_brake_that_holds_again_is_told_again(make_bed: Callable[..., Bed]) -> None:
    """One alert per time that it holds, with the domain's place and without a host of its own."""
    bed = make_bed(hosts=6, physics=Physics(watchdog_armed=False))
    names = ["h1", "h2", "h3"]
    for told in (1, 2):
        _silence(bed, names)
        bed.run(20)
        assert len(bed.alerts("ALERT.HA.BRAKE")) == told
        for name in names:
            bed.machine(name).unhang()
        bed.run(70)
    alert = bed.alerts("ALERT.HA.BRAKE")[0]
    assert (alert.data_center_id, alert.resource_id) == (bed.zone, "")


def test_two_of_three_hosts_are_fenced_all_the_same(bed: Bed) -> None:
    """Up to ha.brake.min.hosts silent hosts never trip the brake."""
    bed.add_vm("vm1", 1)
    bed.add_vm("vm2", 2)
    _silence(bed, ["h1", "h2"])
    bed.run_until(lambda: {vm.host_id for vm in bed.vms()} == {3} and bed.runs_elsewhere(1), 60)
    bed.check_once()


def test_the_brake_holds_no_restart_whose_proof_is_there(make_bed: Callable[..., Bed]) -> None:
    """S7: half of the hosts lose power; their chassis read OFF, so their VMs restart although the brake would hold."""
    bed = make_bed(hosts=10)
    for number in range(1, 6):
        bed.add_vm(f"vm{number}", number)
    for number in range(1, 6):
        bed.machine(f"h{number}").power_off("rack power")
    bed.run_until(lambda: all((vm.host_id or 0) > 5 and bed.world.serving(vm.uuid) for vm in bed.vms()), 20)
    bed.check_once()


@pytest.mark.parametrize("path", ["agent", "storage"])
def test_one_silent_path_fences_nobody(make_bed: Callable[..., Bed], path: str) -> None:
    """S4: the management link alone, or the storage alone, condemns no host."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    if path == "agent":
        for server in bed.managers:
            bed.cut("agent", server, "h1")
    else:
        bed.cut("storage", "h1", "pool1")
    bed.run(60)
    assert bed.orders("h1") == []
    assert bed.vm(1).state == VmState.RUNNING
    assert bed.host(1).resource_state == ResourceState.ENABLED
    bed.check_once()


def test_recover_first_is_stored_before_it_is_tried(make_bed: Callable[..., Bed]) -> None:
    """With recover-first the reset is counted in the tables before the BMC hears of it; the host comes back."""
    bed = make_bed(
        physics=Physics(watchdog_armed=False, host_boot=5.0),
        settings={"kvm.ha.recover.failure.threshold": "1", "kvm.ha.recover.wait.period": "30"},
    )
    bed.add_vms(1)
    stored: list[Any] = []
    bed.world.chronicle.watchers.append(
        lambda one: stored.append(bed.ha(1).incident) if one.what == "power-ordered" else None
    )
    bed.machine("h1").hang()
    bed.run_until(lambda: stored != [], 20)
    assert '"recoveries":1' in stored[0]
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE and bed.world.serving("vm1"), 60)
    bed.run(5)
    bed.check_once()
