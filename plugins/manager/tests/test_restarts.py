"""VMs of a lost host: starts that fail, hang, are late or refused; targets that die; VMs that are not to be started."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import Conflict
from holdfast.hooks.store import Query
from holdfast.model import (
    Cluster,
    GuestState,
    HAState,
    Host,
    HostTag,
    JobStatus,
    PermitState,
    ResourceState,
    StoragePool,
    VmState,
    Work,
    WorkReason,
    WorkStep,
    Zone,
)
from holdfast_manager import restarts
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.host import Size
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


def _lose_h1(bed: Bed) -> None:
    bed.machine("h1").power_off("power loss")


def test_a_vm_that_found_no_room_starts_on_its_own_host_when_that_is_back(make_bed: Callable[..., Bed]) -> None:
    """Not before it is in service again; then without waiting, and without anybody asking for it."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1, ram=100_000)
    for host in (2, 3):
        bed.add_vm(f"large{host}", host, ram=100_000)
    _lose_h1(bed)
    bed.run(20)
    bed.machine("h1").power_on("repaired")
    bed.run(60)
    assert bed.vm(vm).state == VmState.STOPPED
    assert "h1: is the host that was lost" in bed.vm(vm).reason
    assert bed.outcome(bed.job("cancelHostMaintenance", 1, id=1)).job_status == JobStatus.SUCCESS
    bed.run_until(lambda: bed.vm(vm).host_id == 1 and bed.world.serving("vm1"), 10)
    bed.check_once()


def test_a_refused_start_is_tried_on_another_host(bed: Bed) -> None:
    """One host refuses every start: the VM runs on the other, and one failed start is counted."""
    vm = bed.add_vm("vm1", 1)
    bed.machine("h2").start_failure = "no such bridge"
    bed.add_vm("heavy", 3, cpu=20)  # so that h2 looks better
    _lose_h1(bed)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 30)
    bed.run(1)
    (work,) = bed.works(instance_id=vm)
    assert (work.step, work.tried) == (WorkStep.DONE, 1)
    assert bed.vm(vm).host_id == 3
    bed.check_once()


def test_five_failed_starts_end_in_error_with_an_alert(bed: Bed) -> None:
    """S10: bounded retries, a visible end, and no start left open."""
    vm = bed.add_vm("vm1", 1)
    for name in ("h2", "h3"):
        bed.machine(name).start_failure = "no such bridge"
    _lose_h1(bed)
    bed.run_until(lambda: bed.works(instance_id=vm, step=WorkStep.ERROR) != [], 400, step=1.0)
    (work,) = bed.works(instance_id=vm)
    assert work.tried == 5
    (alert,) = bed.alerts("ALERT.HA.RESTART.FAILED")
    assert "no such bridge" in alert.content
    assert all(permit.state == PermitState.ENDED for permit in bed.permits(vm_id=vm))
    assert bed.vm(vm).state in (VmState.STOPPED, VmState.ERROR)
    assert "no such bridge" in bed.vm(vm).reason


def test_storage_that_is_away_is_waited_out_however_long(bed: Bed) -> None:
    """M5: no start is counted as failed and none gives up; there is one alert, and the VM starts once it is back."""
    vm = bed.add_vm("vm1", 1)
    for name in ("h2", "h3"):
        bed.machine(name).storage_away = True
    _lose_h1(bed)
    bed.run(600)
    (work,) = bed.works(instance_id=vm)
    assert work.tried == 0
    assert work.investigations > 5
    assert len(bed.permits(vm_id=vm)) < 100, "it is asked again and again, but not in a hurry"
    assert "storage" in bed.alerts("ALERT.HA.RESTART.WAITING")[0].content
    assert bed.alerts("ALERT.HA.RESTART.FAILED") == []
    for name in ("h2", "h3"):
        bed.machine(name).storage_away = False
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 15)
    assert [alert.resolved is None for alert in bed.alerts("ALERT.HA.RESTART.WAITING")] == [False]
    bed.check_once()


