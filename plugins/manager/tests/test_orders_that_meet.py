"""Two orders about one VM at the same time: neither undoes what the other is doing, and each says what came of it."""

from collections.abc import Callable

import pytest
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, Event, HAState, JobStatus, Moment, PermitState, VmState
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


def _moving(bed: Bed) -> tuple[int, int]:
    """A VM that moves from h1 to h2, and the job that moves it."""
    vm = bed.add_vm("vm1", 1)
    move = bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=2)
    bed.run_until(lambda: bed.vm(vm).state == VmState.MIGRATING, 10, step=0.01)
    return vm, move


def _stops(bed: Bed) -> int:
    return sum(one.what is What.SENT and one.detail == "stop" for one in bed.world.chronicle.trace)


@pytest.mark.parametrize("target", [2, 3])
def test_a_second_move_does_not_end_the_first(bed: Bed, target: int) -> None:
    """It is refused while the VM is on its way; nothing is stopped at the target."""
    vm, move = _moving(bed)
    second = bed.outcome(bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=target))
    assert (second.job_status, second.job_result_code) == (JobStatus.FAILURE, 431)
    assert "is being moved" in second.job_result
    assert bed.outcome(move).job_status == JobStatus.SUCCESS
    assert (bed.vm(vm).state, bed.vm(vm).host_id) == (VmState.RUNNING, 2)
    assert _stops(bed) == 0
    bed.check_once()


@pytest.mark.parametrize("emptied", [1, 2])
def test_maintenance_waits_for_moves_that_others_ordered(bed: Bed, emptied: int) -> None:
    """Of the source as well as of the target: the VM arrives first, and then it is looked whether it is in the way."""
    vm, move = _moving(bed)
    prepare = bed.outcome(bed.job("prepareHostForMaintenance", emptied, id=emptied))
    assert prepare.job_status == JobStatus.SUCCESS, prepare.job_result
    assert bed.outcome(move).job_status == JobStatus.SUCCESS
    assert bed.vm(vm).state == VmState.RUNNING
    assert bed.vm(vm).host_id != emptied
    assert _stops(bed) == 0
    bed.check_once()


def test_maintenance_waits_for_vms_that_start_there(make_bed: Callable[..., Bed]) -> None:
    """They had their permits before the host was closed; each is moved once it runs."""
    bed = make_bed(physics=Physics(vm_start=3.0))
    vm = bed.add_vm("vm1", None)
    start = bed.job("startVirtualMachine", 1, id=vm, hostid=1)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STARTING, 10, step=0.01)
    prepare = bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
    assert prepare.job_status == JobStatus.SUCCESS, prepare.job_result
    assert bed.outcome(start).job_status == JobStatus.SUCCESS
    assert (bed.vm(vm).state, bed.vm(vm).host_id == 1) == (VmState.RUNNING, False)
    assert len(bed.starts("vm1")) == 2
    bed.check_once()


def test_an_order_about_a_vm_that_is_gone_names_it(bed: Bed) -> None:
    """By the name that people know."""
    vm = bed.add_vm("vm1", 1)
    bed.outcome(bed.job("destroyVirtualMachine", 1, id=vm, expunge=True))
    assert "virtual machine vm1 was removed" in bed.outcome(bed.job("stopVirtualMachine", 1, id=vm)).job_result


def test_the_same_start_may_be_ordered_several_times_at_once(bed: Bed) -> None:
    """All find the one run that comes of it."""
    vm = bed.add_vm("vm1", None)
    jobs = []
    for _ in range(12):
        jobs.append(bed.job("startVirtualMachine", None, id=vm))
        for manager in bed.managers.values():
            manager.jobs.kick()
        bed.run(0.002)
    for job in jobs:
        outcome = bed.outcome(job)
        assert outcome.job_status == JobStatus.SUCCESS, outcome.job_result
    assert len(bed.starts("vm1")) == 1
    bed.check_once()


def test_a_vm_that_is_being_stopped_is_not_started(make_bed: Callable[..., Bed]) -> None:
    """The start is refused: to say that it runs would be true for a moment only."""
    bed = make_bed(settings={"ha.vm.start.timeout": "3"})
    vm = bed.add_vm("vm1", 1)
    owner = bed.owner("h1")
    bed.cut("agent", owner, "h1")
    stop = bed.job("stopVirtualMachine", 1, id=vm)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPING, 5, step=0.01)
    start = bed.outcome(bed.job("startVirtualMachine", 1, id=vm))
    assert (start.job_status, start.job_result_code) == (JobStatus.FAILURE, 431)
    assert "is being stopped" in start.job_result
    bed.mend("agent", owner, "h1")
    bed.outcome(stop)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPED, 90)


def test_a_stop_that_is_overtaken_by_the_proof_of_death_has_succeeded(make_bed: Callable[..., Bed]) -> None:
    """The host never answers it, but is fenced while the answer is awaited: the VM is stopped, as was ordered."""
    bed = make_bed(settings={"ha.vm.start.timeout": "30"})
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").hang()
    stop = bed.job("stopVirtualMachine", 1, id=vm)
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 60)
    outcome = bed.outcome(stop)
    assert outcome.job_status == JobStatus.SUCCESS, outcome.job_result
    assert bed.vm(vm).state == VmState.STOPPED
    assert bed.permits(vm_id=vm, state=PermitState.RUNNING) == []


def test_the_events_of_two_orders_about_one_host_keep_their_types(bed: Bed) -> None:
    """The end of the first is told under its own type, though the second was ordered before it ended."""
    bed.add_vm("vm1", 1)
    for command, kind, at in (
        ("prepareHostForMaintenance", "MAINT.PREPARE", 1.0),
        ("reconnectHost", "HOST.RECONNECT", 2.0),
    ):
        bed.put(Event(uuid=kind, type=kind, state="Scheduled", description="", resource_id="h1", created=Moment(at)))
        job = bed.job(command, 1, id=1)
        bed.edit(AsyncJob, job, created=at, instance_uuid="h1")
    for job in (1, 2):
        assert bed.outcome(job).job_status == JobStatus.SUCCESS
    ends = {
        event.description: event.type for event in bed.store.select(Event, Query()) if "completed" in event.description
    }
    assert ends == {"prepareHostForMaintenance completed": "MAINT.PREPARE", "reconnectHost completed": "HOST.RECONNECT"}
    bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))
    assert [event.description for event in bed.events("MAINT.CANCEL")] == ["host h1: Enabled"]
