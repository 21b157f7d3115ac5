"""From a `Query` to SQL."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from holdfast.errors import InvalidRequest, StoreError
from holdfast.hooks.store import Query
from holdfast.model.rows import Row

from holdfast_store.columns import column_of
from holdfast_store.encoding import Encoding
from holdfast_store.few_steps import as_lines
from holdfast_store.tables import TABLES

Condition = sa.ColumnElement[bool]

_BOUND_VALUES = 5_000
"""Values of a list that are sent as parameters. Whole numbers beyond that are written into the statement, because
databases limit the number of parameters (SQLite: 32,766)."""


def raw_columns(record: type[Row]) -> list[sa.ColumnElement[Any]]:
    """All columns without SQLAlchemy's conversions: `Reader` makes its own, and can say which row was bad."""
    return [sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in TABLES[record].c]


class Queries:
    """Makes statements of queries."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._all: dict[tuple[type[Row], bool], sa.Select[Any]] = {}
        self._one: dict[type[Row], sa.Select[Any]] = {}

    def one(self, record: type[Row]) -> sa.Select[Any]:
        """The row whose id is the parameter `row_id`."""
        found = self._one.get(record)
        if found is None:
            table = TABLES[record]
            found = sa.select(*raw_columns(record)).where(table.c.id == sa.bindparam("row_id"))
            self._one[record] = found
        return found

    def rows(self, record: type[Row], query: Query, *, lines: bool = False) -> sa.Select[Any]:
        """The matching rows in order; with `lines` each as the line that `few_steps` reads."""
        base = self._all.get((record, lines))
        if base is None:
            columns = raw_columns(record)
            base = self._all[record, lines] = sa.select(as_lines(columns)) if lines else sa.select(*columns)
        statement = base.where(*self._conditions(record, query)).order_by(*self._order(record, query))
        if query.limit is not None or lines:
            # Without a limit SQLite might see no reason to sort lines that are only put together.
            statement = statement.limit(-1 if query.limit is None else query.limit)
        return statement.offset(query.offset) if query.offset else statement

    def count(self, record: type[Row], query: Query) -> sa.Select[Any]:
        """How many rows match."""
        return sa.select(sa.func.count()).select_from(TABLES[record]).where(*self._conditions(record, query))

    def _order(self, record: type[Row], query: Query) -> Iterator[sa.ColumnElement[Any]]:
        table = TABLES[record]
        for word in (*query.order, "id"):
            column = table.c[column_of(record, word.removeprefix("-")).name]
            yield column.desc() if word.startswith("-") else column.asc()

    def _conditions(self, record: type[Row], query: Query) -> Iterator[Condition]:
        for name, value in query.equal.items():
            yield self._equal(record, name, value)
        for name, values in query.among.items():
            yield self._among(record, name, values)
        for name, value in query.unequal.items():
            yield self._unequal(record, name, value)
        for name, bound in query.below.items():
            yield self._bounded(record, name, bound, lambda column, limit: column < limit)
        for name, bound in query.above.items():
            yield self._bounded(record, name, bound, lambda column, limit: column > limit)
        for text, names in query.containing.items():
            yield sa.or_(sa.false(), *(self._contains(record, name, text) for name in names))

    def _equal(self, record: type[Row], name: str, value: Any) -> Condition:
        column, encoded = self._comparable(record, name, value)
        return column.is_(None) if encoded is None else column == encoded

    def _unequal(self, record: type[Row], name: str, value: Any) -> Condition:
        column, encoded = self._comparable(record, name, value)
        if encoded is None:
            return column.is_not(None)
        different: Condition = column != encoded
        return sa.or_(column.is_(None), different) if column_of(record, name).optional else different

    def _among(self, record: type[Row], name: str, values: Sequence[Any]) -> Condition:
        encoded = {self._comparable(record, name, value)[1] for value in values}
        column = TABLES[record].c[column_of(record, name).name]
        present = [value for value in encoded if value is not None]
        in_line = len(present) > _BOUND_VALUES and column_of(record, name).kind == "number"
        listed = column.in_(sa.bindparam(None, present, expanding=True, literal_execute=in_line))
        return sa.or_(column.is_(None), listed) if None in encoded else listed

    def _bounded(self, record: type[Row], name: str, bound: Any, compare: Callable[[Any, Any], Condition]) -> Condition:
        column, encoded = self._comparable(record, name, bound)
        return sa.false() if encoded is None else compare(column, encoded)

    def _contains(self, record: type[Row], name: str, text: str) -> Condition:
        if column_of(record, name).kind not in {"text", "json"}:
            raise InvalidRequest(f"{record.TABLE}.{name} is no text to look into")
        return sa.func.lower(TABLES[record].c[name]).contains(text.lower(), autoescape=True)

    def _comparable(self, record: type[Row], name: str, value: Any) -> tuple[sa.ColumnElement[Any], Any]:
        column = column_of(record, name)
        if value is None:
            return TABLES[record].c[name], None
        if column.kind == "secret":
            raise StoreError(f"{column.place} is encrypted: it can be asked for as None or not None only")
        return TABLES[record].c[name], self._encoding.encoder(record, name)(value)
