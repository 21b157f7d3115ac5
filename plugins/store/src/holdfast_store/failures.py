"""From the database's errors to Holdfast's. The texts leave out statements and parameters: they may hold secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from holdfast.errors import Conflict, OutcomeUnknown, StoreError, StoreUnavailable
from sqlalchemy import exc

_MYSQL_DUPLICATE = {1062, 1169, 1586}
# A lock not had in time, a deadlock, and a transaction undone by its own commit or with its server.
_MYSQL_LOST_RACE = {1205, 1213, 3101}
_MYSQL_SCHEMA = {1054, 1146}
# A table, column or key that is to be made is there; one that is to be changed or dropped is not.
_MYSQL_HALF_MADE = {1050, 1054, 1060, 1061, 1091, 1146}
_SQLITE_UNIQUE = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"}


class LostRace(Exception):
    """The database undid this transaction whole: as the victim of a deadlock, or with its server. It may be tried
    again."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise Holdfast's error for the database's; `doing` names what was attempted ("read host")."""
    try:
        yield
    except exc.TimeoutError as problem:
        raise StoreUnavailable(f"cannot {doing}: all connections to the database are busy") from problem
    except exc.DBAPIError as problem:
        raise translation(doing, problem) from problem
    except exc.SQLAlchemyError as problem:
        raise StoreError(f"cannot {doing}: {type(problem).__name__}") from problem


def translation(doing: str, problem: exc.DBAPIError) -> Exception:
    """What an error means for the caller."""
    code = _code(problem)
    if isinstance(problem, exc.IntegrityError):
        if code in _MYSQL_DUPLICATE | _SQLITE_UNIQUE:
            return Conflict(f"cannot {doing}: another row has the same unique key")
        return StoreError(f"cannot {doing}: {_words(problem)}")
    if code in _MYSQL_LOST_RACE:
        return LostRace(f"cannot {doing}: {_words(problem)}")
    if problem.connection_invalidated or isinstance(problem, exc.InterfaceError):
        return StoreUnavailable(f"cannot {doing}: the connection to the database broke ({_words(problem)})")
    if code in _MYSQL_SCHEMA or code == "SQLITE_ERROR":
        hint = "; has this database been migrated?" if code != "SQLITE_ERROR" or "no such" in _words(problem) else ""
        return StoreError(f"cannot {doing}: {_words(problem)}{hint}")
    if isinstance(problem, (exc.OperationalError, exc.InternalError)):
        return StoreUnavailable(f"cannot {doing}: {_words(problem)}")
    if isinstance(problem, exc.DatabaseError) and _is_damaged(code):
        return StoreUnavailable(f"cannot {doing}: {_words(problem)}")
    return StoreError(f"cannot {doing}: {_words(problem)}")


def commit(connection: sa.Connection, transaction: sa.Transaction) -> None:
    """Commit. `OutcomeUnknown` unless the database itself said that the transaction was undone.

    After a failure the connection is closed for good: the transaction might still be open on it, and whoever is lent
    the connection next would read what was never committed.
    """
    try:
        transaction.commit()
    except exc.DBAPIError as problem:
        connection.invalidate()
        if _code(problem) in _MYSQL_LOST_RACE:
            raise LostRace(_words(problem)) from problem
        raise OutcomeUnknown(
            f"the database failed while a batch was committed ({_words(problem)}): read back what was written"
        ) from problem


def is_half_made(problem: exc.DBAPIError) -> bool:
    """Whether a statement that changes the schema found that changed already, on a database that cannot undo it."""
    return _code(problem) in _MYSQL_HALF_MADE


def words(problem: exc.DBAPIError) -> str:
    """The database's own words, fit for a message."""
    return _words(problem)


def _is_damaged(code: Any) -> bool:
    return isinstance(code, str) and code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _code(problem: exc.DBAPIError) -> Any:
    """SQLite's name of the error, MySQL's number."""
    original: Any = problem.orig
    name = getattr(original, "sqlite_errorname", None)
    if name is not None:
        return name
    arguments = getattr(original, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _words(problem: exc.DBAPIError) -> str:
    """The driver's own words, without the values that are quoted in some of them."""
    arguments = getattr(problem.orig, "args", ())
    text = str(arguments[-1]) if arguments else type(problem.orig).__name__
    if isinstance(problem, (exc.IntegrityError, exc.DataError)):
        return text.split("'")[0].strip()
    return text.partition(" with text '")[0]
