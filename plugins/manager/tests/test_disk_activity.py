"""An agent that stands still while its host's VMs write: silent on every path, and not dead."""

from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import Unsupported
from holdfast.model import HAState, Permit, PermitState
from holdfast.model.views import DiskReading, PoolView
from holdfast_simulator.heartbeat import SimulatorHeartbeat
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed

UNARMED = Physics(watchdog_armed=False)
ALERT = "ALERT.HA.DEGRADED"
BLIND = "a LUN cannot tell when it was written last"


def seen_of_disks(bed: Bed) -> list[dict[str, Any]]:
    """What an explanation of the first host says of its VMs' disks."""
    explained = bed.managers[bed.owner("h1")].explain_host("h1")
    return [piece for piece in explained["evidence"] if piece["kind"] == "disk-activity"]


def test_a_host_whose_vms_write_is_left_alone_and_told_of_once(make_bed: Callable[..., Bed]) -> None:
    """Degraded, with an alert that stays one however often it is suspected afresh, and ends when the agent goes on."""
    bed = make_bed(physics=UNARMED, settings={"kvm.ha.degraded.max.period": "10"})
    bed.add_vms(2)
    bed.machine("h1").freeze_agent()
    bed.run_until(lambda: bed.state(1) == HAState.DEGRADED, 15)
    bed.run(90)
    assert bed.orders("h1") == []
    assert bed.world.live_runs("vm1") == [("h1", 1)]
    (alert,) = bed.alerts(ALERT)
    assert alert.resolved is None
    assert "disk vm1.qcow2 on pool1 changed" in alert.content or "disk vm2.qcow2 on pool1 changed" in alert.content
    bed.machine("h1").thaw_agent()
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 5)
    (alert,) = bed.alerts(ALERT)
    assert alert.resolved is not None
    assert bed.works() == []
    bed.check_once()


def test_the_alert_outlives_the_server_that_wrote_it(make_bed: Callable[..., Bed]) -> None:
    """The next owner knows of it: it writes no second one, and closes the first."""
    bed = make_bed(physics=UNARMED)
    bed.add_vms(1)
    bed.machine("h1").freeze_agent()
    bed.run_until(lambda: bool(bed.alerts(ALERT)), 15)
    bed.crash(bed.owner("h1"))
    bed.run(40)
    assert bed.state(1) == HAState.DEGRADED
    bed.machine("h1").thaw_agent()
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 5)
    assert [alert.resolved is None for alert in bed.alerts(ALERT)] == [False]


def test_a_rack_of_frozen_agents_brings_no_alert_for_each(make_bed: Callable[..., Bed]) -> None:
    """The brake holds, and says so once for all of them; whoever is left afterwards is told of by itself."""
    bed = make_bed(hosts=6, physics=UNARMED, settings={"kvm.ha.degraded.max.period": "10"})
    for number in range(1, 5):
        bed.add_vm(f"vm{number}", number)
        bed.machine(f"h{number}").freeze_agent()
    bed.run_until(lambda: all(bed.state(number) == HAState.DEGRADED for number in range(1, 5)), 20)
    assert bed.alerts(ALERT) == []
    for number in range(2, 5):
        bed.machine(f"h{number}").thaw_agent()
    bed.run_until(lambda: [alert.resource_id for alert in bed.alerts(ALERT)] == ["h1"], 40)


def test_a_host_that_hangs_later_is_fenced_once_its_disks_stand_still(make_bed: Callable[..., Bed]) -> None:
    """A sign of life lasts for the window, and no longer."""
    bed = make_bed(physics=UNARMED, settings={"kvm.ha.activity.check.window": "20"})
    bed.add_vms(1)
    bed.machine("h1").freeze_agent()
    bed.run_until(lambda: bed.state(1) == HAState.DEGRADED, 15)
    bed.machine("h1").hang()
    took = bed.run_until(lambda: bed.runs_elsewhere(1), 60)
    assert 20 <= took <= 28
    bed.check_once()


