"""Rows built on the fast path are the records that the slow path builds."""

from dataclasses import FrozenInstanceError
from datetime import datetime
from typing import Any

import pytest
from holdfast.model import Vm
from holdfast_conformance.store_rows import vm
from holdfast_store import moments
from holdfast_store.cipher import Cipher
from holdfast_store.columns import columns_of
from holdfast_store.reading import Reader
from hypothesis import given
from hypothesis import strategies as st

CREATED = datetime(2024, 1, 1)  # noqa: DTZ001 - drivers give naive values


def _raw(row_id: int, created: Any) -> tuple[Any, ...]:
    row = vm(id=row_id)
    values = {column: getattr(row, column) for column in columns_of(Vm)}
    return tuple((values | {"created": created, "ha_enabled": 1}).values())


def _reader() -> Reader[Vm]:
    return Reader(Vm, lambda: Cipher(bytes(32)))


@pytest.mark.parametrize("created", [CREATED, str(CREATED), f"{CREATED}.000000"])
def test_the_second_row_of_a_shape_equals_the_first(created: Any) -> None:
    """The first of a shape is read patiently, the second by compiled code."""
    first, second = _reader().rows([_raw(7, created), _raw(7, created)])
    assert first == second == vm(id=7, created=1_704_067_200.0, ha_enabled=True)
    assert hash(first) == hash(second)
    assert repr(first) == repr(second)


def test_a_row_of_the_fast_path_is_an_ordinary_record() -> None:
    """Its class is the record's, and it is frozen."""
    _, row = _reader().rows([_raw(1, CREATED), _raw(2, CREATED)])
    assert type(row) is Vm
    with pytest.raises(FrozenInstanceError):
        row.name = "x"  # type: ignore[misc]


@given(microseconds=st.integers(-(10**15), 10**16))
def test_moments_survive_the_column(microseconds: int) -> None:
    """To the microsecond, as a type of the driver and as a text."""
    moment = microseconds / 1_000_000
    column = moments.to_column(moment)
    assert moments.from_raw(column) == moments.from_raw(str(column)) == moments.rounded(moment) == moment
