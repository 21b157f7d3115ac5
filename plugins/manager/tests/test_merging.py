"""Batches that are written together come to what some order of them would have come to, one after the other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from holdfast.errors import Conflict
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Query, Update
from holdfast.model import HaConfig, Permit, Vm
from holdfast_conformance.model_store import ModelStore
from holdfast_conformance.store_rows import config, permit, vm
from holdfast_manager.merging import Merged
from hypothesis import example, given, settings
from hypothesis import strategies as st
from manager_bed import Bed

_RECORDS = (Vm, Permit, HaConfig)
_small = st.integers(1, 3)


def _of_a_vm() -> st.SearchStrategy[Change]:
    names = st.sampled_from("abc")
    return st.one_of(
        st.builds(lambda i, new, old: Update(Vm, i, {"name": new}, {"name": old}), _small, names, names),
        st.builds(lambda i, new: Update(Vm, i, {"reason": new}), _small, names),
        st.builds(lambda i, old: Expect(Vm, i, {"name": old}), _small, names),
        st.builds(lambda i: Delete(Vm, i), _small),
        st.builds(lambda name: Insert(vm(name=name)), names),
    )


def _of_a_permit() -> st.SearchStrategy[Change]:
    return st.one_of(
        st.builds(lambda i, to: Update(Permit, i, {"vm_id": to}), _small, st.integers(1, 5)),
        st.builds(lambda i: Update(Permit, i, {"state": "ended"}, {"state": "issued"}), _small),
        st.builds(lambda i: Delete(Permit, i), _small),
        st.builds(lambda to: Insert(permit(vm_id=to)), st.integers(1, 5)),
    )


def _of_an_owner() -> st.SearchStrategy[Change]:
    epochs = st.integers(1, 2)
    return st.one_of(
        st.builds(OwnedBy, _small, epochs),
        st.builds(lambda i, to: Update(HaConfig, i, {"owner_epoch": to}), _small, epochs),
        st.builds(lambda i: Update(HaConfig, i, {"ha_state": "Fenced"}), _small),
        st.builds(lambda to: Insert(config(resource_id=to)), st.integers(3, 4)),
    )


def _filled() -> ModelStore:
    store = ModelStore()
    store.commit([Insert(vm(name=name)) for name in "abc"])
    store.commit([Insert(permit(vm_id=number)) for number in (1, 2, 3)])
    store.commit([Insert(config(resource_id=number, owner_epoch=1)) for number in (1, 2, 3)])
    return store


def _contents(store: ModelStore, old: int = 3) -> list[Any]:
    """All rows; those that were added without the ids that they happened to get."""
    rows = [row for record in _RECORDS for row in store.select(record, Query())]
    return sorted((replace(row, id=row.id if row.id <= old else 0) for row in rows), key=repr)


def _one_after_the_other(batches: Sequence[Sequence[Change]]) -> list[Any] | None:
    store = _filled()
    try:
        for batch in batches:
            store.commit(batch)
    except Conflict:
        return None
    return _contents(store)


def _renamed(row_id: int) -> Update:
    return Update(Vm, row_id, {"name": "new"})


def _given_away(row_id: int) -> Update:
    return Update(HaConfig, row_id, {"owner_epoch": 2})


_EACH_LOOKS_AT_WHAT_THE_OTHER_CHANGES = [
    [Expect(Vm, 1, {"name": "a"}), _renamed(2)],
    [Expect(Vm, 2, {"name": "b"}), _renamed(1)],
]
_EACH_ENDS_WHAT_THE_OTHER_OWNS = [[OwnedBy(1, 1), _given_away(2)], [OwnedBy(2, 1), _given_away(1)]]
_EACH_NEEDS_A_KEY_OF_THE_OTHER = [
    [Insert(permit(vm_id=1)), Update(Permit, 2, {"vm_id": 4})],
    [Insert(permit(vm_id=2)), Update(Permit, 1, {"vm_id": 5})],
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.one_of(_of_a_vm(), _of_a_permit(), _of_an_owner()), min_size=1, max_size=2), max_size=3))
@example(_EACH_LOOKS_AT_WHAT_THE_OTHER_CHANGES)
@example(_EACH_ENDS_WHAT_THE_OTHER_OWNS)
@example(_EACH_NEEDS_A_KEY_OF_THE_OTHER)
def test_what_is_written_together_is_some_order_of_the_batches(batches: list[list[Change]]) -> None:
    """Or it is refused, and then each is tried alone. Each batch learns the ids of its own rows."""
    store, merged = _filled(), Merged(batches)
    assert sorted(map(repr, merged.changes)) == sorted(repr(change) for batch in batches for change in batch)
    try:
        ids = store.commit(merged.changes)
    except Conflict:
        return
    assert _contents(store) in [_one_after_the_other(order) for order in permutations(batches)]
    for batch, share in zip(batches, merged.shares(ids), strict=True):
        rows = [change.row for change in batch if isinstance(change, Insert)]
        stored = [store.get(type(row), row_id) for row, row_id in zip(rows, share, strict=True)]
        # One that another batch changed at once is told by its id alone.
        assert all(found is None or found.id > 3 for found in stored)


def test_like_changes_of_many_batches_stand_together() -> None:
    """That is what it is for: the store sends them as one."""
    batches = [
        [
            OwnedBy(1, 1),
            Update(Permit, number, {"state": "ended"}),
            Insert(vm(name="x")),
            Update(Vm, number, {"ram": 1}),
        ]
        for number in range(1, 40)
    ]
    kinds = [(type(change), getattr(change, "record", None)) for change in Merged(batches).changes]
    assert sum(kind != before for kind, before in zip(kinds, [None, *kinds], strict=False)) == 4


def test_a_batch_that_is_refused_is_refused_alone(make_bed: Callable[..., Bed]) -> None:
    """Of a hundred that come at once the one at fault hears of it, after a few more commits; the others are written."""
    bed = make_bed(servers=1)
    bed.add_vms(1)
    life = bed.lives["ms1"]
    memory = bed.managers["ms1"].desk.memory
    commits: list[int] = []
    life.store.before_commit = lambda _number, changes: commits.append(len(changes))

    async def all_at_once() -> list[Any]:
        batches: list[list[Change]] = [[Insert(vm(name=f"new-{number}"))] for number in range(100)]
        batches[37].append(Expect(Vm, 1, {"name": "another"}))
        return await asyncio.gather(*map(memory.commit, batches), return_exceptions=True)

    task = bed.loop.spawn(life.process, all_at_once())
    bed.run_until(task.done, 10, step=0.01)
    found = task.result()
    assert isinstance(found[37], Conflict)
    names = [bed.store.get(Vm, share[0]).name for share in found[:37] + found[38:]]
    assert names == [f"new-{number}" for number in range(100) if number != 37]
    assert len([size for size in commits if size]) < 30