def test_storage_that_is_away_for_one_host_sends_the_vm_to_another(bed: Bed) -> None:
    """At once, also if the VM crashed there and its host is the first to be asked."""
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").storage_away = True
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 5)
    assert bed.works(instance_id=vm)[0].tried == 0
    bed.check_once()


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.45, 0.6])
def test_a_target_that_dies_during_the_start_is_replaced(make_bed: Callable[..., Bed], moment: float) -> None:
    """The second host dies while it starts the VM: it is proven dead first, then the third host runs it."""
    bed = make_bed(hosts=4)
    vm = bed.add_vm("vm1", 1)
    _lose_h1(bed)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2, 20, step=0.01)
    bed.run(moment)
    target = bed.vm(vm).host_id
    assert target is not None
    bed.machine(f"h{target}").power_off("power loss")
    bed.run_until(lambda: bed.vm(vm).host_id not in (1, target) and bed.runs_elsewhere(1, vm), 120)
    bed.check_once()


def test_a_target_that_hangs_during_the_start_runs_nothing_twice(make_bed: Callable[..., Bed]) -> None:
    """The start waits in a hung host: nothing starts elsewhere before that host is proven dead."""
    bed = make_bed(hosts=4, settings={"ha.vm.start.timeout": "5"})
    vm = bed.add_vm("vm1", 1)
    _lose_h1(bed)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2, 20, step=0.01)
    target = bed.vm(vm).host_id
    bed.machine(f"h{target}").hang()
    bed.run_until(lambda: bed.vm(vm).host_id not in (1, target) and bed.runs_elsewhere(1, vm), 120)
    bed.check_once()


@pytest.mark.parametrize("vm_start", [4.9, 5.0, 5.1, 7.0])
def test_a_start_that_takes_too_long_is_found_or_revoked(make_bed: Callable[..., Bed], vm_start: float) -> None:
    """The start's deadline is 5 s: a run that came to be is accepted, one that did not is revoked before the next."""
    bed = make_bed(settings={"ha.vm.start.timeout": "5"}, physics=Physics(vm_start=vm_start))
    vm = bed.add_vm("vm1", 1)
    _lose_h1(bed)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 3 or bed.runs_elsewhere(1, vm), 60)
    bed.world.physics.vm_start = 0.5
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 120)
    bed.run(20)
    bed.check_once()
    assert bed.double_runs == []


def test_a_start_whose_answer_is_lost_is_taken_as_it_is(make_bed: Callable[..., Bed]) -> None:
    """The host started the VM and its answer got lost: asked, it says so, and that run goes on."""
    bed = make_bed(settings={"ha.vm.start.timeout": "3"})
    vm = bed.add_vm("vm1", 1)
    cut: list[str] = []

    def lose_answer(one: Any) -> None:
        if one.what is What.GUEST_BEGAN and not cut:
            cut.append(one.host)
            for server in bed.managers:
                bed.world.network.degrade("agent", server, one.host, loss=1.0)
                bed.site.time.call_at(
                    bed.site.time.now() + 2.5,
                    lambda server=server: bed.world.network.degrade("agent", server, one.host, loss=0.0),
                )

    bed.world.chronicle.watchers.append(lose_answer)
    _lose_h1(bed)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 60)
    bed.run(2)
    assert len(bed.starts("vm1")) == 1
    assert bed.works(instance_id=vm)[0].step == WorkStep.DONE
    bed.check_once()


def test_no_room_is_waited_out_visibly(make_bed: Callable[..., Bed]) -> None:
    """Nobody has room: the VM waits with a reason and an alert, no start is counted; it starts once room appears."""
    bed = make_bed(hosts=2, settings={"restart.retry.interval": "2"})
    vm = bed.add_vm("vm1", 1, ram=100_000)
    other = bed.add_vm("other", 2, ram=100_000, ha_enabled=False)
    _lose_h1(bed)
    bed.run_until(lambda: bed.alerts("ALERT.HA.RESTART.WAITING") != [], 20)
    bed.run(30)
    (work,) = bed.works(instance_id=vm)
    assert (work.step, work.tried) == (WorkStep.SCHEDULED, 0)
    assert work.investigations > 0
    assert "waiting for a host" in bed.vm(vm).reason
    assert json.loads(work.explanation)
    assert len(bed.alerts("ALERT.HA.RESTART.WAITING")) == 1
    job = bed.outcome(bed.job("stopVirtualMachine", None, id=other))
    assert job.job_status == 1, job.job_result
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 30)
    bed.check_once()


