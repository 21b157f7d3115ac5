"""What is known of the room on hosts is as good as reading everything, without reading everything."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.hooks.store import Query
from holdfast.model import HAState, Host, Vm, VmState
from holdfast_manager.runs import Placed
from holdfast_manager.usage import HostUse
from manager_bed import Bed


def _run(bed: Bed, work: Any) -> Any:
    task = bed.loop.spawn(bed.lives["ms1"].process, work)
    bed.run_until(task.done, 10, step=0.01)
    return task.result()


def _used(bed: Bed) -> dict[int, HostUse]:
    return dict(_run(bed, bed.managers["ms1"].desk.usage.of([bed.zone])))


def _true(bed: Bed) -> dict[int, tuple[int, int, int]]:
    found = {}
    for host in bed.store.select(Host, Query(equal={"removed": None})):
        vms = bed.store.select(Vm, Query(equal={"host_id": host.id, "removed": None}))
        found[host.id] = (sum(vm.cpu * vm.cpu_speed for vm in vms), sum(vm.ram for vm in vms), len(vms))
    return found


def _numbers(uses: dict[int, HostUse]) -> dict[int, tuple[int, int, int]]:
    return {host_id: (use.cpu, use.ram, use.vms) for host_id, use in uses.items()}


def _place(bed: Bed, vm_id: int, host_id: int) -> None:
    manager = bed.managers["ms1"]
    host, vm = bed.host(host_id), bed.vm(vm_id)
    kind, proof = _run(bed, manager.runs.last_proof(vm))
    _run(bed, manager.runs.permit([Placed(vm, host, kind, proof, host)]))


def _watch_queries(bed: Bed, record: type) -> list[Query]:
    """Queries of this record from now on."""
    memory, asked = bed.managers["ms1"].desk.memory, []
    select = memory.select

    async def watched(wanted: Any, query: Query) -> Any:
        if wanted is record:
            asked.append(query)
        return await select(wanted, query)

    memory.select = watched  # type: ignore[method-assign]
    return asked


def _watch_reads(bed: Bed) -> list[type]:
    """Records that are read from the store from now on."""
    memory, read = bed.managers["ms1"].desk.memory, []
    select = memory.select

    async def watched(record: Any, query: Query) -> Any:
        read.append(record)
        return await select(record, query)

    memory.select = watched  # type: ignore[method-assign]
    return read


def test_own_permits_are_counted_without_reading_a_vm(make_bed: Callable[..., Bed]) -> None:
    """A batch of restarts does not cost a reading of all VMs for the next one."""
    bed = make_bed(servers=1)
    bed.add_vms(4)
    new = [bed.add_vm(f"new{number}", None, affinity_group="web") for number in range(2)]
    assert _numbers(_used(bed)) == _true(bed)
    _place(bed, new[0], 2)
    _place(bed, new[1], 2)
    read = _watch_reads(bed)
    uses = _used(bed)
    assert _numbers(uses) == _true(bed)
    assert uses[2].groups == {"web": 2}
    assert Vm not in read


def test_a_plan_finds_the_zone_read_when_its_hosts_are_proven_dead(make_bed: Callable[..., Bed]) -> None:
    """It is read once, when the first of them falls silent; the plan of the restarts has only to look for news."""
    bed = make_bed(hosts=5, servers=1)
    lost = [bed.add_vm("vm1", 1), bed.add_vm("vm2", 2)]
    asked = _watch_queries(bed, Vm)
    for name in ("h1", "h2"):
        bed.machine(name).power_off("power loss")
    bed.run_until(lambda: {bed.state(1), bed.state(2)} <= {HAState.SUSPECT, HAState.CHECKING}, 10, step=0.01)
    bed.run(0.1)
    assert len([query for query in asked if len(query.among.get("host_id", ())) == 5]) == 1
    bed.run_until(lambda: all(bed.vm(vm).run_epoch == 2 for vm in lost), 20, step=0.01)
    assert len([query for query in asked if len(query.among.get("host_id", ())) == 5]) == 1


def test_a_large_zone_is_read_in_parts(make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading has ten seconds; that of 200,000 VMs in one piece never ended, and nothing was restarted."""
    monkeypatch.setattr("holdfast_manager.usage._AT_ONCE", 2)
    bed = make_bed(hosts=5, servers=1)
    bed.add_vms(7)
    asked = _watch_queries(bed, Vm)
    assert _numbers(_used(bed)) == _true(bed)
    assert [len(query.among["host_id"]) for query in asked] == [2, 2, 1]


