"""Alerts about hosts are closed when what they are about is over: what is open is what is wrong now."""

from collections.abc import Callable

import pytest
from holdfast.model import HAState, JobStatus
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode


def _open(bed: Bed, name: str) -> list[bool]:
    return [alert.resolved is None for alert in bed.alerts(f"ALERT.HA.{name}")]


@pytest.mark.parametrize("end", ["bmc", "alive", "declared", "disabled"])
def test_a_fence_that_is_stuck_is_told_of_until_it_ends(make_bed: Callable[..., Bed], end: str) -> None:
    """However it ends, and though another server took it over meanwhile."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()
    bed.run_until(lambda: _open(bed, "FENCE.STUCK") == [True], 200, step=1.0)
    bed.crash(bed.owner("h1"))
    bed.run(20)
    assert bed.state(1) == HAState.FENCING
    if end == "bmc":
        bed.machine("h1").bmc().set_mode(BmcMode.OK)
    elif end == "alive":
        bed.machine("h1").unhang()
    else:
        command = "declareHostDead" if end == "declared" else "disableHAForHost"
        done = bed.outcome(bed.job(command, 1, id=1, hostid=1, name="h1"))
        assert done.job_status == JobStatus.SUCCESS, done.job_result
    bed.run_until(lambda: bed.state(1) != HAState.FENCING, 200, step=1.0)
    assert not any(_open(bed, "FENCE.STUCK"))


def test_the_brake_is_told_of_until_it_lets_go(make_bed: Callable[..., Bed]) -> None:
    """And again, should it hold again."""
    bed = make_bed(hosts=4, servers=1, physics=Physics(watchdog_armed=False))
    for _ in range(2):
        for host in ("h1", "h2", "h3"):
            bed.machine(host).hang()
        bed.run(20)
        assert _open(bed, "BRAKE")[-1]
        for host in ("h1", "h2", "h3"):
            bed.machine(host).unhang()
        bed.run(10)
        assert not any(_open(bed, "BRAKE"))
    assert len(_open(bed, "BRAKE")) == 2
