"""From a column's raw value to a record's, one value at a time: patient with what people type."""

from collections.abc import Callable
from typing import Any

from holdfast.errors import StoreError
from holdfast.model.secret import Secret

from holdfast_store import moments
from holdfast_store.cipher import Cipher, WrongKey
from holdfast_store.columns import Column

FLAGS: dict[Any, bool] = {0: False, 1: True}
_TYPED_FLAGS = {"0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}


def decode(column: Column, value: Any, row_id: Any, cipher: Callable[[], Cipher]) -> Any:
    """The record's value. `StoreError` naming table, id and column if there is no sensible one."""
    if value is None:
        if column.optional:
            return None
        raise StoreError(f"{column.table} {row_id}: {column.name} is NULL but needs a value: set one")
    if column.kind == "secret":
        return _secret(column, value, row_id, cipher)
    try:
        return _DECODERS[column.kind](value)
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as problem:
        raise StoreError(
            f"{column.table} {row_id}: {column.name} holds {value!r:.80}, no {_WANTED[column.kind]}: correct it"
        ) from problem


def _secret(column: Column, value: Any, row_id: Any, cipher: Callable[[], Cipher]) -> Secret:
    try:
        return Secret(cipher().decrypt(column.place, _text(value)))
    except (WrongKey, ValueError) as problem:
        raise StoreError(
            f"{column.table} {row_id}: {column.name} was encrypted with another key or for another column, or is "
            "damaged: enter the secret again"
        ) from problem


def _number(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    return number


def _flag(value: Any) -> bool:
    return _TYPED_FLAGS[value.strip().lower()] if isinstance(value, str) else FLAGS[value]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "real": float,
    "flag": _flag,
    "moment": moments.from_anything,
    "text": _text,
    "json": _text,
}
_WANTED = {
    "number": "whole number",
    "real": "number",
    "flag": "truth value (0 or 1)",
    "moment": "moment (YYYY-MM-DD HH:MM:SS)",
    "text": "text",
    "json": "text",
}
