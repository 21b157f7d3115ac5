"""Standard tests of stores: queries."""

import pytest
from holdfast.errors import HoldfastError
from holdfast.hooks.store import Insert, Query, Store
from holdfast.model import (
    Moment,
    Vm,
)

from holdfast_conformance.store_rows import vm


class QueryTests:
    """Part of `StoreConformance`."""

    def test_conditions_are_joined_by_and(self, store: Store) -> None:
        """Every kind of condition, alone and together."""
        store.commit(
            [
                Insert(vm(name="a", host_id=1, ram=10, removed=Moment(5.0))),
                Insert(vm(name="b", host_id=1, ram=20)),
                Insert(vm(name="c", host_id=2, ram=30, ha_enabled=True)),
                Insert(vm(name="d", host_id=None, ram=40)),
            ]
        )
        assert names(store, Query(equal={"host_id": 1})) == "ab"
        assert names(store, Query(equal={"host_id": None})) == "d"
        assert names(store, Query(equal={"host_id": 1, "removed": None})) == "b"
        assert names(store, Query(equal={"ha_enabled": True})) == "c"
        assert names(store, Query(unequal={"host_id": 1})) == "cd"
        assert names(store, Query(unequal={"removed": None})) == "a"
        assert names(store, Query(among={"host_id": [1, 2]})) == "abc"
        assert names(store, Query(among={"host_id": [2, None]})) == "cd"
        assert names(store, Query(among={"host_id": []})) == ""
        assert names(store, Query(among={"name": ("a", "d", "zz")}, unequal={"ram": 10})) == "d"
        assert names(store, Query(above={"ram": 10}, below={"ram": 40})) == "bc"
        assert names(store, Query(below={"host_id": 5})) == "abc"
        assert names(store, Query(below={"removed": Moment(6.0)})) == "a"

    def test_containing_looks_for_literal_text_in_any_case(self, store: Store) -> None:
        """`%`, `_` and the escape characters mean themselves; several texts must all be found."""
        store.commit(
            [
                Insert(vm(name="Web-01", display_name="Front Ünit", reason="50% full")),
                Insert(vm(name="db_01", display_name="back", reason="a\\b")),
                Insert(vm(name="dbx01", display_name="WEB copy", reason="")),
            ]
        )
        both = ("name", "display_name")
        assert names(store, Query(containing={"web": both})) == "Web-01dbx01"
        assert names(store, Query(containing={"WEB": ("name",)})) == "Web-01"
        assert names(store, Query(containing={"b_0": both})) == "db_01"
        assert names(store, Query(containing={"0% F": ("reason",)})) == "Web-01"
        assert names(store, Query(containing={"A\\B": ("reason",)})) == "db_01"
        assert names(store, Query(containing={"ünIT": both})) == "Web-01"
        assert names(store, Query(containing={"web": both, "01": ("name",), "copy": both})) == "dbx01"
        assert names(store, Query(containing={"zz": both})) == ""

    def test_order_limit_and_offset(self, store: Store) -> None:
        """None comes first; ties go by id; capitals come before small letters; count leaves the page aside."""
        store.commit(
            [Insert(vm(name=name, host_id=where)) for name, where in zip("cAbad", (2, None, 1, 2, 1), strict=True)]
        )
        assert names(store, Query()) == "cAbad"
        assert names(store, Query(order=("name",))) == "Aabcd"
        assert names(store, Query(order=("-name",))) == "dcbaA"
        assert names(store, Query(order=("host_id",))) == "Abdca"
        assert names(store, Query(order=("-host_id", "name"))) == "acbdA"
        assert names(store, Query(order=("-id",), limit=2)) == "da"
        assert names(store, Query(limit=2, offset=1)) == "Ab"
        assert names(store, Query(offset=3)) == "ad"
        assert names(store, Query(limit=0)) == ""
        assert names(store, Query(offset=9)) == ""
        assert store.count(Vm, Query(limit=2, offset=1)) == 5
        assert store.count(Vm, Query(equal={"host_id": 2}, limit=1)) == 2

    def test_a_query_may_name_thousands_of_values(self, store: Store) -> None:
        """The VMs of a thousand hosts are asked for at once."""
        ids = store.commit([Insert(vm(name=f"vm-{number}", host_id=number)) for number in range(200)])
        wanted = list(range(100, 20_100))
        assert store.count(Vm, Query(among={"host_id": wanted})) == 100
        assert [row.id for row in store.select(Vm, Query(among={"host_id": wanted}))] == list(ids[100:])

    def test_a_query_for_an_unknown_field_is_refused(self, store: Store) -> None:
        """Instead of silently matching all or nothing."""
        for bad in (Query(equal={"colour": 1}), Query(order=("colour",)), Query(above={"colour": 1})):
            with pytest.raises(HoldfastError):
                store.select(Vm, bad)


def names(store: Store, query: Query) -> str:
    return "".join(row.name for row in store.select(Vm, query))