def test_a_host_that_returns_takes_waiting_vms_at_once(make_bed: Callable[..., Bed]) -> None:
    """However long the next try was put off: a host that takes starts again is news."""
    bed = make_bed(hosts=2, settings={"restart.retry.interval": "100"})
    vm = bed.add_vm("vm1", 1)
    bed.edit(type(bed.host(2)), 2, resource_state="Disabled")
    bed.run(3)
    _lose_h1(bed)
    bed.run_until(lambda: bed.alerts("ALERT.HA.RESTART.WAITING") != [], 30)
    bed.run(20)
    bed.edit(type(bed.host(2)), 2, resource_state="Enabled")
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 8)


@pytest.mark.parametrize(
    ("settings", "values", "words"),
    [
        ({}, {"ha_enabled": False}, "HA is not enabled for it"),
        ({"vm.ha.enabled": "false"}, {}, "vm.ha.enabled"),
        ({}, {"state": VmState.STOPPING}, "being stopped"),
    ],
)
def test_a_vm_that_is_not_to_be_restarted_says_why(
    make_bed: Callable[..., Bed], settings: dict[str, str], values: dict[str, Any], words: str
) -> None:
    """It ends Stopped with its reason; no work item is left."""
    bed = make_bed(settings=settings)
    vm = bed.add_vm("vm1", 1, **values)
    _lose_h1(bed)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPED, 20)
    bed.run(10)
    assert bed.vm(vm).state == VmState.STOPPED
    assert words in bed.vm(vm).reason
    assert bed.works() == []


def test_force_ha_restarts_every_vm(make_bed: Callable[..., Bed]) -> None:
    """`force.ha` treats a plain VM as an HA one."""
    bed = make_bed(settings={"force.ha": "true"})
    vm = bed.add_vm("vm1", 1, ha_enabled=False)
    _lose_h1(bed)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 20)


def test_a_vm_on_local_storage_stays_with_its_host(bed: Bed) -> None:
    """S9: it ends Stopped with its reason."""
    (local,) = bed.put(
        StoragePool(uuid="l1", name="local1", pool_type="Filesystem", scope="HOST", data_center_id=bed.zone,
                    cluster_id=bed.cluster)
    )  # fmt: skip
    vm = bed.add_vm("vm1", 1, pool_id=local)
    bed.run(3)
    _lose_h1(bed)
    bed.run_until(lambda: bed.vm(vm).state == VmState.STOPPED, 20)
    bed.run(10)
    assert "local storage" in bed.vm(vm).reason
    assert bed.works() == []


# --- VMs that end on a living host -----------------------------------------------------------------------------------


def test_a_host_that_reboots_within_two_seconds_has_its_vms_started_once(make_bed: Callable[..., Bed]) -> None:
    """The agent is back before it was missed: its VMs are gone, which is found by comparing, and they start once."""
    bed = make_bed(physics=Physics(host_boot=1.5))
    ids = bed.add_vms(3)
    bed.machine("h1").reset("kernel panic")
    bed.run_until(lambda: all(bed.world.serving(vm.uuid) for vm in bed.vms()), 15)
    bed.run(10)
    bed.check_once()
    assert bed.state(1) == HAState.AVAILABLE
    assert [len(bed.starts(bed.vm(vm).uuid)) for vm in ids] == [1, 1, 1]
    assert {bed.vm(vm).host_id for vm in ids} == {1}


def test_a_comparison_that_fails_at_first_is_made_again(make_bed: Callable[..., Bed]) -> None:
    """The agent connects, but the question for its VMs is lost: it is asked again, and the lost VMs start again."""
    bed = make_bed(physics=Physics(host_boot=1.5))
    bed.add_vms(2)
    owner = bed.owner("h1")
    bed.machine("h1").reset("kernel panic")
    bed.run(1.0)
    bed.cut("agent", owner, "h1", both_ways=False)
    bed.run(8)
    bed.world.network.set_up("agent", owner, "h1", True, both_ways=False)
    bed.run_until(lambda: all(bed.world.serving(vm.uuid) for vm in bed.vms()), 30)
    bed.check_once()


def test_a_crashed_vm_is_started_where_it_was(bed: Bed) -> None:
    """A crash on a living host: one restart, on the same host."""
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2 and bed.world.serving("vm1"), 15)
    assert bed.vm(vm).host_id == 1
    bed.check_once()


