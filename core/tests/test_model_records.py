"""Records are frozen, complete in `RECORDS`, and their declared keys exist."""

import dataclasses
import types
import typing

import pytest
from holdfast.model import RECORDS, Json, Moment, Row, Secret, administration, availability, infrastructure
from holdfast.model.alerts import ALERT_TYPES

ALLOWED = {int, str, bool, float, Moment, Json, Secret, type(None)}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_declares_only_what_a_store_can_keep(kind: type[Row]) -> None:
    """Fields of the few known kinds, `id` first, keys that name fields, frozen and without a dictionary."""
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    assert fields[0] == "id"
    for name in fields:
        hint = hints[name]
        parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
        assert set(parts) <= ALLOWED, f"{kind.__name__}.{name}"
    assert {name for group in (*kind.UNIQUE, *kind.INDEXED) for name in group} <= set(fields)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not any("__dict__" in vars(ancestor) for ancestor in kind.__mro__ if ancestor is not object)


def test_every_record_is_listed_once_with_a_table_of_its_own() -> None:
    """A record left out of `RECORDS` would never get its table."""
    declared = {
        value
        for module in (administration, availability, infrastructure)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Row) and value is not Row
    }
    assert declared == set(RECORDS)
    assert len({kind.TABLE for kind in RECORDS}) == len(RECORDS)


def test_alerts_have_numbers_of_their_own() -> None:
    """Operators filter by them."""
    assert len(set(ALERT_TYPES.values())) == len(ALERT_TYPES)


def test_what_operators_query_by_hand_keeps_upstreams_names() -> None:
    """Design §9."""
    tables = {kind.TABLE for kind in RECORDS}
    assert tables >= {
        "host", "ha_config", "oobm", "mshost", "mshost_peer", "cluster_details", "data_center_details", "vm_instance",
        "op_ha_work", "configuration", "event", "alert", "async_job",
    }  # fmt: skip
