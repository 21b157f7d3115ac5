"""The store over SQL: reads, batches, and nothing that depends on which database it is."""

import threading
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from holdfast.errors import ConfigurationError, Conflict, StoreUnavailable
from holdfast.hooks.database import Database
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.store import Change, Query, Store
from holdfast.model.rows import R, Row

from holdfast_store import failures, few_steps, typed_bytes
from holdfast_store.batches import Batches, UnevenGroup
from holdfast_store.cipher import Cipher
from holdfast_store.encoding import Encoding
from holdfast_store.migrate import migrate
from holdfast_store.options import RETRY_SAFE_OPTION, WRITE_OPTION
from holdfast_store.queries import Asked, Queries
from holdfast_store.reading import Reader
from holdfast_store.settings import checked_path
from holdfast_store.vault import Vault

_ATTEMPTS = 8
_BATCH_OPTIONS = {WRITE_OPTION: True, RETRY_SAFE_OPTION: True}
_LARGEST_ID = 2**63 - 1


class SqlStore(Store):
    """The store of Holdfast, over any database that SQLAlchemy and a `holdfast.database` driver reach.

    Settings: `key_file`, the file with the key of the secrets (default: `key` in `data_dir`).
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._key_file = checked_path(settings, "holdfast.store sql", "key_file", default_name="key")
        self._database: Database | None = None
        self._engine: sa.Engine | None = None
        self._closed = False
        self._readers: dict[type[Row], Reader[Any]] = {}
        self._vault = Vault(None)
        self._writer: AbstractContextManager[Any] = nullcontext()
        self._encoding = Encoding(self._cipher)
        self._queries = Queries(self._encoding)
        self._batches = Batches(self._encoding, self._cipher)

    @hookimpl
    def bind(self, database: Database) -> None:
        """Take the database driver. Nothing is connected yet."""
        engine = database.engine()
        self._vault = Vault(self._key_of(engine))
        # SQLite has one writer at a time, and its waiters poll: within a process a lock is fairer and quicker.
        self._writer = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        self._database, self._engine = database, engine

    @hookimpl
    def get(self, record: type[R], row_id: int) -> R | None:
        """The row with this id, or None."""
        if not 0 < row_id <= _LARGEST_ID:
            return None
        raw = self._read(record, self._queries.rows(record, Query(equal={"id": row_id})))
        rows = self._reader(record).rows(raw)
        return rows[0] if rows else None

    @hookimpl
    def select(self, record: type[R], query: Query) -> list[R]:
        """All rows that match, in order."""
        raw = self._in_one_text(record, query)
        return self._reader(record).rows(self._read(record, self._queries.rows(record, query)) if raw is None else raw)

    @hookimpl
    def count(self, record: type[Row], query: Query) -> int:
        """How many rows match, `limit` and `offset` aside."""
        return int(self._read(record, self._queries.count(record, query))[0][0])

    @hookimpl
    def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch in one transaction, in order, and return the ids of its Inserts, in order."""
        if not changes:
            return ()
        races, singly = 0, set[int]()
        while races < _ATTEMPTS:
            try:
                return self._attempt(changes, singly)
            except UnevenGroup as uneven:
                singly.add(uneven.place)  # each group at most once
            except failures.LostRace:
                races += 1
        raise Conflict("other servers were writing the same rows again and again: read again, decide again")

    @hookimpl
    def migrate(self) -> None:
        """Bring the schema to this program's version, and make the key of the secrets on the first start."""
        try:
            with failures.translated("migrate the database"):
                migrate(self._bound(), self._vault)
        except failures.LostRace as problem:
            raise StoreUnavailable(f"{problem}: wait until nobody else uses the database, and start again") from problem

    @hookimpl
    def close(self) -> None:
        """Refuse everything from now on. The connections belong to the database driver."""
        self._closed = True

    def _attempt(self, changes: Sequence[Change], singly: Set[int]) -> tuple[int, ...]:
        with self._writer, failures.translated("write"), self._bound().connect() as connection:
            transaction = connection.execution_options(**_BATCH_OPTIONS).begin()
            try:
                ids = self._batches.run(connection, changes, singly)
            except BaseException:
                _undo(connection, transaction)
                raise
            failures.commit(connection, transaction)
            return ids

    def _read(self, record: type[Row], asked: Asked) -> Sequence[Any]:
        """All rows of one statement, asked again if the server was lost meanwhile and another one can answer."""
        doing = f"read {record.TABLE}"
        for _ in range(_ATTEMPTS):
            try:
                with failures.translated(doing), self._bound().connect() as connection:
                    return _all_rows(connection, asked)
            except failures.LostRace:
                continue
        raise StoreUnavailable(f"cannot {doing}: the connection to the database broke again and again")

    def _in_one_text(self, record: type[Row], query: Query) -> Sequence[Any] | None:
        """The raw rows, read in one step; None where that cannot be."""
        if not few_steps.knows(self._bound().dialect) or not few_steps.fits_a_text(record):
            return None
        asked = self._queries.text(record, query)
        with failures.translated(f"read {record.TABLE}"), self._bound().connect() as connection:
            try:
                return few_steps.rows_of(connection.execute(asked.statement, asked.values).scalar())
            except sa.exc.DBAPIError as problem:
                if not few_steps.is_beyond_a_text(problem):
                    raise
            except ValueError:
                pass  # an infinite number, which was typed by hand, is no JSON
        return None

    def _bound(self) -> sa.Engine:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._engine is None:
            raise ConfigurationError("the store has no database: bind() it to one first")
        return self._engine

    def _reader(self, record: type[R]) -> Reader[R]:
        found = self._readers.get(record)
        if found is None:
            found = self._readers[record] = Reader(record, self._cipher)
        return found

    def _cipher(self) -> Cipher:
        return self._vault.open(self._bound())

    def _key_of(self, engine: sa.Engine) -> Path | None:
        lives_in_memory = engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:")
        if self._key_file is None and not lives_in_memory:
            raise ConfigurationError("holdfast.store sql: set key_file, the file that holds the key of the secrets")
        return None if lives_in_memory else self._key_file


def _all_rows(connection: sa.Connection, asked: Asked) -> Sequence[Any]:
    try:
        return connection.execute(asked.statement, asked.values).fetchall()
    except sa.exc.DBAPIError as problem:
        if not typed_bytes.are_why(problem):
            raise
        return typed_bytes.read(connection, asked.statement, asked.values)


def _undo(connection: sa.Connection, transaction: sa.Transaction) -> None:
    """Roll back. A connection that is too broken even for that was rolled back by its server."""
    try:
        transaction.rollback()
    except sa.exc.SQLAlchemyError:
        connection.invalidate()
