"""VMs that wait for a host are tried at once when room becomes free, and nobody does that all the time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import GuestState, JobStatus, Permit, PermitState, Vm, VmState
from manager_bed import Bed


def _wait_for_room(bed: Bed, waits: int = 1) -> list[int]:
    """VMs of h1, which is lost, for which neither of the two others has room; the next tries are 50 s and more off."""
    vms = [bed.add_vm(f"vm{number}", 1, ram=100_000) for number in range(1, waits + 1)]
    bed.add_vm("on2", 2, ram=60_000, ha_enabled=False)
    bed.add_vm("on3", 3, ram=60_000, ha_enabled=False)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: all(bed.works(instance_id=vm, investigations=1) for vm in vms), 30)
    bed.run(15)
    return vms


def _free_h2(bed: Bed, how: str) -> None:
    on2 = next(vm.id for vm in bed.vms() if vm.name == "on2")
    if how == "migrate":
        job = bed.job("migrateVirtualMachine", 2, virtualmachineid=on2, hostid=3)
    else:
        job = bed.job(f"{how}VirtualMachine", None, id=on2, forced=True, expunge=True)
    assert bed.outcome(job).job_status == JobStatus.SUCCESS


@pytest.mark.parametrize("how", ["stop", "destroy", "migrate"])
def test_room_that_an_order_frees_is_taken_at_once(make_bed: Callable[..., Bed], how: str) -> None:
    """However long the next try was put off: what was stopped, destroyed or moved leaves its room to who waits."""
    bed = make_bed(servers=1, settings={"restart.retry.interval": "100"})
    (vm,) = _wait_for_room(bed)
    _free_h2(bed, how)
    assert bed.run_until(lambda: bed.permits(vm_id=vm, run_epoch=2) != [], 100) < 0.5
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 5)
    bed.check_once()


def test_room_that_a_guest_leaves_is_taken_at_once(make_bed: Callable[..., Bed]) -> None:
    """One that shuts itself down stays down, and another starts in its place."""
    bed = make_bed(servers=1, settings={"restart.retry.interval": "100"})
    (vm,) = _wait_for_room(bed)
    bed.machine("h2").end_guest("on2", GuestState.SHUT_DOWN)
    assert bed.run_until(lambda: bed.permits(vm_id=vm, run_epoch=2) != [], 100) < 2
    bed.check_once()


def test_room_that_another_server_frees_is_found_within_seconds(make_bed: Callable[..., Bed]) -> None:
    """Its orders are not heard here; the zone is read again every few seconds for as long as a VM waits."""
    bed = make_bed(settings={"restart.retry.interval": "100"})
    (vm,) = _wait_for_room(bed)
    on2 = next(one.id for one in bed.vms() if one.name == "on2")
    (permit,) = bed.permits(vm_id=on2)
    bed.machine("h2").book.guests.pop("on2")
    bed.edit(Permit, permit.id, state=PermitState.ENDED)
    bed.edit(Vm, on2, state=VmState.STOPPED, host_id=None)
    assert bed.run_until(lambda: bed.permits(vm_id=vm, run_epoch=2) != [], 100) < 7
    bed.check_once()


def test_who_finds_no_room_before_its_time_is_left_as_it_is(make_bed: Callable[..., Bed]) -> None:
    """Thousands may wait when one VM stops: for those that stay where they are nothing is written, nor put off."""
    bed = make_bed(servers=1, settings={"restart.retry.interval": "100"})
    vms = _wait_for_room(bed, waits=3)
    before = {vm: bed.works(instance_id=vm)[0] for vm in vms}
    _free_h2(bed, "stop")
    bed.run(5)
    started = [vm for vm in vms if bed.permits(vm_id=vm, run_epoch=2)]
    assert len(started) == 1
    for vm in set(vms).difference(started):
        assert bed.works(instance_id=vm) == [before[vm]]


def test_many_that_wait_do_not_look_for_room_all_the_time(make_bed: Callable[..., Bed]) -> None:
    """Where looking takes long, VMs that stop one after the other call for it no more than 1/10 of the time."""
    bed = make_bed(servers=1, settings={"restart.retry.interval": "100"})
    _wait_for_room(bed)
    small = [bed.add_vm(f"small{number}", 2, ram=16, ha_enabled=False) for number in range(8)]
    placing, plans = bed.managers["ms1"].placing, []
    plan = placing.plan

    async def slowly(*given: Any) -> Any:
        plans.append(bed.loop.time())
        await asyncio.sleep(0.4)
        return await plan(*given)

    placing.plan = slowly  # type: ignore[method-assign]
    for vm in small:
        bed.job("stopVirtualMachine", None, id=vm, forced=True)
        bed.run(1)
    assert len(plans) in (2, 3)
    _free_h2(bed, "stop")
    bed.run_until(lambda: bed.runs_elsewhere(1, bed.vms()[0].id), 8)
    bed.check_once()