def test_a_host_that_restarts_is_no_crash_of_its_vms(make_bed: Callable[..., Bed]) -> None:
    """It is back before it is fenced. Its VMs run again, however often they crashed before."""
    bed = make_bed(physics=Physics(host_boot=1.5))
    bed.setting("ha.vm.crash.limit", "1")
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2 and bed.world.serving("vm1"), 15)
    bed.run(5)
    bed.machine("h1").reset("kernel panic")
    bed.run_until(lambda: bed.vm(vm).run_epoch == 3 and bed.world.serving("vm1"), 30)
    assert [work.reason for work in bed.works(instance_id=vm)] == [WorkReason.VM_CRASHED, WorkReason.HOST_RESTARTED]
    bed.check_once()


def test_a_crash_report_that_the_store_did_not_take_is_not_lost(bed: Bed) -> None:
    """The database is away when a VM crashes: the VM starts again after it is back."""
    vm = bed.add_vm("vm1", 1)
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run(8)
    for name in bed.managers:
        bed.mend("database", name, "database")
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2 and bed.world.serving("vm1"), 40)
    bed.check_once()


def test_a_crash_report_that_the_network_lost_is_found_out(bed: Bed) -> None:
    """Nobody hears of the crash: comparing host and tables from time to time finds it."""
    vm = bed.add_vm("vm1", 1)
    for server in bed.managers:
        bed.world.network.degrade("agent", server, "h1", loss=1.0)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run(0.1)
    for server in bed.managers:
        bed.world.network.degrade("agent", server, "h1", loss=0.0)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2 and bed.world.serving("vm1"), 300, step=1.0)
    bed.check_once()


def test_a_guest_that_shuts_itself_down_stays_down(bed: Bed) -> None:
    """A clean shutdown from inside is respected, and said."""
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").end_guest("vm1", GuestState.SHUT_DOWN)
    bed.run(15)
    assert bed.vm(vm).state == VmState.STOPPED
    assert "shut itself down" in bed.vm(vm).reason
    assert bed.works() == []


def test_a_vm_that_crashes_again_and_again_is_left_stopped(make_bed: Callable[..., Bed]) -> None:
    """The crash limit ends it with an alert."""
    bed = make_bed(settings={"ha.vm.crash.limit": "2"})
    vm = bed.add_vm("vm1", 1)
    for _ in range(3):
        bed.run_until(lambda: bed.world.serving("vm1") and bed.vm(vm).state == VmState.RUNNING, 30)
        bed.run(1)
        bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
        bed.run(2)
    bed.run(20)
    assert bed.vm(vm).state == VmState.STOPPED
    assert "ha.vm.crash.limit" in bed.vm(vm).reason
    assert len(bed.alerts("ALERT.HA.CRASH.LOOP")) == 1


def test_a_crashed_vm_whose_host_then_dies_runs_elsewhere(bed: Bed) -> None:
    """The crash's work item is carried on by the host's loss, and no longer insists on that host."""
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.vm(vm).run_epoch == 2, 10, step=0.01)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 30)
    bed.check_once()


def test_the_dead_hosts_vms_avoid_it_while_the_tables_still_show_it_up(make_bed: Callable[..., Bed]) -> None:
    """A target that was quarantined after the last poll does not hold back the whole batch until the next one."""
    bed = make_bed(hosts=4, settings={"ha.checking.interval": "30"})
    bed.add_vms(2)
    bed.machine("h1").power_off("power loss")
    bed.machine("h2").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1), 15)
    bed.check_once()


def test_big_hosts_and_small_hosts_are_told_apart(make_bed: Callable[..., Bed]) -> None:
    """A host's size comes from its own agent, and placement keeps to it."""
    bed = make_bed(hosts=2)
    bed.world.add_host("h3", "h3", Size(cpus=1, speed=1000, ram=2**30))
    for pool in bed.world.pools:
        bed.machine("h3").mount(pool)
    vm = bed.add_vm("vm1", 1)
    _lose_h1(bed)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 15)
    assert bed.vm(vm).host_id == 2


