"""The SQLite database driver."""

from pathlib import Path

import pluggy
import pytest
from holdfast.errors import ConfigurationError, StoreUnavailable
from holdfast.hooks.database import Database
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore


def test_the_driver_keeps_the_contract(sqlite_database: SqliteDatabase) -> None:
    """As the loader checks it."""
    manager = pluggy.PluginManager("holdfast")
    manager.add_hookspecs(Database)
    manager.register(sqlite_database)
    manager.check_pending()
    for name in ("engine", "describe", "close"):
        assert len(getattr(manager.hook, name).get_hookimpls()) == 1


def test_a_commit_is_on_the_disk_when_it_returns(sqlite_database: SqliteDatabase) -> None:
    """Write-ahead log, synchronised at each commit, on every connection."""
    with sqlite_database.engine().connect() as first, sqlite_database.engine().connect() as second:
        for connection in (first, second):
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_the_engine_is_always_the_same(sqlite_database: SqliteDatabase) -> None:
    """Its pool is shared by all who ask."""
    assert sqlite_database.engine() is sqlite_database.engine()


def test_the_file_and_its_logs_belong_to_their_owner_alone(sqlite_store: SqlStore, tmp_path: Path) -> None:
    """Password hashes are in there."""
    files = [file for file in tmp_path.iterdir() if file.name.startswith("holdfast.db")]
    assert len(files) == 3
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


def test_the_path_comes_from_path_or_from_the_data_folder(tmp_path: Path) -> None:
    """`path` wins; a missing folder is made."""
    for settings, wanted in (
        ({"data_dir": str(tmp_path / "a")}, tmp_path / "a" / "holdfast.db"),
        ({"data_dir": str(tmp_path / "a"), "path": str(tmp_path / "b" / "x.db")}, tmp_path / "b" / "x.db"),
    ):
        database = SqliteDatabase(settings)
        database.engine()
        assert wanted.exists()
        assert str(wanted) in database.describe()
        database.close()
        database.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "set path"),
        ({"path": 7}, "path must be a path, not 7"),
        ({"pth": "x", "path": "y"}, "unknown setting pth"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], said: str) -> None:
    """Naming the setting."""
    with pytest.raises(ConfigurationError, match=said):
        SqliteDatabase(settings)


def test_a_file_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """Naming the path and the cause."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"holdfast\.db"):
        SqliteDatabase({"data_dir": str(tmp_path / "file")}).engine()


def test_letters_are_folded_beyond_ascii(sqlite_database: SqliteDatabase) -> None:
    """As MySQL does it; numbers and NULL pass."""
    with sqlite_database.engine().connect() as connection:
        assert tuple(connection.exec_driver_sql("SELECT lower('ÄÉ'), lower(NULL), lower(5)").one()) == ("äé", None, 5)
