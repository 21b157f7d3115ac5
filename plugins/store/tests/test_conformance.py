"""The SQL store does what every store must do: on SQLite in a file and in memory, and on MariaDB."""

from collections.abc import Iterator

import pytest
from holdfast_conformance.store import StoreConformance
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore


class TestSqlStore(StoreConformance):
    """The fixture `store` of conftest.py: a file in a temporary folder, and a database on MariaDB."""


class TestSqlStoreInMemory(StoreConformance):
    """The database that ends with its one connection."""

    @pytest.fixture
    def store(self) -> Iterator[SqlStore]:
        """A new, empty store in memory."""
        database = SqliteDatabase({"path": ":memory:"})
        store = SqlStore({})
        store.bind(database)
        store.migrate()
        yield store
        store.close()
        database.close()
