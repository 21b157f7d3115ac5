"""Standard tests of stores: what is written comes back."""

from typing import Any

import pytest
from holdfast.errors import Conflict
from holdfast.hooks.store import Delete, Expect, Insert, Query, Store, Update
from holdfast.model import (
    RECORDS,
    Event,
    Host,
    Moment,
    Secret,
    Vm,
)

from holdfast_conformance.store_rows import event, host, must, sample, vm

SQUARE = "\N{BLACK SQUARE} 'quoted' \"double\" 100%_\\ \N{PILE OF POO}"


class RowTests:
    """Part of `StoreConformance`."""

    @pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.TABLE)
    def test_every_record_comes_back_as_it_was_written(self, store: Store, record: type[Any]) -> None:
        """All fields of all records, with an id in place of 0."""
        for empty in (False, True):
            row = sample(record, empty=empty)
            (row_id,) = store.commit([Insert(row)])
            read = store.get(record, row_id)
            assert type(read) is record
            assert read == sample(record, empty=empty, id=row_id)

    def test_a_text_comes_back_letter_by_letter(self, store: Store) -> None:
        """No character is special, no space is trimmed and no letter changes case."""
        for text in (SQUARE, "", " both sides ", "NULL", "line\nline\ttab", "İıſß", "x" * 60_000):
            (row_id,) = store.commit([Insert(event(description=text))])
            assert must(store, Event, row_id).description == text
            store.commit([Delete(Event, row_id, expect={"description": text})])

    def test_a_moment_is_kept_to_the_microsecond(self, store: Store) -> None:
        """And the very value that was written meets an expectation and a query, whatever its last digits."""
        for seconds in (0.0, 1_700_000_000.123456, 1_700_000_000.1234564, 1_699_999_999.9999999, 4_000_000_000.5):
            (row_id,) = store.commit([Insert(vm(created=Moment(seconds)))])
            assert abs(must(store, Vm, row_id).created - seconds) < 1.1e-6
            store.commit([Expect(Vm, row_id, {"created": Moment(seconds)})])
            assert store.count(Vm, Query(equal={"created": Moment(seconds), "id": row_id})) == 1

    def test_large_numbers_are_kept(self, store: Store) -> None:
        """Integers have 64 bits."""
        for number in (2**63 - 1, -(2**63), 2**31, 0):
            (row_id,) = store.commit([Insert(vm(ram=number))])
            assert must(store, Vm, row_id).ram == number

    def test_an_absent_row_is_none(self, store: Store) -> None:
        """Not an error."""
        assert store.get(Vm, 1) is None
        assert store.get(Vm, 10**15) is None

    def test_ids_come_in_the_order_of_the_inserts(self, store: Store) -> None:
        """Of mixed records too, and never 0."""
        changes = [Insert(vm(name="a")), Insert(event()), Insert(vm(name="b")), Insert(vm(name="c")), Insert(event())]
        first, _, second, third, _ = ids = store.commit(changes)
        assert [must(store, Vm, row_id).name for row_id in (first, second, third)] == ["a", "b", "c"]
        assert all(row_id > 0 for row_id in ids)

    def test_many_inserts_keep_their_order(self, store: Store) -> None:
        """More than fits one statement."""
        ids = store.commit([Insert(vm(name=f"vm-{number}")) for number in range(3_000)])
        assert [must(store, Vm, ids[index]).name for index in (0, 1, 999, 1000, 2999)] == [
            f"vm-{index}" for index in (0, 1, 999, 1000, 2999)
        ]
        assert len(set(ids)) == 3_000

    def test_an_id_is_never_given_twice(self, store: Store) -> None:
        """Not even when the newest row is gone: an old id in a record must not come to mean another row."""
        (old,) = store.commit([Insert(vm())])
        store.commit([Delete(Vm, old)])
        (new,) = store.commit([Insert(vm())])
        assert new != old

    def test_a_secret_comes_back_and_can_be_expected_and_cleared(self, store: Store) -> None:
        """`Secret` fields keep their value, None included."""
        (row_id,) = store.commit([Insert(host(password=Secret("s3same")))])
        assert must(store, Host, row_id).password == Secret("s3same")
        store.commit([Update(Host, row_id, {"password": Secret("other")}, expect={"password": Secret("s3same")})])
        with pytest.raises(Conflict):
            store.commit([Update(Host, row_id, {"name": "x"}, expect={"password": Secret("s3same")})])
        store.commit([Update(Host, row_id, {"password": None}, expect={"password": Secret("other")})])
        assert must(store, Host, row_id).password is None
        assert store.count(Host, Query(equal={"password": None})) == 1
