"""Stores to test: on SQLite, and on a real MariaDB server."""

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast.hooks.database import Database
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_mysqlfailover.driver import MySqlDatabase
from holdfast_store.options import WRITE_OPTION
from holdfast_store.revisions import needed_revision
from holdfast_store.sqlite import SqliteDatabase
from holdfast_store.store import SqlStore
from holdfast_store.upgrade import upgrade

Opener = Callable[[], Database]

USER, PASSWORD = "cloud", "cl0ud-pa=ss"  # made up for these tests
_HASTY = {"innodb-flush-log-at-trx-commit": "0", "innodb-file-per-table": "OFF", "sync-binlog": "0"}
"""Nothing here survives a power cut, and nothing has to: crashes of the server are tested with the driver."""
_SHAPE = (
    "SELECT COUNT(*), SUM(CRC32(CONCAT_WS(' ', table_name, column_name, column_type, is_nullable))) "
    "FROM information_schema.columns WHERE table_schema = "
)


class Databases:
    """Databases of one real MariaDB server. Making tables takes long, so migrated ones are emptied and lent again."""

    def __init__(self, server: MariaDb) -> None:
        self._server = server
        self._made = itertools.count(1)
        self._migrated: list[str] = []
        self._shape: object = None

    def properties(self, name: str) -> str:
        """The `db.properties` that leads to a database."""
        values = {"host": self._server.host, "port": self._server.port, "name": name}
        values |= {"username": USER, "password": PASSWORD}
        return "".join(f"db.cloud.{key}={value}\n" for key, value in values.items())

    def empty(self) -> str:
        """A new database without tables."""
        name = f"holdfast{next(self._made)}"
        self._server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def lend(self) -> str:
        """A database, with all tables and no rows if there is one already."""
        return self._migrated.pop() if self._migrated else self.empty()

    def note_migrated(self, database: Database) -> None:
        """Keep in mind what a database looks like that was just migrated."""
        if self._shape is None:
            with database.engine().connect() as connection:
                self._shape = [tuple(row) for row in connection.exec_driver_sql(f"{_SHAPE}DATABASE()")]

    def take_back(self, name: str) -> None:
        """Keep a database for the next test, unless this one changed its tables."""
        shape = self._server.run(f"{_SHAPE}'{name}'")
        if shape != self._shape or self._version_of(name) != needed_revision():
            self._server.run(f"DROP DATABASE {name}")
            return
        tables = [table for (table,) in self._server.run(f"SHOW TABLES IN {name}") if table != "alembic_version"]
        asked = (f"SELECT '{table}' FROM DUAL WHERE EXISTS (SELECT 1 FROM {name}.{table})" for table in tables)
        full = self._server.run(" UNION ALL ".join(asked))
        self._server.run(*(f"DELETE FROM {name}.{table}" for (table,) in full))
        self._migrated.append(name)

    def _version_of(self, name: str) -> object:
        return self._server.run(f"SELECT version_num FROM {name}.alembic_version")[0][0]


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One server for all tests."""
    with MariaDbLab(tmp_path_factory.mktemp("mariadb")) as lab:
        server = lab.server(options=_HASTY)
        server.make_user(USER, PASSWORD)
        yield Databases(server)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to copy: making them takes longer than most of what is tested."""
    folder = tmp_path_factory.mktemp("migrated")
    database = SqliteDatabase({"data_dir": str(folder)})
    with database.engine().connect().execution_options(**{WRITE_OPTION: True}) as connection, connection.begin():
        upgrade(connection, frozenset())
    database.close()
    return folder / "holdfast.db"


@pytest.fixture(params=["sqlite", "mariadb"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Makes drivers for one database that is empty at first, as several processes would."""
    made: list[Database] = []
    # Whoever asks for a store gets tables anyway.
    is_lent = "store" in request.fixturenames
    if request.param == "sqlite":
        if is_lent:
            shutil.copy(request.getfixturevalue("migrated"), tmp_path / "holdfast.db")

        def make() -> Database:
            return SqliteDatabase({"data_dir": str(tmp_path)})
    else:
        databases: Databases = request.getfixturevalue("mariadb")
        name = databases.lend() if is_lent else databases.empty()
        properties = tmp_path / "db.properties"
        properties.write_text(databases.properties(name))

        def make() -> Database:
            return MySqlDatabase({"properties": properties})

    def open_one() -> Database:
        made.append(make())
        return made[-1]

    yield open_one
    for each in made:
        each.close()
    if request.param == "mariadb" and is_lent:
        databases.take_back(name)


@pytest.fixture
def database(opener: Opener) -> Database:
    """A database that does not exist yet."""
    return opener()


@pytest.fixture
def store(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[SqlStore]:
    """A new, empty store."""
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(database)
    store.migrate()
    if not isinstance(database, SqliteDatabase):
        request.getfixturevalue("mariadb").note_migrated(database)
    yield store
    store.close()


@pytest.fixture
def is_sqlite(database: Database) -> bool:
    """Whether the columns take anything that is typed."""
    return isinstance(database, SqliteDatabase)


@pytest.fixture
def by_hand(database: Database, tmp_path: Path) -> Callable[[str], None]:
    """Runs a statement as an operator would, past the store and its checks."""

    def run(statement: str) -> None:
        if isinstance(database, SqliteDatabase):
            connection = sqlite3.connect(tmp_path / "holdfast.db")
            connection.execute("PRAGMA ignore_check_constraints=ON")
            with connection:
                connection.execute(statement)
            connection.close()
            return
        with database.engine().begin() as operator:
            operator.exec_driver_sql("SET sql_mode = ''")  # as a hasty operator's client has it
            operator.exec_driver_sql(statement.replace("%", "%%"))
            operator.exec_driver_sql("SET sql_mode = 'STRICT_TRANS_TABLES'")

    return run


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A SQLite file that does not exist yet, for what is said of SQLite alone."""
    database = SqliteDatabase({"data_dir": str(tmp_path)})
    yield database
    database.close()


@pytest.fixture
def sqlite_store(sqlite_database: SqliteDatabase, tmp_path: Path) -> Iterator[SqlStore]:
    """A new, empty store in a file."""
    store = SqlStore({"data_dir": str(tmp_path)})
    store.bind(sqlite_database)
    store.migrate()
    yield store
    store.close()
