"""Two hosts that name the same BMC: by mistake, and neither is fenced or proven dead by it."""

from collections.abc import Callable

import pytest
from holdfast.hooks.store import Query
from holdfast.model import HAState, Json, Oobm
from holdfast_simulator.oobm import SimulatorOobm
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


def device(bed: Bed, host: int) -> Oobm:
    """The row of a host."""
    return bed.store.select(Oobm, Query(equal={"host_id": host}))[0]


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, port and one option name a machine, as with most BMCs."""
    monkeypatch.setattr(SimulatorOobm, "MACHINE_OPTIONS", ("outlets",))


@pytest.mark.usefixtures("named")
def test_a_bmc_that_two_hosts_name_fences_neither(make_bed: Callable[..., Bed]) -> None:
    """Its OFF would be the other one's. The host waits, and everybody is told why, until one row is put right."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    right = device(bed, 2).address
    bed.edit(Oobm, device(bed, 2).id, address=" BMC-H1 ", port="0623")
    bed.run(15)
    for host, other in ((1, "h2"), (2, "h1")):
        assert device(bed, host).power_state == "Unknown"
        assert f"host {other} has the same device" in device(bed, host).problem
    refused = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 2, hostid=2, action="OFF"))
    assert "host h1 has the same device (simulator" in refused.job_result
    bed.machine("h1").hang()
    bed.run_until(lambda: bool(bed.alerts("ALERT.HA.FENCE.STUCK")), 200)
    assert (bed.state(1), bed.starts("vm1"), bed.orders("h1"), bed.orders("h2")) == (HAState.FENCING, [], [], [])
    assert "host h2 has the same device" in bed.alerts("ALERT.HA.FENCE.STUCK")[0].content

    bed.edit(Oobm, device(bed, 2).id, address=right)
    bed.run_until(lambda: bed.runs_elsewhere(1), 90)
    bed.check_once()


@pytest.mark.usefixtures("named")
def test_it_is_not_ready_and_well_again(make_bed: Callable[..., Bed]) -> None:
    """What an operator sees the same day. Several machines behind one BMC are told apart by its options."""
    bed = make_bed(settings={"outofbandmanagement.readiness.interval": "60"})
    there = device(bed, 1)
    bed.edit(Oobm, device(bed, 3).id, address=there.address, update_count=7, options=Json('{"outlets": "2"}'))
    bed.edit(Oobm, device(bed, 2).id, address=there.address, update_count=7)
    bed.run(70)
    assert [device(bed, host).readiness for host in (1, 2)] == ["NotReady"] * 2
    assert "host h1 has the same device" in device(bed, 2).readiness_detail
    assert "same device" not in device(bed, 3).readiness_detail + device(bed, 3).problem
    bed.edit(Oobm, device(bed, 2).id, enabled=False)
    bed.run(70)
    assert (device(bed, 1).readiness, device(bed, 1).power_state) == ("Ready", "On")