def test_a_host_that_was_just_fenced_is_no_candidate(make_bed: Callable[..., Bed]) -> None:
    """Though the tables as last read call it up and open, and it is the emptiest: nothing is planned in vain."""
    bed = make_bed(hosts=4, servers=1, settings={"ha.checking.interval": "60"})
    first, second = bed.add_vm("vm1", 1), bed.add_vm("vm2", 2)
    for host in (3, 4):
        for number in range(3):
            bed.add_vm(f"other{host}{number}", host)
    runs, refusals = bed.managers["ms1"].runs, []
    permit = runs.permit

    async def watched(*args: Any) -> Any:
        try:
            return await permit(*args)
        except Conflict as problem:
            refusals.append(str(problem))
            raise

    runs.permit = watched  # type: ignore[method-assign]
    _lose_h1(bed)
    bed.run(0.9)
    bed.machine("h2").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1, first) and bed.runs_elsewhere(2, second), 20)
    assert {bed.host(host).resource_state for host in (1, 2)} == {ResourceState.MAINTENANCE}
    assert refusals == []
    bed.check_once()


def test_work_that_takes_long_to_read_is_read_seldom(make_bed: Callable[..., Bed]) -> None:
    """As thousands of open restarts do; what is due is found at once all the same."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    memory, whole = bed.managers["ms1"].desk.memory, []
    select = memory.select

    async def slowly(record: Any, query: Query) -> Any:
        found = await select(record, query)
        if record is Work and query.among.keys() == {"step"}:
            whole.append(bed.loop.time())
            await asyncio.sleep(2.0)
        return found

    memory.select = slowly  # type: ignore[method-assign]
    bed.run(5)
    _lose_h1(bed)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 10)
    bed.run(30)
    pauses = [after - before for before, after in itertools.pairwise(whole)]
    assert [round(pause) for pause in pauses] == [12] * len(pauses)
    bed.check_once()


def test_work_that_ended_while_the_store_was_read_is_not_begun_again(make_bed: Callable[..., Bed]) -> None:
    """The reading still calls it open; carried on once more, it would only be refused."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    _lose_h1(bed)
    bed.run_until(lambda: bed.works(instance_id=vm, step=WorkStep.RESTARTING) != [], 20, step=0.01)
    starting = bed.managers["ms1"].starting
    starting.begin_look()
    read = bed.works(instance_id=vm)
    bed.run_until(lambda: bed.works(instance_id=vm, step=WorkStep.DONE) != [], 5, step=0.01)
    bed.run(0.01)
    bed.loop.call_soon(starting.begin, read, context=bed.lives["ms1"].process.context())
    bed.run(0.001)
    assert not starting._underway


