"""Jobs: carried on by another server, begun again from the start at any point, never done twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import Conflict, OutcomeUnknown
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, HaConfig, HAState, Host, JobStatus, Permit, PermitState, ResourceState, VmState
from holdfast.model.states import GuestState
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


def _crash_steps(command: Callable[[Bed], int], servers: int = 1) -> int:
    """How many callbacks the server runs while it carries out the job."""
    bed = Bed(servers=servers)
    try:
        life = bed.lives["ms1"]
        before = life.process.steps
        bed.outcome(command(bed))
        return life.process.steps - before
    finally:
        bed.close()


def _deploy(bed: Bed) -> int:
    return bed.job("deployVirtualMachine", 1, id=bed.add_vm("vm1", None), hostid=1, startvm=True)


def _stop(bed: Bed) -> int:
    return bed.job("stopVirtualMachine", 1, id=bed.add_vm("vm1", 1))


def _migrate(bed: Bed) -> int:
    return bed.job("migrateVirtualMachine", 1, virtualmachineid=bed.add_vm("vm1", 1), hostid=2)


def _reboot(bed: Bed) -> int:
    return bed.job("rebootVirtualMachine", 1, id=bed.add_vm("vm1", 1))


def _maintain(bed: Bed) -> int:
    bed.add_vms(2)
    return bed.job("prepareHostForMaintenance", 1, id=1)


def _destroy(bed: Bed) -> int:
    return bed.job("destroyVirtualMachine", 1, id=bed.add_vm("vm1", 1), expunge=True)


@pytest.mark.parametrize("command", [_deploy, _stop, _migrate, _maintain, _destroy])
def test_a_job_may_be_interrupted_at_any_step(command: Callable[[Bed], int]) -> None:
    """The server dies at steps spread over the job and comes back: the job ends, and the tables tell the truth."""
    steps = _crash_steps(command)
    for step in range(1, steps, max(1, steps // 10)):
        bed = Bed(servers=1)
        try:
            job = command(bed)
            bed.crash_at("ms1", step)
            outcome = bed.outcome(job)
            bed.run_until(
                lambda bed=bed: all(vm.state not in (VmState.STARTING, VmState.MIGRATING) for vm in bed.vms()), 100
            )
            bed.check_once()
            if command is not _migrate:
                assert outcome.job_status == 1, outcome.job_result
        except AssertionError as problem:
            raise AssertionError(f"killed at step {step} of {steps}: {problem}") from problem
        finally:
            bed.close()


def test_a_job_taken_by_a_server_that_dies_is_carried_on_by_the_other(bed: Bed) -> None:
    """No restart needed: the owner of the host changes, and with it the job."""
    vm = bed.add_vm("vm1", None)
    owner = bed.owner("h1")
    job = bed.job("deployVirtualMachine", 1, id=vm, hostid=1, startvm=True)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 1, 10, step=0.01)
    bed.crash(owner)
    outcome = bed.outcome(job)
    assert outcome.job_status == 1, outcome.job_result
    assert outcome.mgmt_server_id == next(iter(bed.managers.values())).desk.msid
    assert len(bed.starts("vm1")) == 1
    bed.check_once()


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("command", [_deploy, _stop, _migrate])
def test_a_job_survives_a_commit_whose_outcome_is_unknown(command: Callable[[Bed], int], side: str) -> None:
    """The connection breaks around each commit of the job in turn: it is begun again, and ends well."""
    for number in range(1, 9):
        bed = Bed(servers=1)
        try:
            store = bed.lives["ms1"].store
            first = store.commits

            def broken(count: int, _changes: Any, first: int = first, number: int = number) -> None:
                if count == first + number:
                    raise OutcomeUnknown("broke off")

            setattr(store, f"{side}_commit", broken)
            job = command(bed)
            outcome = bed.outcome(job)
            if command is not _migrate:
                assert outcome.job_status == 1, outcome.job_result
            bed.check_once()
            assert all(vm.state in (VmState.RUNNING, VmState.STOPPED) for vm in bed.vms())
        except AssertionError as problem:
            raise AssertionError(f"broke off {side} commit {number}: {problem}") from problem
        finally:
            bed.close()


def test_a_reset_is_not_sent_twice_after_a_crash(make_bed: Callable[..., Bed]) -> None:
    """The server dies after the reset was ordered: the job ends, the host was reset once."""
    bed = make_bed(servers=1, physics=Physics(host_boot=2.0))
    job = bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="RESET")
    bed.run_until(lambda: bed.orders("h1", "RESET") != [], 10, step=0.01)
    bed.crash("ms1")
    bed.run(1)
    bed.start("ms1")
    outcome = bed.outcome(job)
    assert outcome.job_status == 1, outcome.job_result
    assert len(bed.orders("h1", "RESET")) == 1


def _reboots(bed: Bed) -> int:
    return sum(one.what is What.GUEST_REBOOTED for one in bed.world.chronicle.trace)


def test_a_reboot_is_never_sent_twice(make_bed: Callable[..., Bed]) -> None:
    """The server dies at any step of the job: the guest reboots at most once, and the job says what is known."""
    seen = set()
    steps = _crash_steps(_reboot)
    for step in range(1, steps, max(1, steps // 40)):
        bed = make_bed(servers=1)
        job = _reboot(bed)
        bed.crash_at("ms1", step)
        outcome = bed.outcome(job)
        text = json.loads(outcome.job_result).get("errortext", "")
        assert _reboots(bed) <= 1, step
        if outcome.job_status == 1:
            assert _reboots(bed) == 1, step
        else:
            assert "whether VM vm1 was rebooted is not known" in text, (step, text)
            assert "not sent again" in text
        seen.add((outcome.job_status, _reboots(bed)))
        bed.check_once()
    assert {(1, 1), (2, 1)} <= seen


def test_a_reboot_that_was_not_answered_says_so(make_bed: Callable[..., Bed]) -> None:
    """The host does not answer: whether it rebooted is not known. A host that refuses did not reboot it."""
    bed = make_bed(servers=1, settings={"ha.vm.start.timeout": "2"})
    vm = bed.add_vm("vm1", 1)
    bed.cut("agent", "h1", "ms1", both_ways=False)
    outcome = bed.outcome(bed.job("rebootVirtualMachine", 1, id=vm))
    assert "not known" in json.loads(outcome.job_result)["errortext"]
    bed.mend("agent", "h1", "ms1")
    bed.run(5)
    bed.world.host("h1").book.guests["vm1"].state = GuestState.PAUSED
    outcome = bed.outcome(bed.job("rebootVirtualMachine", 1, id=vm))
    assert "was not rebooted on host h1" in json.loads(outcome.job_result)["errortext"]


def test_a_job_finds_its_vm_by_the_uuid_that_it_is_about(make_bed: Callable[..., Bed]) -> None:
    """A deployment is ordered in the batch that makes the VM, which has no database id then. Nobody settles its start
    beside the job."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", None)
    job = bed.job("deployVirtualMachine", 1, hostid=1, startvm=True)
    bed.edit(AsyncJob, job, instance_type="VirtualMachine", instance_uuid="vm1")
    bed.run_until(lambda: bed.vm(vm).state == VmState.STARTING, 10, step=0.01)

    async def compare() -> None:
        bed.managers["ms1"].comparison.want("h1")

    bed.loop.spawn(bed.lives["ms1"].process, compare())
    assert bed.outcome(job).job_status == 1
    assert bed.vm(vm).state == VmState.RUNNING
    bed.check_once()


