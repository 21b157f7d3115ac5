"""Migrations make exactly the tables that the records need, whoever runs them and however often."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from holdfast.errors import ConfigurationError, Conflict
from holdfast.hooks.database import Database
from holdfast.hooks.store import Delete, Insert, Query
from holdfast.model import RECORDS, Oobm, Zone
from holdfast_mysqlfailover.driver import MySqlDatabase
from holdfast_store.revisions import needed_revision, present_revisions
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
from holdfast_store.tables import METADATA, TABLES
from holdfast_store.upgrade import configuration, newest_revision
from sqlalchemy.dialects import mysql

LONGEST_NAME = 64
LONGEST_KEY_BYTES = 3072

MIGRATE = """
import json
import sys
from holdfast_mysqlfailover.driver import MySqlDatabase
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
kind, settings = json.loads(sys.argv[1])
database = {"SqliteDatabase": SqliteDatabase, "MySqlDatabase": MySqlDatabase}[kind](settings)
store = SqlStore({"data_dir": sys.argv[2]})
print("ready", flush=True)
sys.stdin.readline()
store.bind(database)
store.migrate()
store.migrate()
database.close()
"""


def test_the_migrated_schema_is_the_one_of_the_records(store: SqlStore, database: Database) -> None:
    """Whoever adds a field to a record is told to write a migration."""
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_migrated_columns_are_as_optional_as_the_fields(store: SqlStore, database: Database) -> None:
    """Primary keys, NULL and types of all tables, seen by the database itself."""
    found = sa.inspect(database.engine())
    for record in RECORDS:
        columns = {column["name"]: column for column in found.get_columns(record.TABLE)}
        wanted = TABLES[record].c
        assert list(columns) == [column.name for column in wanted]
        assert {name for name, column in columns.items() if column["nullable"]} == {
            column.name for column in wanted if column.nullable
        }
        assert found.get_pk_constraint(record.TABLE)["constrained_columns"] == ["id"]


def test_ids_are_never_given_again(sqlite_store: SqlStore, sqlite_database: SqliteDatabase) -> None:
    """Every table with ids of its own is AUTOINCREMENT."""
    with sqlite_database.engine().connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    made = {row[0]: row[1] for row in rows}
    for record in RECORDS:
        assert "AUTOINCREMENT" in made[record.TABLE], record.TABLE


def test_names_and_keys_fit_mysql() -> None:
    """Names have at most 64 letters, keys at most 3,072 bytes at four bytes a letter."""
    for table in METADATA.tables.values():
        unique = [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
        groups: list[sa.Index | sa.UniqueConstraint] = [*table.indexes, *unique]
        for group in groups:
            assert len(str(group.name)) <= LONGEST_NAME
            length = sum(getattr(column.type, "length", None) or 8 for column in group.columns)
            assert 4 * length <= LONGEST_KEY_BYTES
            assert not any(isinstance(column.type, sa.Text) for column in group.columns)


def test_mysql_keeps_microseconds_and_long_texts() -> None:
    """The types that mean something else there are replaced."""
    made = str(sa.schema.CreateTable(METADATA.tables["event"]).compile(dialect=mysql.dialect()))
    assert "created DATETIME(6)" in made
    assert "evidence MEDIUMTEXT" in made


def test_two_processes_may_migrate_at_once(database: Database, tmp_path: Path) -> None:
    """Both end well, with one schema and one key between them."""
    is_sqlite = isinstance(database, SqliteDatabase)
    settings = {"data_dir": str(tmp_path)} if is_sqlite else {"properties": str(tmp_path / "db.properties")}
    how = json.dumps([type(database).__name__, settings])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, how, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with database.engine().connect() as connection:
        revisions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        assert list(revisions) == [newest_revision()]
        assert connection.exec_driver_sql("SELECT count(*) FROM store_key").scalar() == 1


def test_the_file_names_say_the_newest_revision() -> None:
    """A start finds out without Alembic whether there is anything to upgrade; every file names its own revision."""
    assert needed_revision() == newest_revision()
    for revision in ScriptDirectory.from_config(configuration()).walk_revisions():
        assert Path(revision.path).name.startswith(f"{revision.revision}_")


CURRENT = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(message)s")
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
settings = {"data_dir": sys.argv[1]}
store, database = SqlStore(settings), SqliteDatabase(settings)
store.bind(database)
store.migrate()
database.close()
print("alembic" in sys.modules)
"""


