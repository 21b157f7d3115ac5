"""The SQL store does what every store must do: on SQLite in a file and in memory, and on MariaDB."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from holdfast_conformance.store import StoreConformance
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore


class TestSqlStore(StoreConformance):
    """The fixture `store` of conftest.py: a file in a temporary folder, and a database on MariaDB."""


class TestSqlStoreInMemory(StoreConformance):
    """The database that ends with its one connection."""

    @pytest.fixture
    def store(self, migrated: Path) -> Iterator[SqlStore]:
        """A new, empty store in memory."""
        database = SqliteDatabase({"path": ":memory:"})
        with closing(sqlite3.connect(migrated)) as tables, database.engine().connect() as memory:
            tables.backup(memory.connection.dbapi_connection)
        store = SqlStore({})
        store.bind(database)
        store.migrate()
        yield store
        store.close()
        database.close()
