"""From a record's value to a column's: checked alike on every database, because SQLite checks next to nothing."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.errors import StoreError
from holdfast.model.rows import Row
from holdfast.model.secret import Secret

from holdfast_store import moments
from holdfast_store.cipher import Cipher
from holdfast_store.columns import Column, column_of, columns_of

Encoder = Callable[[Any], Any]
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class Encoding:
    """Checks and converts values of all records. `cipher` is asked for only when a secret is to be written."""

    def __init__(self, cipher: Callable[[], Cipher]) -> None:
        self._cipher = cipher
        self._rows: dict[type[Row], tuple[tuple[str, Encoder], ...]] = {}
        self._encoders: dict[tuple[type[Row], str], Encoder] = {}

    def row(self, row: Row) -> dict[str, Any]:
        """All columns of a new row but its id."""
        record = type(row)
        if row.id != 0:
            raise StoreError(f"a new row of {record.TABLE} must have id 0, not {row.id}: the store assigns ids")
        encoders = self._rows.get(record)
        if encoders is None:
            names = [name for name in columns_of(record) if name != "id"]
            encoders = self._rows[record] = tuple((name, self.encoder(record, name)) for name in names)
        return {name: encode(getattr(row, name)) for name, encode in encoders}

    def values(self, record: type[Row], values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """Values to set or to expect, by name with a prefix."""
        return {prefix + name: self.encoder(record, name)(value) for name, value in values.items()}

    def encoder(self, record: type[Row], name: str) -> Encoder:
        """What turns a value of this field into the column's."""
        found = self._encoders.get((record, name))
        if found is None:
            found = self._encoders[record, name] = self._made(column_of(record, name))
        return found

    def _made(self, column: Column) -> Encoder:
        convert = self._sealed(column) if column.kind == "secret" else _CONVERTERS[column.kind](column)

        def encode(value: Any) -> Any:
            if value is None:
                if column.optional:
                    return None
                raise StoreError(f"{column.place} cannot be empty")
            try:
                return convert(value)
            except (TypeError, ValueError, OverflowError, AttributeError) as problem:
                shown = type(value).__name__ if column.kind == "secret" else f"{value!r:.80}"
                raise StoreError(f"{column.place} cannot hold {shown}: {problem}") from problem

        return encode

    def _sealed(self, column: Column) -> Encoder:
        def convert(value: Secret) -> str:
            return self._cipher().encrypt(column.place, value.reveal())

        return convert


def _number(column: Column) -> Encoder:
    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("not a whole number")
        if not _LOWEST <= value <= _HIGHEST:
            raise OverflowError("more than 64 bits")
        return int(value)

    return convert


def _real(column: Column) -> Encoder:
    def convert(value: Any) -> float:
        if not math.isfinite(value):
            raise ValueError("not a finite number")
        return float(value)

    return convert


def _flag(column: Column) -> Encoder:
    def convert(value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError("neither true nor false")
        return value

    return convert


def _moment(column: Column) -> Encoder:
    return moments.to_column


def _text(column: Column) -> Encoder:
    longest = column.length

    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("not a text")
        if len(value) > longest:
            raise ValueError(f"{len(value)} characters, at most {longest} fit")
        if not value.isascii():
            value.encode()  # a lone surrogate is refused here, naming the column
        return str(value)

    return convert


_CONVERTERS: dict[str, Callable[[Column], Encoder]] = {
    "number": _number,
    "real": _real,
    "flag": _flag,
    "moment": _moment,
    "text": _text,
    "json": _text,
}
