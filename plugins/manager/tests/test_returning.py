"""Fenced hosts that return by themselves: where that was asked for, only what host HA closed, and only healthy."""

import json
from collections.abc import Callable

import pytest
from holdfast.model import HAState, JobStatus, ResourceState, VmState
from manager_bed import Bed, BmcMode

SECONDS = 20.0
ON = {"ha.return.after.fence": f"{SECONDS:g}"}


def _fence_h1(bed: Bed) -> None:
    """It is fenced, powered on again, and up."""
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)
    bed.run_until(lambda: bed.machine("h1").condition == "up", 60)


def _is_back(bed: Bed, number: int = 1) -> bool:
    return (bed.state(number), bed.host(number).resource_state) == (HAState.AVAILABLE, ResourceState.ENABLED)


def _stays(bed: Bed, state: str = ResourceState.MAINTENANCE) -> None:
    bed.run(3 * SECONDS)
    assert bed.host(1).resource_state == state, bed.show()
    bed.check_once()


def test_a_fenced_host_that_is_healthy_for_the_time_returns(make_bed: Callable[..., Bed]) -> None:
    """Not before, with an event that says why; meanwhile it says what it waits for, here and in its row."""
    bed = make_bed(settings=ON)
    vm = bed.add_vm("vm1", 1)
    _fence_h1(bed)
    bed.run(5)
    assert any("healthy for 20 s" in text for text in json.loads(bed.ha(1).waiting_for))
    live = bed.managers[bed.owner("h1")].explain_host("h1")["waitingfor"]
    assert any("s so far" in text for text in live), live
    took = 5 + bed.run_until(lambda: _is_back(bed), 60)
    assert took >= SECONDS
    assert "ha.return.after.fence" in bed.events("MAINT.CANCEL")[0].description
    assert json.loads(bed.ha(1).waiting_for) == []
    assert bed.runs_elsewhere(1, vm)
    bed.check_once()


def test_without_the_setting_it_stays_until_somebody_has_looked_after_it(bed: Bed) -> None:
    """The default, and upstream's way."""
    _fence_h1(bed)
    _stays(bed)
    assert not any("by itself" in text for text in json.loads(bed.ha(1).waiting_for))


def test_a_cluster_that_lost_its_power_comes_back_with_its_vms(make_bed: Callable[..., Bed]) -> None:
    """All hosts at once, so that no VM found a place: nobody has to cancel anything."""
    bed = make_bed(settings=ON)
    bed.add_vms(3)
    for number in (1, 2, 3):
        bed.machine(f"h{number}").power_off("power loss")
    bed.run_until(lambda: all(bed.state(number) == HAState.FENCED for number in (1, 2, 3)), 60)
    bed.run_until(lambda: all(_is_back(bed, number) for number in (1, 2, 3)), 180)
    bed.run_until(lambda: all(vm.state == VmState.RUNNING for vm in bed.vms()), 30)
    bed.check_once()


def test_a_break_begins_the_time_anew(make_bed: Callable[..., Bed]) -> None:
    """However short: silent once is not healthy."""
    bed = make_bed(settings=ON, servers=1)
    _fence_h1(bed)
    bed.run(15)
    bed.cut("agent", "ms1", "h1")
    bed.run(4)
    bed.mend("agent", "ms1", "h1")
    bed.run(SECONDS - 2)
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    bed.run_until(lambda: _is_back(bed), 30)


@pytest.mark.parametrize("how", ["maintenance", "declared", "off", "bmc", "disabled"])
def test_what_somebody_decided_or_could_not_be_fenced_again_stays(make_bed: Callable[..., Bed], how: str) -> None:
    """Maintenance that was ordered since, death that was declared, OFF that was ordered, a BMC that went dark."""
    bed = make_bed(settings=ON)
    bed.add_vms(1)
    if how == "disabled":
        bed.edit(type(bed.host(1)), 1, resource_state=ResourceState.DISABLED)
        bed.run(5)
    if how == "declared":
        bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
        bed.machine("h1").power_off("power loss")
        bed.run(8)
        assert bed.outcome(bed.job("declareHostDead", 1, id=1, name="h1")).job_status == JobStatus.SUCCESS
        bed.run_until(lambda: bed.state(1) == HAState.FENCED, 60)
        bed.machine("h1").bmc().set_mode(BmcMode.OK)
        bed.machine("h1").power_on("repaired")
    else:
        _fence_h1(bed)
    if how == "maintenance":
        ordered = bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
        assert ordered.job_status == JobStatus.SUCCESS
    elif how == "off":
        bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF"))
        bed.machine("h1").power_on("by hand")
    elif how == "bmc":
        bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    _stays(bed)


def test_a_host_that_is_fenced_again_within_a_day_stays_with_an_alert(make_bed: Callable[..., Bed]) -> None:
    """Once may be the power; twice is the host, and each return would take VMs along."""
    bed = make_bed(settings=ON)
    _fence_h1(bed)
    bed.run_until(lambda: _is_back(bed), 60)
    _fence_h1(bed)
    _stays(bed)
    assert "within a day" in bed.alerts("ALERT.HA.QUARANTINE")[0].content
    assert not any("by itself" in text for text in json.loads(bed.ha(1).waiting_for))
    assert bed.outcome(bed.job("cancelHostMaintenance", 1, id=1)).job_status == JobStatus.SUCCESS
    bed.run_until(lambda: _is_back(bed), 20)


def test_another_server_goes_on_with_it(make_bed: Callable[..., Bed]) -> None:
    """It sees for itself that the host is healthy, for the whole time."""
    bed = make_bed(settings=ON)
    _fence_h1(bed)
    bed.run(SECONDS - 8)
    bed.crash(bed.owner("h1"))
    bed.run(SECONDS - 2)
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    bed.run_until(lambda: _is_back(bed), 40)
