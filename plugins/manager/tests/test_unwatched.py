"""A silent host for which host HA is off: its VMs are not restarted, and that is said, with the way out."""

from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import HAState, HostStatus, JobStatus
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed

ALERT = "ALERT.HA.UNWATCHED"


def _switch_off(bed: Bed, how: str) -> None:
    if how == "disabled":
        bed.outcome(bed.job("disableHAForHost", 1, hostid=1))
    else:
        bed.outcome(bed.job("disableOutOfBandManagementForHost", 1, hostid=1))
    bed.run(3)


def _explained(bed: Bed, vm: str) -> Any:
    manager = bed.managers[bed.owner("h1")]
    asked = bed.loop.spawn(
        bed.lives[manager.name].process, manager.desk.pool("plan").call(10.0, manager._vm_explainer.explain, vm)
    )
    bed.run(1)
    return " ".join(asked.result()["waitingfor"])


@pytest.mark.parametrize("how", ["disabled", "ineligible"])
def test_one_alert_tells_of_it_and_is_closed_when_the_host_answers(bed: Bed, how: str) -> None:
    """Once, whoever watches it; nothing is said of a host on which no VM runs."""
    vm = bed.add_vm("vm1", 1)
    _switch_off(bed, how)
    bed.machine("h1").power_off("power loss")
    bed.run(30)
    bed.crash(bed.owner("h1"))
    bed.run(30)
    (alert,) = bed.alerts(ALERT)
    assert (alert.resource_id, alert.resolved) == ("h1", None)
    assert ("declareHostDead" if how == "ineligible" else "enableHAForHost") in alert.content
    assert "which is " + how.capitalize() in _explained(bed, "vm1")
    bed.machine("h1").power_on("repaired")
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP and bed.world.serving("vm1"), 60)
    assert bed.alerts(ALERT)[0].resolved is not None
    assert bed.vm(vm).run_epoch == 2
    bed.check_once()


def test_an_empty_host_may_be_silent(bed: Bed) -> None:
    """As one is that is being repaired."""
    _switch_off(bed, "ineligible")
    bed.machine("h1").power_off("repair")
    bed.run(30)
    assert bed.host(1).status == HostStatus.DISCONNECTED
    assert bed.alerts(ALERT) == []


@pytest.mark.parametrize("how", ["disabled", "ineligible"])
def test_what_the_alert_advises_works(bed: Bed, how: str) -> None:
    """The VMs run elsewhere, and the alert is closed."""
    vm = bed.add_vm("vm1", 1)
    _switch_off(bed, how)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.alerts(ALERT) != [], 10)
    order = "declareHostDead" if how == "ineligible" else "enableHAForHost"
    done = bed.outcome(bed.job(order, 1, id=1, hostid=1, name="h1"))
    assert done.job_status == JobStatus.SUCCESS, done.job_result
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 20)
    assert bed.state(1) == HAState.FENCED
    assert [alert.resolved is None for alert in bed.alerts(ALERT)] == [False]
    bed.check_once()


def test_ha_that_is_switched_off_for_a_silent_host_is_told_of(make_bed: Callable[..., Bed]) -> None:
    """It falls silent first, and its HA is switched off while it is in doubt."""
    bed = make_bed(
        settings={"ha.brake.fraction": "0", "ha.brake.min.hosts": "1"}, physics=Physics(watchdog_armed=False)
    )
    bed.add_vm("vm1", 1)
    for host in ("h1", "h2"):
        bed.machine(host).hang()
    bed.run(10)
    assert bed.state(1) in (HAState.SUSPECT, HAState.CHECKING)
    asked = bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
    assert (asked.job_status, "disable its HA" in asked.job_result) == (JobStatus.FAILURE, True)
    assert bed.alerts(ALERT) == []
    _switch_off(bed, "disabled")
    assert len(bed.alerts(ALERT)) == 1
    bed.machine("h1").unhang()
    bed.run_until(lambda: bed.alerts(ALERT)[0].resolved is not None, 10)