def test_a_job_for_a_removed_host_fails_with_words(bed: Bed) -> None:
    """Somebody tells the caller."""
    outcome = bed.outcome(bed.job("reconnectHost", 99, id=99))
    assert outcome.job_status == 2
    assert "99" in outcome.job_result


def test_a_job_that_nobody_knows_fails_with_words(bed: Bed) -> None:
    """An unknown command is no job that waits for ever."""
    outcome = bed.outcome(bed.job("makeCoffee", None))
    assert (outcome.job_status, outcome.job_result_code) == (2, 530)
    assert "makeCoffee" in outcome.job_result


def test_a_start_with_a_host_that_lacks_room_changes_nothing(bed: Bed) -> None:
    """No room on the host that the caller insists on: 533, and the VM stays Stopped."""
    vm = bed.add_vm("vm1", None, ram=10_000_000)
    outcome = bed.outcome(bed.job("startVirtualMachine", None, id=vm, hostid=1))
    assert (outcome.job_status, outcome.job_result_code) == (2, 533)
    assert (bed.vm(vm).state, bed.vm(vm).run_epoch) == (VmState.STOPPED, 0)


def test_a_refused_start_can_be_asked_for_again(bed: Bed) -> None:
    """A start by order that the host refuses fails the job, ends the run, and the next try works."""
    vm = bed.add_vm("vm1", None)
    bed.machine("h1").start_failure = "no such bridge"
    outcome = bed.outcome(bed.job("startVirtualMachine", 1, id=vm, hostid=1))
    assert outcome.job_status == 2
    assert "no such bridge" in outcome.job_result
    bed.machine("h1").start_failure = ""
    assert bed.outcome(bed.job("startVirtualMachine", 1, id=vm, hostid=1)).job_status == 1
    bed.check_once()


