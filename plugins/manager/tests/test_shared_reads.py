"""Reads that are made together are as fresh as reads that are made alone, and fail for those who asked."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import StoreUnavailable
from holdfast.hooks.store import Query
from holdfast.model import Permit, StoragePool, Vm
from holdfast_manager.disks_of_hosts import DisksOfHosts
from holdfast_manager.runs_of_hosts import RunsOfHosts
from holdfast_manager.shared_reads import SharedReads
from manager_bed import Bed


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """One server, eight VMs, and a watch on its reads of VMs."""
    bed = make_bed(servers=1)
    bed.add_vms(8)
    return bed


def _ask(bed: Bed, work: Any) -> Any:
    task = bed.loop.spawn(bed.lives["ms1"].process, work)
    bed.run_until(task.done, 10, step=0.01)
    return task.result()


def _watch(bed: Bed) -> list[list[int]]:
    memory, asked = bed.managers["ms1"].desk.memory, []
    select = memory.select

    async def watched(record: Any, query: Query) -> Any:
        if record is Vm:
            asked.append(list(query.among["id"]))
        return await select(record, query)

    memory.select = watched  # type: ignore[method-assign]
    return asked


def test_those_who_ask_at_once_share_one_reading(bed: Bed) -> None:
    """Each gets its own rows; a key without a row gets none."""
    reads, asked = SharedReads(bed.managers["ms1"].desk, Vm, "id"), _watch(bed)

    async def all_at_once() -> list[list[Vm]]:
        return await asyncio.gather(*(reads.of(key) for key in (3, 1, 99, 3)))

    found = _ask(bed, all_at_once())
    assert [[row.id for row in rows] for rows in found] == [[3], [1], [], [3]]
    assert asked == [[1, 3, 99]]


def test_many_keys_are_asked_for_as_one(bed: Bed) -> None:
    """Rows come by key and then by id; no key, no reading. Further conditions hold for all."""
    desk = bed.managers["ms1"].desk
    bed.edit(Vm, 5, name="gone", state="Expunging")
    reads = SharedReads(desk, Vm, "host_id", {"name": "vm2"}, {"state": ("Running", "Stopped")})
    by_id, asked = SharedReads(desk, Vm, "id"), _watch(bed)

    async def all_at_once() -> list[list[Vm]]:
        return await asyncio.gather(by_id.of_each((7, 3)), by_id.of(4), by_id.of_each(()))

    assert [[row.id for row in rows] for rows in _ask(bed, all_at_once())] == [[3, 7], [4], []]
    assert asked == [[3, 4, 7]]
    bed.edit(Vm, 8, host_id=2)
    desk.memory.select = type(desk.memory).select.__get__(desk.memory)  # type: ignore[method-assign]
    assert [row.id for row in _ask(bed, reads.of_each((2, 1)))] == [1, 3, 4, 6, 7, 8]


def test_hosts_that_die_together_are_read_together(make_bed: Callable[..., Bed]) -> None:
    """Three hosts of twelve: what ran on them is asked for for several of them at once."""
    bed = make_bed(hosts=12, servers=1)
    lost = [bed.add_vm(f"vm{number}", number) for number in range(1, 4)]
    asked = []
    memory = bed.managers["ms1"].desk.memory
    select = memory.select

    async def watched(record: Any, query: Query) -> Any:
        if record is Permit:
            asked.append(query)
            await asyncio.sleep(0.3)  # a store that has much to do
        return await select(record, query)

    memory.select = watched  # type: ignore[method-assign]
    for number in range(1, 4):
        bed.machine(f"h{number}").power_off("power loss")
    bed.run_until(lambda: all(bed.vm(vm).run_epoch == 2 for vm in lost), 20, step=0.01)
    by_host = [query.among["host_id"] for query in asked if "host_id" in query.among]
    assert {host for hosts in by_host for host in hosts} == {1, 2, 3}
    assert any(len(hosts) > 1 for hosts in by_host)
    assert not [query for query in asked if "host_id" in query.equal]


def test_disks_that_nobody_can_look_at_are_not_asked_for(bed: Bed) -> None:
    """A pool without a heartbeat driver."""
    manager = bed.managers["ms1"]
    disks = DisksOfHosts(manager.desk, RunsOfHosts(manager.desk))
    host = manager.desk.inventory.hosts[1]
    assert list(_ask(bed, disks.of(host)).values()) == [tuple(f"vm{number}.qcow2" for number in range(1, 9))]
    bed.edit(StoragePool, 1, heartbeat="")
    _ask(bed, manager.refresh_inventory())
    asked = _watch(bed)
    bed.run(6)
    assert _ask(bed, disks.of(host)) == {}
    assert asked == []


def test_who_asks_during_a_reading_gets_a_later_one(bed: Bed) -> None:
    """A row that changed after the first reading began is seen as it is now."""
    desk = bed.managers["ms1"].desk
    reads, select, names = SharedReads(desk, Vm, "id"), desk.memory.select, []

    async def slow(record: Any, query: Query) -> Any:
        found = await select(record, query)
        await asyncio.sleep(1.0)
        return found

    desk.memory.select = slow  # type: ignore[method-assign]

    async def one() -> None:
        names.append((await reads.of(1))[0].name)

    async def both() -> None:
        first = asyncio.ensure_future(one())
        await asyncio.sleep(0.5)
        bed.edit(Vm, 1, name="renamed")
        await one()
        await first

    _ask(bed, both())
    assert names == ["vm1", "renamed"]


def test_a_reading_that_fails_fails_for_all_who_asked_and_for_nobody_else(bed: Bed) -> None:
    """The next one is made afresh."""
    reads = SharedReads(bed.managers["ms1"].desk, Vm, "id")
    bed.cut("database", "ms1", "database")

    async def two() -> list[Any]:
        return await asyncio.gather(reads.of(1), reads.of(2), return_exceptions=True)

    assert [type(problem) for problem in _ask(bed, two())] == [StoreUnavailable, StoreUnavailable]
    bed.mend("database", "ms1", "database")
    assert [rows[0].id for rows in _ask(bed, two())] == [1, 2]


def test_who_is_cancelled_takes_nothing_from_the_others(bed: Bed) -> None:
    """And a reading that is given up is no answer: nobody may take it for "no rows"."""
    desk = bed.managers["ms1"].desk
    reads = SharedReads(desk, Vm, "id")

    async def with_one_cancelled() -> list[Vm]:
        first, second = asyncio.ensure_future(reads.of(1)), asyncio.ensure_future(reads.of(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert [row.id for row in _ask(bed, with_one_cancelled())] == [2]

    async def given_up() -> list[Vm]:
        asked = asyncio.ensure_future(reads.of(1))
        await asyncio.sleep(0)
        for task in list(desk._tasks):
            if "SharedReads" in task.get_coro().__qualname__:
                task.cancel()
        return await asked

    with pytest.raises(StoreUnavailable, match="given up"):
        _ask(bed, given_up())
