"""Stores to test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A SQLite file that does not exist yet."""
    database = SqliteDatabase({"data_dir": str(tmp_path)})
    yield database
    database.close()


@pytest.fixture
def store(database: SqliteDatabase, tmp_path: Path) -> Iterator[SqlStore]:
    """A new, empty store in a file."""
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    store.migrate()
    yield store
    store.close()