def test_what_another_server_placed_is_seen_at_once(make_bed: Callable[..., Bed]) -> None:
    """Its batch raised the host's allocation version: that host is read again, and no other."""
    bed = make_bed(servers=1)
    bed.add_vms(4)
    _used(bed)
    vm = bed.add_vm("foreign", None)
    bed.edit(Vm, vm, host_id=3, state=VmState.STARTING, run_epoch=1)
    bed.edit(Host, 3, alloc_version=bed.host(3).alloc_version + 1)
    assert _numbers(_used(bed)) == _true(bed)


def test_room_that_becomes_free_is_seen_at_once(make_bed: Callable[..., Bed]) -> None:
    """A VM that this server stopped: its host is read again, and no other."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    bed.add_vm("vm2", 2)
    _used(bed)
    assert bed.outcome(bed.job("stopVirtualMachine", 1, id=vm)).job_status == 1
    asked = _watch_queries(bed, Vm)
    assert _numbers(_used(bed)) == _true(bed)
    assert [query.among for query in asked] == [{"host_id": [1]}]


def test_room_that_others_free_is_seen_within_seconds(make_bed: Callable[..., Bed]) -> None:
    """At the next whole reading, which says which hosts have more room than they had."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    bed.add_vm("vm2", 2)
    _used(bed)
    freed: list[set[int]] = []
    bed.managers["ms1"].desk.usage.on_freed = freed.append
    bed.edit(Vm, vm, host_id=None)
    bed.run(5.1)
    assert _numbers(_used(bed)) == _true(bed)
    assert freed == [{1}]


def test_room_that_becomes_free_during_a_reading_is_not_overlooked(make_bed: Callable[..., Bed]) -> None:
    """What was read before the VM was gone does not count as known."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    desk = bed.managers["ms1"].desk
    select = desk.memory.select

    async def overtaken(record: Any, query: Query) -> Any:
        found = await select(record, query)
        if record is Vm:
            desk.memory.select = select  # type: ignore[method-assign]
            bed.edit(Vm, vm, host_id=None)
            desk.usage.forget(bed.host(1))
        return found

    desk.memory.select = overtaken  # type: ignore[method-assign,assignment]
    _used(bed)
    assert _numbers(_used(bed)) == _true(bed)


def test_a_moved_vm_is_counted_where_it_is(make_bed: Callable[..., Bed]) -> None:
    """Both hosts are read again."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    _used(bed)
    assert bed.outcome(bed.job("migrateVirtualMachine", 1, virtualmachineid=vm, hostid=2)).job_status == 1
    assert _numbers(_used(bed)) == _true(bed)


@pytest.mark.parametrize("seed", range(4))
def test_starts_and_foreign_batches_at_random(make_bed: Callable[..., Bed], seed: int) -> None:
    """Whatever starts come, the sums are those of the tables."""
    chance = random.Random(seed)
    bed = make_bed(hosts=4, servers=1)
    for number in range(24):
        vm = bed.add_vm(f"vm{number}", None, ram=chance.randint(1, 4096))
        host = chance.randint(1, 4)
        if chance.random() < 0.6:
            _place(bed, vm, host)
        else:
            bed.edit(Vm, vm, host_id=host, state=VmState.STARTING, run_epoch=1)
            bed.edit(Host, host, alloc_version=bed.host(host).alloc_version + 1)
        if chance.random() < 0.5:
            assert _numbers(_used(bed)) == _true(bed), number
    assert _numbers(_used(bed)) == _true(bed)
