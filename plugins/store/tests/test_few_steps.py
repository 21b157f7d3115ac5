"""Databases asked in few steps, or in few trips, give what they give row by row."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from holdfast.errors import Conflict, StoreError, StoreUnavailable
from holdfast.hooks.store import Change, Delete, Insert, Query, Update
from holdfast.model import Cluster, Event, Moment, Permit, Vm
from holdfast_store import few_steps, few_trips
from holdfast_store.store import SqlStore

COUNT = 300
"""More than two parts of the largest size, and some over."""


def vm(number: int, **values: object) -> Vm:
    names = {"uuid": f"vm-{number}", "name": f"vm-{number}", "instance_name": f"i-{number}"}
    made = Vm(**names, vm_template_id=1, service_offering_id=1, data_center_id=1, cpu=1, cpu_speed=1000, ram=512)  # type: ignore[arg-type]
    return replace(made, **values)  # type: ignore[arg-type]


@pytest.fixture
def vms(store: SqlStore) -> list[Vm]:
    """Many VMs."""
    ids = store.commit([Insert(vm(number)) for number in range(COUNT)])
    return [vm(number, id=row_id) for number, row_id in enumerate(ids)]


@pytest.fixture
def row_by_row(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forgets how to ask in few steps and trips."""

    def forget() -> None:
        for way in (few_steps, few_trips):
            monkeypatch.setattr(way, "knows", lambda dialect: False)

    return forget


def change_all(vms: list[Vm], **values: object) -> list[Change]:
    return [Update(Vm, one.id, values, {"update_count": 0}) for one in vms]


def test_parts_leave_nothing_out() -> None:
    """Whatever the number of rows: all of them, in order, in few statements."""
    for count in range(1, 700):
        for way in (few_steps, few_trips):
            found = [number for part in way.parts(count) for number in range(count)[part]]
            assert found == list(range(count))
        assert len(list(few_steps.parts(count))) <= count // 128 + 7


def test_many_rows_are_written_as_they_are(store: SqlStore, vms: list[Vm]) -> None:
    """Inserted, changed and read again: values of all kinds, empty ones too."""
    assert store.select(Vm, Query()) == vms
    when = Moment(1_700_000_000.000_007)
    text = "a 'quoted' %s %(x)s \"\\ \n \0 ü 😀"
    values = {"reason": text, "ha_enabled": True, "update_time": when, "last_host_id": None}
    store.commit(change_all(vms, **values))
    changed = [replace(one, **values) for one in vms]  # type: ignore[arg-type]
    assert store.select(Vm, Query()) == changed
    each = [{"reason": f"{one.id} {text}" if one.id % 2 else "", "last_host_id": one.id % 3 or None} for one in vms]
    each = [{**values, "update_time": when if one.id % 5 else None} for one, values in zip(vms, each, strict=True)]
    expected = {"update_time": when, "reason": text, "host_id": None, "ha_enabled": True}
    store.commit([Update(Vm, one.id, values, expected) for one, values in zip(vms, each, strict=True)])
    found = [replace(one, **values) for one, values in zip(changed, each, strict=True)]
    assert store.select(Vm, Query()) == found


def test_texts_may_be_long(store: SqlStore, vms: list[Vm]) -> None:
    """So long that no server takes those of all rows at once."""
    texts = [str(one.id % 10) * 500_000 for one in vms[:40]]
    store.commit([Update(Vm, one.id, {"reason": text}) for one, text in zip(vms, texts, strict=False)])
    assert [one.reason for one in store.select(Vm, Query(limit=40, order=("id",)))] == texts


def test_the_text_says_what_the_rows_say(
    store: SqlStore, vms: list[Vm], by_hand: Callable[[str], None], row_by_row: Callable[[], None], is_sqlite: bool
) -> None:
    """Order, limit and offset included, and what somebody typed that no record would hold."""
    by_hand("UPDATE vm_instance SET ram = '1024', reason = '5' WHERE id % 3 = 0")
    zone = "+02:00" if is_sqlite else ""
    by_hand(f"UPDATE vm_instance SET created = '2026-01-02', removed = '2026-01-02 03:04:05{zone}' WHERE id % 7 = 0")
    queries = [
        Query(order=("-ram", "name")), Query(order=("-name",), limit=7), Query(offset=290), Query(limit=0),
        Query(equal={"id": -1}), Query(containing={"VM-1": ("name",)}, order=("-id",), limit=5, offset=3),
    ]  # fmt: skip
    found = [store.select(Vm, query) for query in queries]
    row_by_row()
    assert found == [store.select(Vm, query) for query in queries]
    assert [len(rows) for rows in found] == [300, 7, 10, 0, 0, 5]


