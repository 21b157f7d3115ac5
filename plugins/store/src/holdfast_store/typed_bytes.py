"""Texts of SQLite that are no UTF-8: typed by hand in a terminal with another encoding, for SQLite takes any bytes.

Python's sqlite3 gives up on the whole result without naming the row. Read once more as bytes, the value that is no text
comes out like any other that nobody can understand, and the reader of the record says where it stands.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

_WORDS = "Could not decode to UTF-8"
"""What sqlite3 says; it has no code for this."""


def are_why(problem: sa.exc.DBAPIError) -> bool:
    """Whether a statement failed because a text that it found is none."""
    return isinstance(problem, sa.exc.OperationalError) and str(problem.orig).startswith(_WORDS)


def read(connection: sa.Connection, statement: sa.Executable, values: Mapping[str, Any]) -> Sequence[Any]:
    """All rows of a statement; what is no text is bytes."""
    lent = connection.connection.driver_connection
    assert lent is not None
    usual, lent.text_factory = lent.text_factory, _text_or_bytes
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        lent.text_factory = usual


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
