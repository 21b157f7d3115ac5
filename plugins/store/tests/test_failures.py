"""What goes wrong with a database is said in Holdfast's own errors, and the store goes on afterwards."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from holdfast.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from holdfast.hooks.database import Database
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Event, Host, Moment, Secret, Vm
from holdfast_conformance.store_rows import event, host, vm
from holdfast_store.failures import LostRace, translation
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore


def test_a_database_locked_by_somebody_else_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written; readers go on; and when the lock is gone, writing works again."""
    monkeypatch.setattr("holdfast_store.sqlite._BUSY_SECONDS", 0.05)
    database, store = SqliteDatabase({"data_dir": str(tmp_path)}), SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    store.migrate()
    other = sqlite3.connect(tmp_path / "holdfast.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="locked"):
            store.commit([Insert(event())])
    assert store.count(Event, Query()) == 0
    other.execute("ROLLBACK")
    other.close()
    store.commit([Insert(event())])
    assert store.count(Event, Query()) == 1
    store.close()
    database.close()


def test_a_connection_that_breaks_around_the_commit_leaves_the_outcome_unknown(
    sqlite_store: SqlStore, sqlite_database: SqliteDatabase
) -> None:
    """The caller has to read back, sees nothing that was not committed, and the store goes on."""

    def break_connection(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    sa.event.listen(sqlite_database.engine(), "commit", break_connection)
    with pytest.raises(OutcomeUnknown, match="read back"):
        sqlite_store.commit([Insert(event())])
    sa.event.remove(sqlite_database.engine(), "commit", break_connection)
    assert sqlite_store.count(Event, Query()) == 0
    sqlite_store.commit([Insert(event())])
    assert sqlite_store.count(Event, Query()) == 1


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """And says which step failed."""
    (tmp_path / "holdfast.db").write_bytes(b"this is not a database" * 100)
    database, store = SqliteDatabase({"data_dir": str(tmp_path)}), SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    with pytest.raises(StoreUnavailable, match="not a database"):
        store.migrate()
    database.close()


def test_a_database_that_was_not_migrated_says_so(database: Database, tmp_path: Path) -> None:
    """Instead of waiting for it for ever."""
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    with pytest.raises(StoreError, match="migrated") as caught:
        store.select(Vm, Query())
    assert not isinstance(caught.value, StoreUnavailable)


def test_a_store_without_a_database_says_so() -> None:
    """A mistake of whoever put the process together."""
    with pytest.raises(ConfigurationError, match="bind"):
        SqlStore({}).get(Vm, 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "x" * 191}, r"vm_instance\.name .*191 characters, at most 190"),
        ({"instance_name": "x" * 256}, r"vm_instance\.instance_name .*256 characters, at most 255"),
        ({"reason": "\ud800"}, r"vm_instance\.reason"),
        ({"ram": 2**63}, r"vm_instance\.ram .*64 bits"),
        ({"ram": "512"}, r"vm_instance\.ram .*not a whole number"),
        ({"ram": True}, r"vm_instance\.ram"),
        ({"ram": None}, r"vm_instance\.ram cannot be empty"),
        ({"created": Moment(float("nan"))}, r"vm_instance\.created"),
        ({"created": Moment(1e18)}, r"vm_instance\.created"),
        ({"ha_enabled": "yes"}, r"vm_instance\.ha_enabled"),
        ({"state": 5}, r"vm_instance\.state .*not a text"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_it_is_written(
    store: SqlStore, values: dict[str, Any], said: str
) -> None:
    """SQLite would take most of these, and MySQL cut or refuse them: so every database refuses them alike."""
    (row_id,) = store.commit([Insert(vm())])
    for change in (Insert(vm(**values)), Update(Vm, row_id, values)):
        with pytest.raises(StoreError, match=said):
            store.commit([Insert(event()), change])
    assert store.get(Vm, row_id) == vm(id=row_id)
    assert store.count(Event, Query()) == 0


def test_a_password_of_the_wrong_type_is_not_shown(store: SqlStore) -> None:
    """Who passes a plain text where a Secret belongs does not find it in the log."""
    with pytest.raises(StoreError, match=r"host\.password cannot hold str") as caught:
        store.commit([Insert(host(password="hunter2"))])
    assert "hunter2" not in str(caught.value)


def test_errors_of_the_database_show_no_values(store: SqlStore, database: Database) -> None:
    """Not even in the chain of causes, which ends up in the log."""
    with database.engine().connect() as connection:
        connection.exec_driver_sql("DROP TABLE host")
    with pytest.raises(StoreError) as caught:
        store.commit([Insert(host(password=Secret("hunter2"), username="alice-4711"))])
    shown = ""
    problem: BaseException | None = caught.value
    while problem is not None:
        shown += f"{problem} {problem!r}"
        problem = problem.__cause__ or problem.__context__
    assert "enc:v1" not in shown
    assert "alice-4711" not in shown


def test_a_search_in_something_that_is_no_text_is_refused(store: SqlStore) -> None:
    """A number has no letters to look for."""
    with pytest.raises(InvalidRequest, match=r"vm_instance\.ram"):
        store.select(Vm, Query(containing={"5": ("ram",)}))


def test_a_store_goes_on_after_thousands_of_conflicts(store: SqlStore, database: Database) -> None:
    """Each gives its connection back."""
    (row_id,) = store.commit([Insert(host())])
    for _ in range(100):
        with pytest.raises(Conflict):
            store.commit([Update(Host, row_id, {"name": "x"}, expect={"status": "Down"})])
    pool = database.engine().pool
    assert isinstance(pool, sa.QueuePool)
    assert pool.checkedout() == 0


def test_threads_take_turns_on_a_database_in_memory() -> None:
    """One connection serves them all, and nobody sees another's unfinished batch."""
    database, store = SqliteDatabase({"path": ":memory:"}), SqlStore({})
    store.bind(database)
    store.migrate()
    threads = [threading.Thread(target=store.commit, args=([Insert(event()) for _ in range(20)],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count(Event, Query()) == 160
    store.close()
    database.close()


def test_two_stores_on_one_database_do_not_overwrite_each_other(
    store: SqlStore, opener: Callable[[], Database], tmp_path: Path
) -> None:
    """As two processes: only the database's own locks are between them."""
    (row_id,) = store.commit([Insert(host())])
    second = SqlStore({"data_dir": str(tmp_path)})
    second.bind(opener())

    def add(through: SqlStore) -> None:
        added = 0
        while added < 30:
            row = through.get(Host, row_id)
            assert row is not None
            version = row.alloc_version
            try:
                through.commit([Update(Host, row_id, {"alloc_version": version + 1}, {"alloc_version": version})])
                added += 1
            except Conflict:
                continue

    threads = [threading.Thread(target=add, args=(each,)) for each in (store, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = store.get(Host, row_id)
    assert row is not None
    assert row.alloc_version == 60


@pytest.mark.parametrize(("losses", "written"), [(3, 1), (99, 0)])
def test_the_victim_of_a_deadlock_tries_again_but_not_for_ever(
    store: SqlStore, database: Database, losses: int, written: int
) -> None:
    """The database undid the whole batch, so it may be written anew; then somebody else was simply first."""
    left = [losses]

    def lose(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO event") and left[0] > 0:
            left[0] -= 1
            raise sa.exc.OperationalError(statement, None, DriverProblem(1213, "Deadlock found"))

    sa.event.listen(database.engine(), "before_cursor_execute", lose)
    if written:
        assert len(store.commit([Insert(event())])) == 1
    else:
        with pytest.raises(Conflict, match="again and again"):
            store.commit([Insert(event())])
    assert store.count(Event, Query()) == written


class DriverProblem(Exception):
    """What PyMySQL raises: a number and words."""


@pytest.mark.parametrize(
    ("kind", "number", "wanted"),
    [
        (sa.exc.IntegrityError, 1062, Conflict),
        (sa.exc.IntegrityError, 1048, StoreError),
        (sa.exc.OperationalError, 1213, LostRace),
        (sa.exc.OperationalError, 1205, LostRace),
        (sa.exc.OperationalError, 2013, StoreUnavailable),
        (sa.exc.OperationalError, 2003, StoreUnavailable),
        (sa.exc.OperationalError, 1290, StoreUnavailable),
        (sa.exc.ProgrammingError, 1146, StoreError),
        (sa.exc.OperationalError, 1054, StoreError),
        (sa.exc.DataError, 1406, StoreError),
        (sa.exc.InterfaceError, 0, StoreUnavailable),
    ],
)
def test_errors_of_mysql_are_told_apart(kind: Any, number: int, wanted: type[Exception]) -> None:
    """By their numbers, as its manual lists them; values that MySQL quotes in its words are left out."""
    problem = kind("INSERT", None, DriverProblem(number, "Duplicate entry 'hunter2' for key 'uq'"))
    found = translation("insert into user", problem)
    assert type(found) is wanted
    assert "insert into user" in str(found)
    if kind in (sa.exc.IntegrityError, sa.exc.DataError):
        assert "hunter2" not in str(found)