def test_a_start_of_which_nobody_knows_is_settled_when_the_host_answers(make_bed: Callable[..., Bed]) -> None:
    """The start's answer and all questions get lost, the job fails; once the host is heard the tables are right."""
    bed = make_bed(settings={"ha.vm.start.timeout": "3"})
    vm = bed.add_vm("vm1", None)
    owner = bed.owner("h1")
    job = bed.job("startVirtualMachine", 1, id=vm, hostid=1)
    bed.run_until(lambda: bed.starts("vm1") != [], 10, step=0.01)
    bed.cut("agent", owner, "h1")
    outcome = bed.outcome(job)
    assert outcome.job_status == 2
    bed.mend("agent", owner, "h1")
    bed.run_until(lambda: bed.vm(vm).state == VmState.RUNNING, 90)
    bed.check_once()


def test_a_stop_that_the_host_did_not_hear_is_made_up_for(make_bed: Callable[..., Bed]) -> None:
    """The stop fails because the host does not answer; when it does, the VM is stopped as ordered."""
    bed = make_bed(settings={"ha.vm.start.timeout": "3"})
    vm = bed.add_vm("vm1", 1)
    owner = bed.owner("h1")
    bed.cut("agent", owner, "h1")
    outcome = bed.outcome(bed.job("stopVirtualMachine", 1, id=vm))
    assert outcome.job_status == 2
    bed.mend("agent", owner, "h1")
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPED, 90)
    assert bed.world.live_runs("vm1") == []


def test_a_vm_whose_stop_a_silent_host_does_not_confirm_is_not_called_started(make_bed: Callable[..., Bed]) -> None:
    """The start says that nothing was started, where the VM may still run, and what ends that; so does a reboot."""
    bed = make_bed(settings={"ha.vm.start.timeout": "3"})
    vm = bed.add_vm("vm1", 1)
    bed.edit(HaConfig, bed.ha(1).id, enabled=False)
    bed.run(3)
    bed.machine("h1").hang()
    stop = bed.job("stopVirtualMachine", 1, id=vm)
    assert bed.outcome(stop).job_status == JobStatus.FAILURE
    bed.run(3)
    for command, words in (("startVirtualMachine", "host h1, which does not answer"), ("rebootVirtualMachine", "")):
        outcome = bed.outcome(bed.job(command, None, id=vm), 3)
        assert (outcome.job_status, outcome.job_result_code) == (JobStatus.FAILURE, 431)
        assert words in outcome.job_result
    bed.machine("h1").unhang()
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPED, 90)
    assert bed.outcome(bed.job("startVirtualMachine", None, id=vm)).job_status == JobStatus.SUCCESS
    assert bed.vm(vm).state == VmState.RUNNING
    bed.check_once()


def test_a_start_that_is_ordered_during_a_stop_has_its_turn_after_it(bed: Bed) -> None:
    """As one job of a VM after the other; a start that comes before the stop gives way to it."""
    vm = bed.add_vm("vm1", 1)
    earlier = bed.job("deployVirtualMachine", 2, id=vm)
    bed.edit(AsyncJob, earlier, job_status=JobStatus.SUCCESS)
    stop = bed.job("stopVirtualMachine", 1, id=vm)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPING, 10, step=0.01)
    bed.edit(AsyncJob, earlier, job_status=JobStatus.PENDING)
    start = bed.job("startVirtualMachine", None, id=vm)
    assert "wait until that ends" in bed.outcome(earlier).job_result
    assert bed.outcome(stop).job_status == JobStatus.SUCCESS
    assert bed.outcome(start).job_status == JobStatus.SUCCESS
    assert (bed.vm(vm).state, bed.vm(vm).run_epoch) == (VmState.RUNNING, 2)
    bed.check_once()


