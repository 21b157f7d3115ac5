"""The tables as the running program expects them. Migrations make them; a test holds the two together."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from holdfast.model import RECORDS
from holdfast.model.rows import Row

from holdfast_store import column_types as types
from holdfast_store.columns import columns_of

METADATA = sa.MetaData()


def _table(record: type[Row]) -> sa.Table:
    columns = [
        sa.Column(column.name, column.sql_type, nullable=column.optional, primary_key=column.name == "id")
        for column in columns_of(record).values()
    ]
    keys = [sa.UniqueConstraint(*group, name=_name("uq", record, group)) for group in record.UNIQUE]
    indexes = [sa.Index(_name("ix", record, group), *group) for group in record.INDEXED]
    # An id must never come to mean another row, so SQLite may not give the id of a removed row again.
    return sa.Table(record.TABLE, METADATA, *columns, *keys, *indexes, sqlite_autoincrement=True)


def _name(prefix: str, record: type[Row], group: tuple[str, ...]) -> str:
    return "_".join((prefix, record.TABLE, *group))


TABLES: dict[type[Row], sa.Table] = {record: _table(record) for record in RECORDS}
"""The table of each record."""


def raw_columns(record: type[Row]) -> list[sa.ColumnElement[Any]]:
    """All columns without SQLAlchemy's conversions: `Reader` makes its own, and can say which row was bad."""
    return [sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in TABLES[record].c]


def as_sent(record: type[Row], name: str, dialect: sa.Dialect) -> Callable[[Any], Any]:
    """What SQLAlchemy does to a value of this column before it hands that to the driver."""
    return TABLES[record].c[name].type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


KEY_CHECK = sa.Table(
    "store_key",
    METADATA,
    sa.Column("id", types.ID, primary_key=True, autoincrement=False),
    sa.Column("check_text", types.LONG, nullable=False),
)
"""One row: a known text under the key that all servers of this database share, to find a wrong key at start."""
