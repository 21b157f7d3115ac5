"""SQLite asked in few steps: many rows are written by one statement, and read as one text.

Python's sqlite3 lets go of the interpreter for every row that a statement steps through, and has it back only when the
thread that took it has had its turn. 500 updates, which take 30 ms alone, took 2 s beside one busy thread; they are the
permits of VMs whose hosts are dead.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from holdfast.model.rows import Row

from holdfast_store import typed_bytes
from holdfast_store.columns import columns_of
from holdfast_store.tables import as_sent

_PARTS = (128, 32, 8)
"""Rows of one statement. Few sizes: SQLite keeps each statement that it prepared, and a large one takes 100 KiB."""
_NEEDED = (3, 38)
"""UPDATE ... FROM came with 3.33, JSON became a fixed part with 3.38."""


def knows(dialect: sa.Dialect) -> bool:
    """Whether a database can be asked so."""
    return dialect.name == "sqlite" and sqlite3.sqlite_version_info >= _NEEDED


# --- reading ------------------------------------------------------------------------------------------------------


def fits_a_text(record: type[Row]) -> bool:
    """Whether its rows come through JSON as they are. SQLite writes floats with 15 digits only."""
    return all(column.kind != "real" for column in columns_of(record).values())


def as_lines(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
    """The columns of one row as one column, for a statement that `as_one_text` makes one text of."""
    return sa.func.json_array(*columns).label("line")


def as_one_text(statement: sa.Select[Any]) -> sa.Select[Any]:
    """What a statement of `as_lines` finds, in its order, as one value."""
    return sa.select(sa.func.group_concat(statement.subquery().c.line))


def rows_of(text: str | None) -> list[list[Any]]:
    """The raw rows in such a text. `ValueError` if it is no JSON."""
    found: list[list[Any]] = json.loads(f"[{text}]") if text else []
    return found


def is_beyond_a_text(problem: sa.exc.DBAPIError) -> bool:
    """Whether what was found cannot be put into one text: bytes that were typed by hand, or a billion letters."""
    name = getattr(problem.orig, "sqlite_errorname", None)
    return name in {"SQLITE_ERROR", "SQLITE_TOOBIG"} or typed_bytes.are_why(problem)


# --- writing ------------------------------------------------------------------------------------------------------


def parts(count: int) -> Iterator[slice]:
    """`count` rows in parts that are written by one statement each."""
    start = 0
    for size in _PARTS:
        while count - start >= size:
            yield slice(start, start + size)
            start += size
    if start < count:
        yield slice(start, count)


class ManyRows:
    """Statements that write many rows of one table, each made once."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Any, ...], str] = {}

    def update(
        self,
        connection: sa.Connection,
        record: type[Row],
        values: Iterable[str],
        expect: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
    ) -> int:
        """Set the fields `values` of each row that is as expected, and return how many were.

        Each of `rows` has `row_id`, `set_<field>` and `was_<field>` for what is expected and not None. One that is
        named twice counts once.
        """
        names = tuple(values)
        expected = tuple((name, value is None) for name, value in expect.items())
        key = (record, names, expected, len(rows))
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _update_text(*key)
        fields = [("row_id", "id"), *((f"set_{name}", name) for name in names)]
        fields += [(f"was_{name}", name) for name, is_none in expected if not is_none]
        return connection.exec_driver_sql(text, self._flat(connection, record, fields, rows)).rowcount

    def insert(self, connection: sa.Connection, record: type[Row], rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Write new rows, and return their ids in order. The write lock is held: nobody else gives ids."""
        key = (record, len(rows))
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _insert_text(record, len(rows))
        first = connection.exec_driver_sql(_next_id_text(record.TABLE), (record.TABLE,)).scalar_one()
        ids = list(range(first, first + len(rows)))
        numbered = [{**row, "id": row_id} for row, row_id in zip(rows, ids, strict=True)]
        fields = [(name, name) for name in columns_of(record)]
        connection.exec_driver_sql(text, self._flat(connection, record, fields, numbered))
        return ids

    def _flat(
        self,
        connection: sa.Connection,
        record: type[Row],
        fields: Sequence[tuple[str, str]],
        rows: Sequence[Mapping[str, Any]],
    ) -> tuple[Any, ...]:
        """All parameters in the order of the statement, as SQLAlchemy would have handed them over."""
        ways = [(key, as_sent(record, name, connection.dialect)) for key, name in fields]
        return tuple(way(row[key]) for row in rows for key, way in ways)


def _update_text(record: type[Row], values: Sequence[str], expected: Sequence[tuple[str, bool]], count: int) -> str:
    table = f'"{record.TABLE}"'
    news = ", ".join(f'"{name}" = v.column{place}' for place, name in enumerate(values, 2))
    guards, place = [f'{table}."id" = v.column1'], len(values) + 2
    for name, is_none in expected:
        guards.append(f'{table}."{name}" IS NULL' if is_none else f'{table}."{name}" = v.column{place}')
        place += not is_none
    return f"UPDATE {table} SET {news} FROM ({_values(place - 1, count)}) AS v WHERE {' AND '.join(guards)}"  # noqa: S608 - made of field names alone


def _insert_text(record: type[Row], count: int) -> str:
    columns = list(columns_of(record))
    listed = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{record.TABLE}" ({listed}) {_values(len(columns), count)}'


def _values(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


def _next_id_text(table: str) -> str:
    """Never the id of a row that was removed."""
    given = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)"
    return f'SELECT max({given}, coalesce((SELECT max("id") FROM "{table}"), 0)) + 1'  # noqa: S608 - likewise