# --- moving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["h1", "h2"])
@pytest.mark.parametrize("moment", [0.0, 0.5, 1.9, 1.999, 2.001, 2.1])
@pytest.mark.parametrize("fault", ["power_off", "hang"])
def test_a_host_may_die_while_a_vm_moves(make_bed: Callable[..., Bed], victim: str, moment: float, fault: str) -> None:
    """Source or target dies at some moment of a live migration: the VM runs once in the end, on a living host."""
    bed = make_bed(settings={"ha.vm.start.timeout": "5"})
    vm = bed.add_vm("vm1", 1)
    bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=2)
    bed.run_until(lambda: bed.vm(vm).state == VmState.MIGRATING, 10, step=0.01)
    bed.run(moment)
    machine = bed.machine(victim)
    if fault == "power_off":
        machine.power_off("power loss")
    else:
        machine.hang()
    lost = 1 if victim == "h1" else 2
    bed.run_until(lambda: bed.runs_elsewhere(lost, vm), 60)
    bed.run(10)
    bed.check_once()


@pytest.mark.parametrize("moved", [False, True])
def test_each_side_of_a_move_is_ended_by_its_own_owner(make_bed: Callable[..., Bed], moved: bool) -> None:
    """S5: a move that was not confirmed is settled by whoever owns the host that has to be told."""
    bed = make_bed(hosts=6, settings={"ha.vm.start.timeout": "1.5"}, physics=Physics(vm_migrate=1.0 if moved else 2.5))
    source = 1
    target = next(number for number in range(2, 7) if bed.owner(f"h{number}") != bed.owner("h1"))
    vm = bed.add_vm("vm1", source)
    job = bed.job("migrateVirtualMachine", source, virtualmachineid=vm, hostid=target)
    bed.run_until(lambda: bed.vm(vm).state == VmState.MIGRATING, 10, step=0.01)
    if moved:  # the answer is lost
        bed.run(0.9)
        bed.cut("agent", "h1", bed.owner("h1"), both_ways=False)
        bed.run(0.3)
        bed.mend("agent", "h1", bed.owner("h1"))
    outcome = bed.outcome(job)
    assert outcome.job_status == (1 if moved else 2), outcome.job_result
    assert bed.vm(vm).host_id == (target if moved else source)
    for one in bed.world.chronicle.trace:
        if one.what is What.SENT and one.detail in ("stop", "start", "migrate"):
            assert one.server == bed.owner(one.host), one.line()
    bed.run(5)
    bed.check_once()


@pytest.mark.parametrize("command", ["startVirtualMachine", "stopVirtualMachine", "destroyVirtualMachine"])
def test_a_vm_that_moves_is_neither_started_nor_stopped_meanwhile(bed: Bed, command: str) -> None:
    """S1: the order is refused; the move ends as if nothing was."""
    vm = bed.add_vm("vm1", 1)
    move = bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=2)
    bed.run_until(lambda: bed.vm(vm).state == VmState.MIGRATING, 10, step=0.01)
    outcome = bed.outcome(bed.job(command, None, id=vm), 5)
    assert (outcome.job_status, outcome.job_result_code) == (2, 431)
    assert bed.outcome(move).job_status == 1
    bed.run(5)
    assert (bed.vm(vm).state, bed.vm(vm).host_id) == (VmState.RUNNING, 2)
    bed.check_once()


def test_no_start_is_sent_while_another_run_is_open(bed: Bed) -> None:
    """S1, at the last moment: whatever led here, an open permit of another run forbids the start."""
    vm = bed.add_vm("vm1", 1)
    bed.put(Permit(vm_id=vm, run_epoch=2, host_id=2, proof_kind="agent-report"))
    owner = bed.owner("h2")
    start = bed.managers[owner].runs.start(bed.vm(vm), bed.host(2), 2)
    task = bed.loop.spawn(bed.lives[owner].process, start)
    bed.run_until(task.done, 10)
    assert isinstance(task.exception(), Conflict)
    assert bed.starts("vm1") == []


