"""Rows to fill a store with."""

from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from holdfast.hooks.store import Store
from holdfast.model import Event, HaConfig, Host, Json, Moment, Permit, Secret, Vm
from holdfast.model.rows import R


def vm(**values: Any) -> Vm:
    """A VM; whatever is not named has an uninteresting value."""
    given: dict[str, Any] = {
        "uuid": "vm-uuid", "name": "vm", "instance_name": "i-2-1-VM", "vm_template_id": 1, "service_offering_id": 1,
        "data_center_id": 1, "cpu": 1, "cpu_speed": 500, "ram": 512,
    }  # fmt: skip
    return Vm(**(given | values))


def event(**values: Any) -> Event:
    """An event."""
    given: dict[str, Any] = {"uuid": "event-uuid", "type": "HA.STATE.TRANSITION", "description": "something happened"}
    return Event(**(given | values))


def host(**values: Any) -> Host:
    """A host."""
    given: dict[str, Any] = {
        "uuid": "host-uuid", "name": "host", "hypervisor_type": "KVM",
        "data_center_id": 1, "pod_id": 1, "cluster_id": 1,
    }  # fmt: skip
    return Host(**(given | values))


def permit(**values: Any) -> Permit:
    """A permit."""
    given: dict[str, Any] = {"vm_id": 1, "run_epoch": 1, "host_id": 1, "proof_kind": "chassis-off"}
    return Permit(**(given | values))


def config(**values: Any) -> HaConfig:
    """Host HA of a host."""
    return HaConfig(**({"resource_id": 1} | values))


def sample(record: type[R], *, empty: bool, id: int = 0) -> R:
    """A row of any record. `empty`: None wherever it may be; else a value of its own in each field."""
    hints = get_type_hints(record)
    values: dict[str, Any] = {"id": id}
    for position, column in enumerate(fields(record)):  # type: ignore[arg-type]
        if column.name == "id":
            continue
        values[column.name] = _value(hints[column.name], column, position, empty)
    return record(**values)


def _value(hint: Any, column: Any, position: int, empty: bool) -> Any:
    if type(None) in get_args(hint):
        if empty:
            return None
        hint = next(each for each in get_args(hint) if each is not type(None))
    if empty and column.default is not MISSING:
        return column.default
    if hint is Moment:
        return Moment(1_700_000_000.125 + position)
    if hint is Json:
        return Json(f'{{"number": {position}, "emptiness": {str(empty).lower()}}}')
    if hint is Secret:
        return Secret(f"secret {position}")
    if hint is bool:
        return not empty
    if hint is str:
        return f"{column.name} {'empty' if empty else position}"
    return hint(position + 1000 * empty)


def must(store: Store, record: type[Any], row_id: int) -> Any:
    """A row that has to be there."""
    row = store.get(record, row_id)
    assert row is not None, f"{record.TABLE} {row_id} is gone"
    return row