def test_a_start_with_a_current_schema_does_without_alembic(tmp_path: Path) -> None:
    """It takes 0.4 s to import. The first start says in one line what it made."""
    said = [
        subprocess.run(
            [sys.executable, "-c", CURRENT, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
        ).stdout.splitlines()
        for _ in range(2)
    ]
    made = f"holdfast.store the database schema was brought from nothing to revision {needed_revision()}"
    assert said == [[made, "True"], ["False"]]


def test_what_is_read_of_a_database_without_a_schema(database: Database) -> None:
    """Nothing, and no error."""
    with database.engine().connect() as connection:
        assert present_revisions(connection) == frozenset()


def test_a_newer_schema_is_refused(store: SqlStore, database: Database) -> None:
    """With its revision and what to do, and without touching anything."""
    with database.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=r"9999.*newer than this program.*install"):
        store.migrate()
    assert store.select(Zone, Query()) == []


def test_a_failing_migration_leaves_nothing_behind(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All revisions are one transaction on SQLite, so the next start begins anew."""
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(sqlite_database)
    monkeypatch.setattr("holdfast_store.migrate.Vault.establish", _fail)
    with pytest.raises(ZeroDivisionError):
        store.migrate()
    assert sa.inspect(sqlite_database.engine()).get_table_names() == []
    monkeypatch.undo()
    store.migrate()
    assert store.select(Zone, Query()) == []


class _Broken(Exception):
    """The process ended here, as far as the database can tell."""


def test_an_upgrade_goes_on_where_it_was_broken_off(mariadb: Any, tmp_path: Path) -> None:
    """MariaDB commits each change of the schema by itself. Each start here ends at another kind of statement, before
    that has been sent or after it has been carried out; the last one is left to finish."""
    properties = tmp_path / "db.properties"
    properties.write_text(mariadb.properties(mariadb.empty()))
    database = MySqlDatabase({"properties": properties})
    engine, store = database.engine(), SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    broken: set[tuple[str, ...]] = set()
    for when in itertools.cycle(("before_cursor_execute", "after_cursor_execute")):

        def stop(_connection: object, _cursor: object, words: str, *_rest: object, when: str = when) -> None:
            kind = words.split(maxsplit=3)[: 3 if "INTO" in words or "UPDATE" in words else 2]
            at = (when, *kind)
            if kind[0] in _CHANGES and at not in broken:
                broken.add(at)
                raise _Broken

        sa.event.listen(engine, when, stop)
        try:
            store.migrate()
            break
        except _Broken:
            pass
        finally:
            sa.event.remove(engine, when, stop)
    assert len(broken) > 12
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    assert store.select(Zone, Query()) == []
    database.close()


_CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE")


def test_tables_of_another_program_are_not_taken_over(mariadb: Any, tmp_path: Path) -> None:
    """However often it is tried: the words say what to do, and nothing of theirs is touched."""
    name = mariadb.empty()
    properties = tmp_path / "db.properties"
    properties.write_text(mariadb.properties(name))
    database = MySqlDatabase({"properties": properties})
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    with database.engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE data_center (theirs INT)")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"DROP DATABASE `{name}`.*a database of its own"):
            store.migrate()
    with database.engine().connect() as connection:
        assert [column["name"] for column in sa.inspect(connection).get_columns("data_center")] == ["theirs"]
    database.close()


def _fail(*_: object) -> None:
    raise ZeroDivisionError


def test_a_configured_bmc_becomes_the_first_fence_device(database: Database, tmp_path: Path) -> None:
    """What an older version stored of a host's only BMC stays, and its number is not given again."""
    with database.engine().connect() as connection:
        config = configuration()
        config.attributes["connection"] = connection
        script = ScriptDirectory.from_config(config)
        with EnvironmentContext(config, script, fn=lambda revision, _: script._upgrade_revs("0004", revision)):
            script.run_env()
        connection.exec_driver_sql(
            "INSERT INTO oobm (id, host_id, enabled, power_state, driver, address, port, username, "
            "manage_console_protocol, manage_console_port, ordered_state, problem, update_count) VALUES "
            "(7, 3, 1, 'On', 'ipmitool', '10.0.0.7', '623', 'admin', '', '', '', '', 4)"
        )
        connection.commit()
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    store.migrate()
    (row,) = store.select(Oobm, Query())
    assert (row.id, row.host_id, row.level, row.device_index, row.address) == (7, 3, 1, 0, "10.0.0.7")
    assert (row.timeout, row.options, row.secret_options) == (0, "{}", None)
    store.commit([Delete(Oobm, 7)])
    assert store.commit([Insert(Oobm(host_id=3, level=2)), Insert(Oobm(host_id=3, level=2, device_index=1))])[0] > 7
    with pytest.raises(Conflict):
        store.commit([Insert(Oobm(host_id=3, level=2, device_index=1))])