def test_permits_are_written_for_the_longest_waiting_first_and_starts_begin_by_priority(
    make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are more than one batch holds. Within a batch, and on the hosts, the restart order counts."""
    monkeypatch.setattr(restarts, "_BATCH", 2)
    bed = make_bed(servers=1)
    bed.setting("ha.starts.per.host", "1")
    bed.edit(Host, 1, resource_state=ResourceState.MAINTENANCE)
    bed.run(5)
    vms = [bed.add_vm(f"vm{number}", None, ha_priority=number) for number in range(1, 6)]
    bed.put(*(Work(instance_id=vm, reason=WorkReason.HOST_FENCED, host_id=1) for vm in vms))
    bed.run_until(lambda: bed.runs_elsewhere(1, *vms), 30)
    assert [permit.vm_id for permit in bed.permits()] == [vms[1], vms[0], vms[3], vms[2], vms[4]]
    began = [one for one in bed.world.chronicle.trace if one.what is What.GUEST_BEGAN]
    for host in ("h2", "h3"):
        order = [one.vm for one in began if one.host == host]
        assert len(order) >= 2
        assert order == sorted(order, reverse=True)
    bed.check_once()


# --- waits that need not be ------------------------------------------------------------------------------------------


def test_a_crashed_vm_that_its_own_host_has_no_room_for_starts_elsewhere(bed: Bed) -> None:
    """Its host comes first, but it is no condition: another VM may have taken the room."""
    vm = bed.add_vm("vm1", 1, ram=100_000)
    bed.add_vm("large", 1, ram=100_000)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 10)
    assert bed.alerts("ALERT.HA.RESTART.WAITING") == []
    bed.check_once()


def test_a_crashed_vm_restarts_on_a_dedicated_host_where_ha_tag_asks_for_one(bed: Bed) -> None:
    """Its own host is alive, but does not carry the tag: it takes no restarts (M4)."""
    bed.put(HostTag(host_id=3, tag="spare"))
    bed.setting("ha.tag", "spare")
    bed.run(5)
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").end_guest("vm1", GuestState.CRASHED)
    bed.run_until(lambda: bed.vm(vm).host_id == 3 and bed.world.serving("vm1"), 10)
    bed.check_once()


@pytest.mark.parametrize("closed", ["zone", "tag", "size"])
def test_what_opens_hosts_to_waiting_vms_is_noticed_at_once(make_bed: Callable[..., Bed], closed: str) -> None:
    """However long the next try was put off: a zone that is opened, `ha.tag` that is emptied, hosts that offer more."""
    bed = make_bed(servers=1, settings={"restart.retry.interval": "100"})
    vm = bed.add_vm("vm1", 1, **({"ram": 200_000} if closed == "size" else {}))
    if closed == "zone":
        bed.edit(Zone, bed.zone, allocation_state="Disabled")
    elif closed == "tag":
        bed.setting("ha.tag", "spare")
    bed.run(3)
    _lose_h1(bed)
    bed.run_until(lambda: bed.alerts("ALERT.HA.RESTART.WAITING") != [], 30)
    bed.run(20)
    if closed == "zone":
        bed.edit(Zone, bed.zone, allocation_state="Enabled")
    elif closed == "tag":
        bed.setting("ha.tag", "")
    else:
        bed.edit(Cluster, bed.cluster, memory_overcommit_ratio=2.0)
    bed.run_until(lambda: bed.permits(vm_id=vm, run_epoch=2) != [], 8)


# --- alerts about a VM that does not run ------------------------------------------------------------------------------


def _open(bed: Bed, name: str) -> list[bool]:
    return [alert.resolved is None for alert in bed.alerts(f"ALERT.HA.{name}")]


@pytest.mark.parametrize("first", ["storage", "refusal", "move"])
def test_a_wait_is_told_of_whatever_came_before_it(make_bed: Callable[..., Bed], first: str) -> None:
    """The only other host cannot reach the storage; or it failed to start the VM, and then takes no starts any more."""
    bed = make_bed(hosts=2)
    vm = bed.add_vm("vm1", 1)
    if first == "storage":
        bed.machine("h2").storage_away = True
    elif first == "refusal":
        bed.machine("h2").start_failure = "no such bridge"
    else:
        bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=2)
        bed.run_until(lambda: bed.vm(vm).state == VmState.MIGRATING, 10)
    _lose_h1(bed)
    if first != "storage":
        bed.run_until(lambda: bed.works(instance_id=vm, tried=1) != [] or first == "move", 20)
        bed.edit(Host, 2, resource_state=ResourceState.DISABLED)
    bed.run(60)
    assert _open(bed, "RESTART.WAITING") == [True]
    bed.machine("h2").storage_away, bed.machine("h2").start_failure = False, ""
    bed.edit(Host, 2, resource_state=ResourceState.ENABLED)
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 20)
    bed.run(1)
    assert _open(bed, "RESTART.WAITING") == [False]
    bed.check_once()


def test_alerts_about_a_vm_end_with_what_they_are_about(make_bed: Callable[..., Bed]) -> None:
    """A wait ends by order; failed starts, and crashes that were too many, with the start by hand that they ask for."""
    bed = make_bed(hosts=2, settings={"ha.vm.crash.limit": "1", "vm.ha.migration.max.retries": "1"})
    waiting, failed = bed.add_vm("vm1", 1, ram=200_000), bed.add_vm("vm2", 1)
    crashed = bed.add_vm("vm3", 2)
    for _ in range(2):
        bed.run_until(lambda: bed.world.serving("vm3") and bed.vm(crashed).state == VmState.RUNNING, 30)
        bed.run(1)
        bed.machine("h2").end_guest("vm3", GuestState.CRASHED)
        bed.run(2)
    bed.machine("h2").start_failure = "no such bridge"
    _lose_h1(bed)
    bed.run(30)
    assert [_open(bed, name) for name in ("RESTART.WAITING", "RESTART.FAILED", "CRASH.LOOP")] == [[True]] * 3
    bed.machine("h2").start_failure = ""
    assert bed.outcome(bed.job("stopVirtualMachine", None, id=waiting)).job_status == JobStatus.SUCCESS
    for vm in (failed, crashed):
        assert bed.outcome(bed.job("startVirtualMachine", None, id=vm)).job_status == JobStatus.SUCCESS
    assert [_open(bed, name) for name in ("RESTART.WAITING", "RESTART.FAILED", "CRASH.LOOP")] == [[False]] * 3