def test_maintenance_empties_a_host(bed: Bed) -> None:
    """Its VMs move live, without a restart; then it takes no starts, and its end takes it back."""
    bed.add_vms(3)
    outcome = bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
    assert outcome.job_status == 1, outcome.job_result
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    assert bed.runs_elsewhere(1)
    assert bed.works() == []
    bed.run(5)
    assert bed.state(1) == HAState.INELIGIBLE
    assert bed.outcome(bed.job("cancelHostMaintenance", 1, id=1)).job_status == 1
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 10)
    bed.check_once()


def test_a_host_that_cannot_be_emptied_says_which_vm_is_left(make_bed: Callable[..., Bed]) -> None:
    """No room elsewhere: ErrorInMaintenance, the VM named, and still running."""
    bed = make_bed(hosts=2)
    bed.add_vm("vm1", 1, ram=100_000)
    bed.add_vm("other", 2, ram=100_000)
    outcome = bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1))
    assert outcome.job_status == 2
    assert "vm1" in json.loads(outcome.job_result)["errortext"]
    assert bed.host(1).resource_state == ResourceState.ERROR_IN_MAINTENANCE
    bed.check_once()


def test_permits_and_jobs_are_all_closed_in_the_end(bed: Bed) -> None:
    """Deploy, move, stop, start, destroy: nothing stays open."""
    vm = bed.add_vm("vm1", None)
    for command, info in (
        ("deployVirtualMachine", {"id": vm, "hostid": 1, "startvm": True}),
        ("rebootVirtualMachine", {"id": vm}),
        ("migrateVirtualMachine", {"virtualmachineid": vm, "hostid": 2}),
        ("stopVirtualMachine", {"id": vm}),
        ("startVirtualMachine", {"id": vm}),
        ("destroyVirtualMachine", {"id": vm}),
    ):
        at = bed.vm(vm).host_id
        outcome = bed.outcome(bed.job(command, at, **info))
        assert outcome.job_status == 1, (command, outcome.job_result)
    assert all(permit.state == PermitState.ENDED for permit in bed.permits())
    assert bed.store.select(AsyncJob, Query(equal={"job_status": 0})) == []
    assert bed.world.live_runs("vm1") == []


def test_maintenance_that_is_cancelled_on_the_way_is_not_gone_on_with(bed: Bed) -> None:
    """The host stays in service, and those of its VMs stay that were not moved yet."""
    bed.add_vms(4)
    preparing = bed.job("prepareHostForMaintenance", 1, id=1)
    bed.run_until(lambda: bed.vm(1).state == VmState.MIGRATING, 10)
    assert bed.outcome(bed.job("cancelHostMaintenance", 1, id=1)).job_status == JobStatus.SUCCESS
    ended = bed.outcome(preparing)
    assert (ended.job_status, "was ended meanwhile" in ended.job_result) == (JobStatus.FAILURE, True)
    bed.run(10)
    assert bed.host(1).resource_state == ResourceState.ENABLED
    assert [bed.vm(vm).host_id for vm in (2, 3, 4)] == [1, 1, 1]
    bed.check_once()


@pytest.mark.parametrize("how", ["order", "hand"])
def test_maintenance_that_is_cancelled_while_its_server_is_dead_is_not_begun_again(
    make_bed: Callable[..., Bed], how: str
) -> None:
    """The job is carried on from where it was, not from its order; a new order is one of its own."""
    bed = make_bed(servers=1)
    bed.add_vms(3)
    preparing = bed.job("prepareHostForMaintenance", 1, id=1)
    bed.run_until(lambda: bed.vm(1).state == VmState.MIGRATING, 10)
    bed.crash("ms1")
    if how == "order":
        bed.job("cancelHostMaintenance", 1, id=1)
    else:
        bed.edit(Host, 1, resource_state=ResourceState.ENABLED)
    bed.run(3)
    bed.start("ms1")
    ended = bed.outcome(preparing)
    assert (ended.job_status, "was ended meanwhile" in ended.job_result) == (JobStatus.FAILURE, True)
    bed.run(15)
    assert bed.host(1).resource_state == ResourceState.ENABLED
    assert [bed.vm(vm).host_id for vm in (2, 3)] == [1, 1]
    assert bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1)).job_status == JobStatus.SUCCESS
    bed.check_once()
