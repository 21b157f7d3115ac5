"""Reads that are made together are as fresh as reads that are made alone, and fail for those who asked."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.errors import StoreUnavailable
from holdfast.hooks.store import Query
from holdfast.model import Vm
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
