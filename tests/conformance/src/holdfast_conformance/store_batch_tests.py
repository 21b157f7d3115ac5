"""Standard tests of stores: a batch is written whole, in order, or not at all."""

from typing import Any

import pytest
from holdfast.errors import Conflict, HoldfastError, StaleOwner
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Query, Store, Update
from holdfast.model import (
    Event,
    HaConfig,
    HAState,
    Host,
    Permit,
    Secret,
    Vm,
    VmState,
)

from holdfast_conformance.store_rows import config, event, host, must, permit, vm


class BatchTests:
    """Part of `StoreConformance`."""

    def test_an_empty_batch_writes_nothing(self, store: Store) -> None:
        """And returns no ids."""
        assert store.commit([]) == ()

    def test_an_update_changes_only_what_it_names(self, store: Store) -> None:
        """One row, the named fields."""
        first, second = store.commit([Insert(vm(name="a")), Insert(vm(name="b"))])
        assert store.commit([Update(Vm, first, {"state": VmState.RUNNING, "host_id": 7})]) == ()
        assert must(store, Vm, first) == vm(name="a", id=first, state="Running", host_id=7)
        assert must(store, Vm, second) == vm(name="b", id=second)

    def test_an_update_to_the_same_values_is_no_conflict(self, store: Store) -> None:
        """A store that counts changed rows instead of found ones would fail here."""
        (row_id,) = store.commit([Insert(vm(name="a"))])
        store.commit([Update(Vm, row_id, {"name": "a"}, expect={"name": "a"})])
        store.commit([Update(Vm, row_id, {}, expect={"name": "a"})])

    def test_changes_of_a_batch_are_made_in_order(self, store: Store) -> None:
        """A later change sees the earlier ones of its batch."""
        (row_id,) = store.commit([Insert(permit(vm_id=1))])
        store.commit(
            [
                Update(Permit, row_id, {"state": "running"}, expect={"state": "issued"}),
                Expect(Permit, row_id, {"state": "running"}),
                Update(Permit, row_id, {"state": "ended"}, expect={"state": "running"}),
                Delete(Permit, row_id, expect={"state": "ended"}),
                Insert(permit(vm_id=1)),
            ]
        )
        assert [row.state for row in store.select(Permit, Query())] == ["issued"]

    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_a_failed_expectation_undoes_the_whole_batch(self, store: Store, position: int) -> None:
        """Wherever in the batch it stands."""
        (row_id,) = store.commit([Insert(vm(name="before"))])
        changes: list[Any] = [Update(Vm, row_id, {"name": "after"}), Insert(event())]
        changes.insert(position, Expect(Vm, row_id, {"state": "Destroyed"}))
        with pytest.raises(Conflict):
            store.commit(changes)
        assert must(store, Vm, row_id).name == "before"
        assert store.count(Event, Query()) == 0

    def test_a_failed_expectation_says_which(self, store: Store) -> None:
        """The table, the id and the fields are named, a secret never is."""
        (row_id,) = store.commit([Insert(host(password=Secret("s3same")))])
        wrong = {"status": "Down", "alloc_version": 0, "password": Secret("0pen")}
        for change in (Expect(Host, row_id, wrong), Update(Host, row_id, {"name": "x"}, expect=wrong)):
            with pytest.raises(Conflict) as caught:
                store.commit([change])
            text = str(caught.value)
            assert "host" in text
            assert str(row_id) in text
            assert "status" in text
            assert "password" in text
            assert "alloc_version" not in text
            assert "s3same" not in text
            assert "0pen" not in text

    def test_one_of_many_like_updates_can_fail_the_batch(self, store: Store) -> None:
        """And is the one that is named."""
        ids = store.commit([Insert(vm(name=f"vm-{number}")) for number in range(50)])
        store.commit([Update(Vm, ids[31], {"state": "Running"})])
        with pytest.raises(Conflict, match=rf"\b{ids[31]}\b"):
            store.commit([Update(Vm, each, {"state": "Starting"}, expect={"state": "Stopped"}) for each in ids])
        assert store.count(Vm, Query(equal={"state": "Starting"})) == 0

    def test_an_expectation_of_none_holds_only_for_none(self, store: Store) -> None:
        """None is a value like others."""
        (row_id,) = store.commit([Insert(vm(host_id=None))])
        store.commit([Update(Vm, row_id, {"host_id": 3}, expect={"host_id": None})])
        with pytest.raises(Conflict):
            store.commit([Update(Vm, row_id, {"host_id": 4}, expect={"host_id": None})])
        with pytest.raises(Conflict):
            store.commit([Update(Vm, row_id, {"host_id": 4}, expect={"host_id": 2})])
        store.commit([Update(Vm, row_id, {"host_id": None}, expect={"host_id": 3})])

    def test_expectations_are_exact(self, store: Store) -> None:
        """Letter case and spaces count."""
        (row_id,) = store.commit([Insert(vm(name="Web"))])
        for other in ("web", "Web ", "Wéb", ""):
            with pytest.raises(Conflict):
                store.commit([Expect(Vm, row_id, {"name": other})])
            assert store.count(Vm, Query(equal={"name": other})) == 0

    def test_updating_an_absent_row_is_a_conflict(self, store: Store) -> None:
        """Somebody else removed it first."""
        for change in (Update(Vm, 99, {"name": "x"}), Update(Vm, 99, {}), Expect(Vm, 99, {})):
            with pytest.raises(Conflict, match="99"):
                store.commit([change])

    def test_deleting_an_absent_row_is_a_conflict_only_if_something_was_expected(self, store: Store) -> None:
        """Gone is what was wanted."""
        store.commit([Delete(Vm, 99)])
        with pytest.raises(Conflict, match="99"):
            store.commit([Delete(Vm, 99, expect={"state": "Stopped"})])
        (row_id,) = store.commit([Insert(vm())])
        with pytest.raises(Conflict):
            store.commit([Delete(Vm, row_id, expect={"state": "Running"})])
        store.commit([Delete(Vm, row_id, expect={"state": "Stopped"})])
        assert store.get(Vm, row_id) is None

    def test_a_unique_key_is_held(self, store: Store) -> None:
        """By Insert and Update, within one batch too; a refused batch writes nothing."""
        first, second = store.commit([Insert(permit(vm_id=1)), Insert(permit(vm_id=2))])
        refused: list[list[Change]] = [
            [Insert(event()), Insert(permit(vm_id=1))],
            [Insert(event()), Insert(permit(vm_id=3)), Insert(permit(vm_id=3))],
            [Insert(event()), Update(Permit, second, {"vm_id": 1})],
        ]
        for bad in refused:
            with pytest.raises(Conflict, match="vm_permit"):
                store.commit(bad)
        assert store.count(Event, Query()) == 0
        assert [row.id for row in store.select(Permit, Query())] == [first, second]

    def test_only_the_newest_owner_epoch_is_accepted(self, store: Store) -> None:
        """An older one, a future one and an unknown host are all `StaleOwner`; nothing is written (S5)."""
        (row_id,) = store.commit([Insert(config(resource_id=5, owner_epoch=3))])
        store.commit([Insert(config(resource_id=6, owner_epoch=4, resource_type="Cluster"))])
        store.commit([OwnedBy(5, 3), Update(HaConfig, row_id, {"ha_state": HAState.SUSPECT})])
        for stale in (OwnedBy(5, 2), OwnedBy(5, 4), OwnedBy(6, 4), OwnedBy(7, 0)):
            with pytest.raises(StaleOwner):
                store.commit([Update(HaConfig, row_id, {"ha_state": HAState.FENCING}), stale])
        assert must(store, HaConfig, row_id).ha_state == HAState.SUSPECT

    def test_a_malformed_change_writes_nothing(self, store: Store) -> None:
        """A row with an id, a field that does not exist, a change of an id."""
        (row_id,) = store.commit([Insert(vm(name="a"))])
        for bad in (
            Insert(vm(id=4)),
            Update(Vm, row_id, {"colour": "red"}),
            Update(Vm, row_id, {"id": 8}),
        ):
            with pytest.raises(HoldfastError):
                store.commit([Insert(event()), Update(Vm, row_id, {"name": "b"}), bad])
        assert must(store, Vm, row_id).name == "a"
        assert store.count(Event, Query()) == 0
