"""Builds records from raw rows, fast: lists of ten thousand VMs are read while hosts are dying."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic

from holdfast.model.rows import R

from holdfast_store import moments
from holdfast_store.cipher import Cipher
from holdfast_store.columns import Column, columns_of
from holdfast_store.decoding import FLAGS, decode

_EXPECTED: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "real": (float,),
    "flag": (int, bool),
    "moment": (str, datetime),
    "text": (str,),
    "json": (str,),
    "secret": (),
}


class Reader(Generic[R]):
    """Builds rows of one record. A row whose types are as expected takes a compiled path, any other the patient one."""

    def __init__(self, record: type[R], cipher: Callable[[], Cipher]) -> None:
        self._columns = tuple(columns_of(record).values())
        self._record = record
        self._cipher = cipher
        self._build = _compiled(record, self._columns)
        self._known: set[tuple[type, ...]] = set()

    def rows(self, raw: Iterable[Sequence[Any]]) -> list[R]:
        """All rows, in order."""
        known, build = self._known, self._build
        found = []
        for values in raw:
            if tuple(map(type, values)) in known:
                try:
                    found.append(build(values))
                except (KeyError, ValueError, TypeError):
                    found.append(self._patiently(values))
            else:
                found.append(self._patiently(values))
        return found

    def _patiently(self, values: Sequence[Any]) -> R:
        columns = self._columns
        row = self._record(
            **{
                column.name: decode(column, value, values[0], self._cipher)
                for column, value in zip(columns, values, strict=True)
            }
        )
        if all(_is_expected(column, value) for column, value in zip(columns, values, strict=True)):
            self._known.add(tuple(map(type, values)))
        return row


def _is_expected(column: Column, value: Any) -> bool:
    return column.optional if value is None else type(value) in _EXPECTED[column.kind]


def _compiled(record: type[R], columns: Sequence[Column]) -> Callable[[Sequence[Any]], R]:
    """A function that makes one row from its raw values.

    The __init__ of a frozen dataclass with thirty fields takes 8 microseconds, most of a row's cost. So the values are
    put into a twin class with the same slots that is not frozen, whose class is then set to the record's: Python allows
    that between classes of equal layout, and what comes out is an ordinary record.
    """
    twin = type(f"Draft{record.__name__}", record.__bases__, {"__slots__": tuple(column.name for column in columns)})
    lines = ["def build(values):", "    row = Twin()"]
    lines.append(f"    ({', '.join(f'row.{column.name}' for column in columns)},) = values")
    for column in columns:
        field = f"row.{column.name}"
        guard = f"if {field} is not None: " if column.optional else ""
        if column.kind == "flag":
            lines.append(f"    {guard}{field} = FLAGS[{field}]")
        elif column.kind == "moment":
            lines.append(f"    {guard}{field} = moment({field})")
    lines += ["    row.__class__ = Record", "    return row"]
    names: dict[str, Any] = {
        "Twin": twin,
        "Record": record,
        "FLAGS": FLAGS,
        "moment": moments.from_raw,
    }
    exec("\n".join(lines), names)  # noqa: S102 - made of field names alone
    build: Callable[[Sequence[Any]], R] = names["build"]
    return build
