"""Operators change rows by hand; what can be understood is, and what cannot names its place."""

from collections.abc import Callable

import pytest
from holdfast.errors import Conflict, StoreError
from holdfast.hooks.store import Expect, Insert, Query, Update
from holdfast.model import ClusterDetail, HaConfig, Moment, Vm
from holdfast_conformance.store_rows import config, vm
from holdfast_store.store import SqlStore

ByHand = Callable[[str], None]
NEW_YEAR = 1_704_067_200.0


def test_an_unknown_state_is_read_as_it_is(store: SqlStore, by_hand: ByHand) -> None:
    """The reader of the record decides what to make of it."""
    (row_id,) = store.commit([Insert(config())])
    by_hand("UPDATE ha_config SET ha_state = 'Confused', enabled = 1")
    row = store.get(HaConfig, row_id)
    assert row is not None
    assert (row.ha_state, row.enabled) == ("Confused", True)
    by_hand("UPDATE ha_config SET ha_state = NULL")
    row = store.get(HaConfig, row_id)
    assert row is not None
    assert row.ha_state is None


def test_a_row_inserted_by_hand_is_found(store: SqlStore, by_hand: ByHand) -> None:
    """With the columns that an operator knows from CloudStack."""
    by_hand("INSERT INTO cluster_details (cluster_id, name, value) VALUES (7, 'resourceHAEnabled', 'true')")
    (row,) = store.select(ClusterDetail, Query(equal={"cluster_id": 7}))
    assert (row.name, row.value) == ("resourceHAEnabled", "true")


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("'2024-01-01 00:00:00'", NEW_YEAR),
        ("'2024-01-01'", NEW_YEAR),
        ("'2024-01-01T00:00:00.25'", NEW_YEAR + 0.25),
        ("'2024-01-01 01:00:00+01:00'", NEW_YEAR),
        ("'2024-01-01T00:00:00Z'", NEW_YEAR),
        ("NULL", None),
    ],
)
def test_moments_are_read_as_people_type_them(
    store: SqlStore, by_hand: ByHand, is_sqlite: bool, typed: str, seconds: float | None
) -> None:
    """And an expectation built on what was read holds, though the text in the table is another."""
    if not is_sqlite and ("+" in typed or "Z" in typed):
        pytest.skip("a column of MariaDB that holds moments takes no zone")
    (row_id,) = store.commit([Insert(vm())])
    by_hand(f"UPDATE vm_instance SET removed = {typed}")
    row = store.get(Vm, row_id)
    assert row is not None
    assert row.removed == seconds
    store.commit([Expect(Vm, row_id, {"removed": row.removed})])
    store.commit([Update(Vm, row_id, {"name": "new"}, expect={"removed": row.removed})])
    with pytest.raises(Conflict):
        store.commit([Update(Vm, row_id, {"name": "newer"}, expect={"removed": Moment(1.0)})])


@pytest.mark.parametrize(("typed", "flag"), [("0", False), ("1", True), ("'true'", True), ("'No'", False)])
def test_flags_are_read_as_people_type_them(
    store: SqlStore, by_hand: ByHand, is_sqlite: bool, typed: str, flag: bool
) -> None:
    """Words too, where the column takes them."""
    if not is_sqlite and "'" in typed:
        pytest.skip("MariaDB makes 0 of every word in such a column")
    (row_id,) = store.commit([Insert(vm(ha_enabled=not flag))])
    by_hand(f"UPDATE vm_instance SET ha_enabled = {typed}")
    row = store.get(Vm, row_id)
    assert row is not None
    assert row.ha_enabled is flag


@pytest.mark.parametrize(
    ("column", "typed"),
    [
        ("ha_enabled", "2"),
        ("ha_enabled", "'maybe'"),
        ("created", "'yesterday'"),
        ("created", "1704067200"),
        ("host_id", "'third'"),
        ("host_id", "2.5"),
        ("name", "x'ff'"),
    ],
)
def test_what_cannot_be_read_names_table_id_and_column(
    store: SqlStore, by_hand: ByHand, is_sqlite: bool, column: str, typed: str
) -> None:
    """One bad row is an error that can be mended, the others can still be read one by one."""
    if not is_sqlite and typed != "2":
        pytest.skip("MariaDB's columns take no such value, or make something else of it")
    good, bad = store.commit([Insert(vm()), Insert(vm())])
    by_hand(f"UPDATE vm_instance SET {column} = {typed} WHERE id = {bad}")
    with pytest.raises(StoreError, match=rf"vm_instance {bad}: {column} "):
        store.select(Vm, Query())
    assert store.get(Vm, good) is not None
    by_hand(f"UPDATE vm_instance SET {column} = (SELECT {column} FROM vm_instance WHERE id = {good})")
    assert len(store.select(Vm, Query())) == 2


def test_a_missing_value_names_table_id_and_column(store: SqlStore, by_hand: ByHand, is_sqlite: bool) -> None:
    """Even where somebody altered the table so that it takes NULL."""
    (row_id,) = store.commit([Insert(config())])
    if is_sqlite:
        by_hand("ALTER TABLE ha_config RENAME TO old")
        by_hand("CREATE TABLE ha_config AS SELECT * FROM old")
    else:
        by_hand("ALTER TABLE ha_config MODIFY provider VARCHAR(255) NULL")
    by_hand("UPDATE ha_config SET provider = NULL")
    with pytest.raises(StoreError, match=rf"ha_config {row_id}: provider is NULL"):
        store.get(HaConfig, row_id)


def test_text_in_another_encoding_is_named_with_its_place(store: SqlStore, by_hand: ByHand, is_sqlite: bool) -> None:
    """SQLite takes any bytes from a terminal; the others are read, and what is asked of others is answered."""
    if not is_sqlite:
        pytest.skip("the server refuses bytes that are no text")
    first, second = store.commit([Insert(vm(uuid=name, name=name)) for name in ("a", "b")])
    by_hand(f"UPDATE vm_instance SET display_name = CAST(x'5afc72696368' AS TEXT) WHERE id = {second}")
    for ask in (lambda: store.get(Vm, second), lambda: store.select(Vm, Query())):
        with pytest.raises(StoreError, match=rf"vm_instance {second}: display_name holds b'Z\\xfcrich', no text"):
            ask()
    with pytest.raises(StoreError) as caught:
        store.commit([Expect(Vm, second, {"display_name": "Zürich"})])
    assert "rich" not in str(caught.value)
    assert [one.id for one in store.select(Vm, Query(equal={"id": first}))] == [first]
    by_hand(f"UPDATE vm_instance SET display_name = 'Zürich' WHERE id = {second}")
    assert [one.display_name for one in store.select(Vm, Query(equal={"id": second}))] == ["Zürich"]
