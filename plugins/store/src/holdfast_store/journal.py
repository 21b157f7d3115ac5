"""Lets an upgrade of the schema go on where it was broken off, on databases that commit each change by itself.

MySQL and MariaDB have no transactions around changes of the schema. So each statement of the revision under way is
written down before it is sent, and committed with it at the latest: a statement that another one follows is done, and
one that changes data is done as soon as it is written down. Only of the last change of the schema it is not known. The
server carries it out whole or not at all (MariaDB from 10.6, MySQL from 8.0), so it is sent again, and what says that
it is there already is an answer too.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from holdfast.errors import ConfigurationError
from sqlalchemy.schema import ExecutableDDLElement

from holdfast_store import failures
from holdfast_store.revisions import VERSION_TABLE

TABLE: Final = "holdfast_migration"
_MADE: Final = f"CREATE TABLE {TABLE} (step INT NOT NULL PRIMARY KEY, statement CHAR(64) NOT NULL) ENGINE=InnoDB"
_NOTHING: Final = sa.text("DO 0")
_NO_CHANGE: Final = sa.DDL("DO 0")  # type: ignore[no-untyped-call]


class Journal:
    """The statements of the revision under way, for one connection that upgrades. Not for several threads."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._kept: list[str] | None = None
        self._next = 0
        self._sent: int | None = None
        self._is_refused = False

    @property
    def is_used(self) -> bool:
        """Whether anything was written down."""
        return self._kept is not None

    def step(self, _connection: sa.Connection, statement: Any, many: Any, values: Any, _options: Any) -> Any:
        """Before each statement: what is to be executed, which is nothing if it is done. For `before_execute`."""
        self._sent = None  # what came before has been carried out
        if isinstance(statement, sa.Select):
            return statement, many, values
        words = str(statement.compile(dialect=self._connection.dialect))
        is_ddl = isinstance(statement, ExecutableDDLElement)
        if VERSION_TABLE in words.split():
            if not is_ddl:
                # In one transaction with the new revision: the next one begins anew.
                self._run(f"DELETE FROM {TABLE}")  # noqa: S608
                self._kept, self._next = [], 0
            return statement, many, values
        kept, number = self._read(), self._next
        self._next += 1
        digest = hashlib.sha256(words.encode()).hexdigest()
        if number >= len(kept):
            self._run(f"INSERT INTO {TABLE} (step, statement) VALUES ({number:d}, '{digest}')")  # noqa: S608
            self._sent = number
            return statement, many, values
        if kept[number] != digest:
            raise ConfigurationError(
                "the database is in the middle of an upgrade that another version of Holdfast began: start that "
                "version once, which finishes it, or restore the backup that was taken before"
            )
        if is_ddl and number == len(kept) - 1:
            self._again(words)
        return (_NO_CHANGE if is_ddl else _NOTHING), (), {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Around the upgrade itself, within its transaction."""
        if self._connection.dialect.name == "sqlite":
            yield  # one transaction undoes it all
            return
        sa.event.listen(self._connection, "before_execute", self.step, retval=True)
        try:
            yield
            self._sent = None
        except sa.exc.DBAPIError as problem:
            self._is_refused = not problem.connection_invalidated
            raise
        finally:
            sa.event.remove(self._connection, "before_execute", self.step)

    def close(self) -> None:
        """Forget what the database said that it has not carried out, or everything if all is done. Call it after the
        transaction."""
        with self._connection.begin():
            if self._is_refused and self._sent is not None:
                self._run(f"DELETE FROM {TABLE} WHERE step = {self._sent:d}")  # noqa: S608
            left = self._connection.exec_driver_sql(f"SELECT COUNT(*) FROM {TABLE}").scalar()  # noqa: S608
            if not left:
                self._run(f"DROP TABLE {TABLE}")

    def _read(self) -> list[str]:
        if self._kept is None:
            if not sa.inspect(self._connection).has_table(TABLE):
                self._run(_MADE)
            rows = self._connection.exec_driver_sql(f"SELECT statement FROM {TABLE} ORDER BY step")  # noqa: S608
            self._kept = list(rows.scalars())
        return self._kept

    def _again(self, words: str) -> None:
        try:
            self._run(words)
        except sa.exc.DBAPIError as problem:
            if not failures.is_half_made(problem):
                raise

    def _run(self, words: str) -> None:
        self._connection.exec_driver_sql(words)


@contextmanager
def kept(connection: sa.Connection) -> Iterator[Journal]:
    """A journal for upgrades on a connection that has no transaction yet."""
    journal = Journal(connection)
    try:
        yield journal
    finally:
        if journal.is_used and not connection.invalidated:
            journal.close()
