"""Which schema a database has, and which one this program needs; found out without Alembic."""

from pathlib import Path

import sqlalchemy as sa

FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"


def needed_revision() -> str:
    """The newest of the migrations that came with the program: their file names begin with their revisions."""
    found = sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))
    assert found, "the package was built without its migrations"
    return found[-1]


def present_revisions(connection: sa.Connection) -> frozenset[str]:
    """What the database says of its schema; empty if it has none yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return frozenset()
    return frozenset(connection.scalars(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))))
