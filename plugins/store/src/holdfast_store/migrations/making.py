"""How migrations make tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from holdfast_store import column_types as types


def row_id() -> sa.Column[int]:
    """The primary key, given by the database, never given again."""
    return sa.Column("id", types.ID, primary_key=True, nullable=False)


def table(name: str, *items: SchemaItem) -> None:
    """Make a table. Texts compare letter by letter, trailing spaces included, as they do in SQLite."""
    dialect = op.get_bind().dialect
    nopad = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    options: dict[str, Any] = {"engine": "InnoDB", "charset": "utf8mb4", "collate": nopad}
    op.create_table(
        name,
        *items,
        sqlite_autoincrement=True,
        **{f"{prefix}_{key}": value for prefix in ("mysql", "mariadb") for key, value in options.items()},
    )


def index(table_name: str, *columns: str) -> None:
    """Make an index."""
    op.create_index("_".join(("ix", table_name, *columns)), table_name, list(columns))


def unique(table_name: str, *columns: str) -> sa.UniqueConstraint:
    """A unique key, as part of its table."""
    return sa.UniqueConstraint(*columns, name="_".join(("uq", table_name, *columns)))
