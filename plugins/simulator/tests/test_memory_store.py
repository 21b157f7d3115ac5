"""The store in memory keeps the published contract, and tells its observers."""

from collections.abc import Iterator

import pytest
from holdfast.errors import Conflict
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Event, Permit
from holdfast_conformance.store import StoreConformance
from holdfast_simulator.memory_store import MemoryStore


class TestMemoryStore(StoreConformance):
    """The standard suite."""

    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore()
        store.migrate()
        yield store
        store.close()


def test_observers_hear_of_committed_batches_alone() -> None:
    """A refused batch is no news."""
    store, heard = MemoryStore(), []

    def hear(changes: list[Change]) -> None:
        heard.append(len(changes))

    store.observers.append(hear)
    permit = Permit(vm_id=1, run_epoch=1, host_id=1, proof_kind="never-ran")
    store.commit([Insert(permit)])
    store.commit([])
    with pytest.raises(Conflict):
        store.commit([Insert(Event(uuid="e", type="t", description="d")), Insert(permit)])
    assert heard == [1]


def test_undoing_restores_keys_and_indexes() -> None:
    """After a refused batch, unique keys that it gave up are taken again and queries find what they found."""
    store = MemoryStore()
    permit = Permit(vm_id=1, run_epoch=1, host_id=1, proof_kind="never-ran")
    (row_id,) = store.commit([Insert(permit)])
    with pytest.raises(Conflict):
        store.commit(
            [
                Update(Permit, row_id, {"run_epoch": 2, "host_id": 9}),
                Update(Permit, row_id, {"run_epoch": 3}),
                Insert(permit),
                Insert(permit),
            ]
        )
    assert [row.run_epoch for row in store.select(Permit, Query(equal={"host_id": 1}))] == [1]
    assert store.count(Permit, Query(equal={"host_id": 9})) == 0
    with pytest.raises(Conflict):
        store.commit([Insert(permit)])