def test_bytes_typed_by_hand_are_no_obstacle(
    store: SqlStore, vms: list[Vm], by_hand: Callable[[str], None], is_sqlite: bool
) -> None:
    """They fit into no text that is made of all rows; those are read one by one then."""
    if not is_sqlite:
        pytest.skip("a column of MariaDB takes no bytes")
    by_hand("UPDATE vm_instance SET reason = CAST('typed' AS BLOB) WHERE id = 5")
    assert store.select(Vm, Query())[4].reason == "typed"
    by_hand("UPDATE vm_instance SET ram = x'ff' WHERE id = 6")
    with pytest.raises(StoreError, match="vm_instance 6: ram holds"):
        store.select(Vm, Query())


def test_a_reader_that_gets_no_connection_is_told_so(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Holdfast's words, however the rows would have been read."""

    def connect() -> sa.Connection:
        raise sa.exc.TimeoutError

    monkeypatch.setattr(store._bound(), "connect", connect)
    with pytest.raises(StoreUnavailable, match="cannot read vm_instance: all connections to the database are busy"):
        store.select(Vm, Query())


def test_floats_keep_all_their_digits(store: SqlStore) -> None:
    """In a text SQLite writes fifteen."""
    ratio = 1.1000000000000003
    cluster = Cluster(uuid="c", name="c", pod_id=1, data_center_id=1, hypervisor_type="KVM")
    store.commit([Insert(replace(cluster, cpu_overcommit_ratio=ratio))])
    assert store.select(Cluster, Query())[0].cpu_overcommit_ratio == ratio


def test_one_row_that_is_otherwise_refuses_all(store: SqlStore, vms: list[Vm]) -> None:
    """And is named; nothing of the batch is written."""
    store.commit([Update(Vm, vms[200].id, {"update_count": 1})])
    with pytest.raises(Conflict, match=f"vm_instance {vms[200].id} was changed by somebody else: update_count"):
        store.commit(change_all(vms, reason="x"))
    assert {one.reason for one in store.select(Vm, Query())} == {""}


def test_updates_of_one_row_happen_in_order(store: SqlStore, vms: list[Vm]) -> None:
    """Though they are alike, each sees what the one before wrote."""
    store.commit([Update(Vm, vms[0].id, {"run_epoch": n + 1}, {"run_epoch": n}) for n in range(20)])
    assert store.select(Vm, Query(equal={"id": vms[0].id}))[0].run_epoch == 20


def permit(vm_id: int) -> Insert:
    return Insert(Permit(vm_id=vm_id, run_epoch=1, host_id=1, proof_kind="never-ran"))


def test_unique_keys_are_handed_on_in_order(store: SqlStore) -> None:
    """A row may take the key that the update before it gave up."""
    ids = store.commit([permit(number) for number in range(COUNT)])
    store.commit([Update(Permit, row_id, {"vm_id": row_id}) for row_id in reversed(ids)])
    assert [one.vm_id for one in store.select(Permit, Query())] == list(ids)
    with pytest.raises(Conflict, match="another row has the same unique key"):
        store.commit([Update(Permit, row_id, {"vm_id": row_id + 1}) for row_id in ids])


def test_an_id_is_never_given_again(store: SqlStore, vms: list[Vm]) -> None:
    """Not that of the newest row either, once it is removed."""
    store.commit([Delete(Vm, one.id) for one in vms[-20:]])
    again = store.commit([Insert(vm(1000 + number)) for number in range(20)])
    assert again == tuple(range(vms[-1].id + 1, vms[-1].id + 21))
    assert store.commit([Insert(vm(2000))]) == (again[-1] + 1,)


def test_rows_with_a_known_key_are_refused(store: SqlStore) -> None:
    """All of them."""
    store.commit([permit(number) for number in range(20)])
    with pytest.raises(Conflict, match="another row has the same unique key"):
        store.commit([permit(number) for number in range(200, 10, -1)])
    assert store.count(Permit, Query()) == 20


def test_inserts_of_several_records_keep_their_ids_apart(store: SqlStore) -> None:
    """The ids of a batch come in the order of its inserts."""
    events = [Insert(Event(uuid=f"e{n}", type="x", description="y")) for n in range(11)]
    ids = store.commit([*events[:10], *(Insert(vm(number)) for number in range(10)), events[10]])
    assert {row.id: row.uuid for row in store.select(Event, Query())} == {
        row_id: f"e{n}" for n, row_id in enumerate((*ids[:10], ids[20]))
    }
    assert {row.id: row.uuid for row in store.select(Vm, Query())} == {
        row_id: f"vm-{n}" for n, row_id in enumerate(ids[10:20])
    }
