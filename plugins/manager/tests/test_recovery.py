"""The main job: a host dies, its HA VMs run elsewhere, once; and every step of it is written down in its order."""

import json
from collections.abc import Callable

import pytest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import (
    Event,
    HaConfig,
    HAState,
    HaTransition,
    Host,
    HostStatus,
    ResourceState,
    Secret,
    VmState,
    Work,
)
from manager_bed import PASSWORD, Bed


def test_the_vms_of_a_dead_host_run_elsewhere(bed: Bed) -> None:
    """Power loss: host Fenced and down, in quarantine; VMs run on other hosts, once; within the budget of 6.5 s."""
    bed.add_vms(3)
    bed.machine("h1").power_off("power loss")
    took = bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    bed.run(1)
    assert took <= 6.5
    host = bed.host(1)
    assert (bed.state(1), host.status, host.resource_state) == (
        HAState.FENCED, HostStatus.DOWN, ResourceState.MAINTENANCE,
    )  # fmt: skip
    bed.check_once()
    assert all(len(bed.starts(vm.uuid)) == 1 for vm in bed.vms())


def test_quarantine_and_roster_are_stored_before_power_is_cut(bed: Bed) -> None:
    """S8: first the quarantine with the state, then the list of VMs, then the order to cut, then the cut."""
    bed.add_vms(2)
    story: list[str] = []

    def look(changes: tuple[Change, ...]) -> None:
        for change in changes:
            if isinstance(change, Update) and change.record is Host and change.id == 1:
                if change.values.get("resource_state") == ResourceState.MAINTENANCE:
                    story.append("quarantine")
            elif isinstance(change, Update) and change.record is HaConfig and "incident" in change.values:
                incident = json.loads(str(change.values["incident"]))
                if incident.get("roster") and "roster" not in story:
                    assert incident["roster"] == [[1, 1], [2, 1]]
                    story.append("roster")
            elif (
                isinstance(change, Insert)
                and isinstance(change.row, Event)
                and "cut the power" in change.row.description
            ):
                story.append("order to cut")
            elif isinstance(change, Insert) and isinstance(change.row, Work):
                story.append("restart")

    bed.store.observers.append(look)  # type: ignore[arg-type]
    bed.world.chronicle.watchers.append(
        lambda one: story.append("cut") if one.what == "power-ordered" and one.detail == "OFF" else None
    )
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    assert story == ["quarantine", "roster", "order to cut", "cut", "restart", "restart"]


def test_every_step_is_stored_with_its_evidence(bed: Bed) -> None:
    """Transitions and events of an incident carry evidence as JSON, and the cut is an event of its own."""
    bed.add_vms(1)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    rows = [*bed.events("HA.STATE.TRANSITION"), *bed.events("HA.FENCE")]
    assert bed.events("HA.FENCE")
    for row in rows:
        assert json.loads(row.evidence), row
    reached = {row.state: row for row in bed.store.select(HaTransition, Query(equal={"host_id": 1}))}
    for state in (HAState.SUSPECT, HAState.RECOVERING, HAState.FENCING, HAState.FENCED):
        pieces = json.loads(reached[state].evidence)
        assert pieces
        assert {"kind", "opinion", "source", "at"} <= set(pieces[0])


def test_no_secret_is_ever_stored_in_the_clear(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """The BMC's password shows in no row's text and in no log line, not even when the BMC refuses it."""
    caplog.set_level("DEBUG", "holdfast")
    bed.add_vms(1)
    bed.machine("h1").bmc().accept_only(Secret("another"))
    bed.machine("h1").hang()
    bed.run(60)
    assert PASSWORD not in bed.everything_stored()
    assert PASSWORD not in caplog.text


def test_a_hung_host_is_fenced_and_comes_back(bed: Bed) -> None:
    """A hung host is cut, powered on again, and returns to service once its maintenance is cancelled."""
    bed.add_vms(2)
    bed.machine("h1").hang()
    took = bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    assert took <= 10.0
    bed.run_until(lambda: bed.machine("h1").condition == "up", 60)
    assert bed.state(1) == HAState.FENCED
    job = bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))
    assert job.job_status == 1, job.job_result
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 20)
    assert bed.host(1).resource_state == ResourceState.ENABLED
    bed.check_once()


def test_what_a_fenced_host_is_said_to_wait_for_is_stored_as_it_changes(bed: Bed) -> None:
    """Those who read the row, or ask a server that does not own the host, are told what is so."""

    def stored() -> tuple[str, str]:
        return json.loads(bed.ha(1).waiting_for)[0], bed.ha(1).reason

    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 20)
    fenced = bed.ha(1).reason
    assert stored() == ("its agent to answer; then cancel its maintenance to return it", fenced)
    bed.run_until(lambda: bed.machine("h1").condition == "up", 60)
    bed.run(5)
    assert stored()[0] == "the host answers again: cancel its maintenance to return it"
    assert "the host answers again" in stored()[1]
    bed.machine("h1").power_off("power loss")
    bed.run(5)
    assert stored()[0] == "its agent to answer; then cancel its maintenance to return it"
    assert bed.outcome(bed.job("cancelHostMaintenance", 1, id=1)).job_status == 1
    bed.run(3)
    assert stored()[0] == "its agent to answer; then it returns to service"
    writes = bed.ha(1).update_count
    bed.run(30)
    assert bed.ha(1).update_count == writes
    bed.crash(bed.owner("h1"))
    bed.run(30)
    assert (stored()[0], bed.ha(1).update_count) == ("its agent to answer; then it returns to service", writes)


def test_a_host_that_an_operator_ordered_off_stays_off(bed: Bed) -> None:
    """The power-on after a fence respects an operator's last order."""
    bed.add_vms(1)
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF"))
    assert job.job_status == 1, job.job_result
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    bed.run(60)
    assert not bed.machine("h1").powered
    assert bed.orders("h1", "ON") == []


@pytest.mark.parametrize("back_after", [0.5, 2.0, 3.05, 3.3, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5])
def test_a_host_that_hangs_for_a_while_is_never_doubled(make_bed: Callable[..., Bed], back_after: float) -> None:
    """A hung host that wakes right before, during or after its fence: each VM runs once, somewhere, in the end."""
    bed = make_bed()
    bed.add_vms(2)
    bed.machine("h1").hang()
    bed.run(back_after)
    bed.machine("h1").unhang()
    bed.run(60)
    bed.check_once()
    assert all(vm.state == VmState.RUNNING for vm in bed.vms()), bed.show()
    if bed.state(1) == HAState.AVAILABLE:
        assert bed.host(1).resource_state == ResourceState.ENABLED