def test_disks_that_stand_still_delay_nothing(make_bed: Callable[..., Bed]) -> None:
    """A host that hangs, with VMs, is fenced as soon as one without; so is one whose guests have nothing to write."""
    took = {}
    for vms in (0, 3):
        bed = make_bed(physics=UNARMED)
        bed.add_vms(vms)
        bed.machine("h1").hang()
        took[vms] = bed.run_until(lambda bed=bed: bool(bed.orders("h1", "OFF")), 20)
        bed.run_until(lambda bed=bed: bed.state(1) == HAState.FENCED, 20)
        bed.check_once()
    assert took[3] <= took[0] + 0.3


def test_storage_that_cannot_tell_of_disks_says_so_and_delays_nothing(
    make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fence comes as without the question, and people see what is not known of the host."""

    def blind(self: object, pool: PoolView, *_: object) -> DiskReading:
        raise Unsupported(f"pool {pool.name}: {BLIND}")

    took = {}
    for asked in (False, True):
        bed = make_bed(physics=UNARMED)
        if asked:
            bed.add_vms(1)
            monkeypatch.setattr(SimulatorHeartbeat, "look_at_disks", blind)
        began = bed.loop.time()
        bed.machine("h1").hang()
        if asked:
            bed.run_until(lambda bed=bed: bool(seen_of_disks(bed)), 10, step=0.05)
            (piece,) = seen_of_disks(bed)
            assert (piece["opinion"], piece["detail"]) == ("unknown", f"pool pool1: {BLIND}")
        bed.run_until(lambda bed=bed: bool(bed.orders("h1", "OFF")), 20)
        took[asked] = bed.loop.time() - began
    assert took[True] <= took[False] + 0.3


def test_a_frozen_agent_of_an_idle_host_costs_nobody_a_vm(make_bed: Callable[..., Bed]) -> None:
    """Nothing shows that such a host lives, so it is fenced; there is nothing on it."""
    bed = make_bed(physics=UNARMED)
    bed.machine("h1").freeze_agent()
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)
    assert bed.alerts(ALERT) == []


def test_a_disk_that_two_hosts_may_write_speaks_for_neither(make_bed: Callable[..., Bed]) -> None:
    """In the middle of a migration it changes whoever of them is dead."""
    bed = make_bed(physics=UNARMED)
    vm_id = bed.add_vm("vm1", 1)
    bed.add_vm("vm2", 2)
    bed.put(Permit(vm_id=vm_id, run_epoch=2, host_id=2, state=PermitState.ISSUED, proof_kind="never-ran"))
    bed.machine("h1").freeze_agent()
    bed.run_until(lambda: bool(bed.orders("h1", "OFF")), 20)


def test_an_armed_watchdog_ends_what_a_frozen_agent_left(make_bed: Callable[..., Bed]) -> None:
    """Nobody feeds it, so the host is reset; until then its disks contradict any proof, and no VM runs twice."""
    bed = make_bed()
    bed.add_vms(2)
    bed.machine("h1").freeze_agent()
    bed.run(15)
    assert bed.orders("h1") == []
    bed.run_until(
        lambda: all(bed.world.serving(name) for name in ("vm1", "vm2")) and bed.state(1) != HAState.DEGRADED, 90
    )
    assert len(bed.starts("vm1")) == 1
    bed.check_once()


@pytest.mark.parametrize("servers", [1, 2])
def test_neighbours_that_cannot_say_are_unknown(make_bed: Callable[..., Bed], servers: int) -> None:
    """The pool that the beats are on answers, the one with the disks does not: that condemns nobody (S2, S4)."""
    bed = make_bed(pools=2, servers=servers, physics=UNARMED)
    bed.add_vms(1)
    bed.world.set_pool("pool1", up=False)
    bed.machine("h1").freeze_agent()
    bed.run(30)
    assert bed.orders("h1") == []
    bed.world.set_pool("pool1", up=True)
    bed.run_until(lambda: bed.state(1) == HAState.DEGRADED, 20)
    assert bed.orders("h1") == []
