"""SQLite as the database: one file, no server, for one management server."""

import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.hooks.database import Database
from holdfast.hooks.markers import hookimpl

from holdfast_store.options import WRITE_OPTION
from holdfast_store.settings import MEMORY, checked_path

_BUSY_SECONDS = 10.0
_POOL_SECONDS = 30.0


class SqliteDatabase(Database):
    """Connections to one SQLite file. Settings: `path` (default: `holdfast.db` in `data_dir`; ":memory:" for tests)."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        path = checked_path(settings, "holdfast.database sqlite", "path", default_name="holdfast.db")
        if path is None:
            raise ConfigurationError("holdfast.database sqlite: set path, the file of the database")
        self._path = path
        self._engine: sa.Engine | None = None
        self._guard = threading.Lock()

    @hookimpl
    def engine(self) -> sa.Engine:
        """The engine; the file is made if there is none."""
        with self._guard:
            if self._engine is None:
                self._engine = _memory_engine() if str(self._path) == MEMORY else _file_engine(self._path)
            return self._engine

    @hookimpl
    def describe(self) -> str:
        """The dialect and the file."""
        return f"SQLite {sqlite3.sqlite_version}, {self._path}"

    @hookimpl
    def close(self) -> None:
        """Close all idle connections; one in use is closed when it is given back."""
        with self._guard:
            if self._engine is not None:
                self._engine.dispose()


def _file_engine(path: Path) -> sa.Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, so that password hashes are never readable by others; SQLite gives its log files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as problem:
        raise StoreUnavailable(
            f"cannot open {path} ({problem.strerror}): its folder must belong to the user that runs holdfast"
        ) from problem
    return _prepared(
        sa.create_engine(
            sa.URL.create("sqlite+pysqlite", database=str(path)),
            hide_parameters=True,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            poolclass=sa.QueuePool,
            pool_size=8,
            max_overflow=24,
            pool_timeout=_POOL_SECONDS,
            pool_use_lifo=True,  # each connection keeps what it prepared: the one that was just used has it
        )
    )


def _memory_engine() -> sa.Engine:
    # The database lives in its one connection. A pool of one lends it to one thread at a time; a StaticPool would let
    # readers see the middle of another thread's transaction.
    return _prepared(
        sa.create_engine(
            "sqlite+pysqlite://",
            hide_parameters=True,
            connect_args={"check_same_thread": False},
            poolclass=sa.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=_POOL_SECONDS,
        )
    )


def _prepared(engine: sa.Engine) -> sa.Engine:
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_on_begin` says, not where the module guesses
    # SQLite folds only ASCII; searches of people's texts fold all letters, as other databases do.
    connection.create_function("lower", 1, _lower, deterministic=True)
    _write_ahead(connection)
    # An effect on a host follows its commit at once, so a commit must be on the disk when it returns.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Readers then never wait for the writer. Two processes that switch at once get "locked" without any waiting."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _on_begin(connection: sa.Connection) -> None:
    # A read is a single statement, which SQLite isolates by itself.
    if connection.get_execution_options().get(WRITE_OPTION):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lower(text: str | bytes | float | None) -> str | bytes | float | None:
    return text.lower() if isinstance(text, str) else text
