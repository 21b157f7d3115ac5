"""A pair of real MariaDB servers that replicate to each other, and drivers that are told of them by `db.properties`."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from holdfast_conformance.mariadb import MariaDb, MariaDbLab
from holdfast_conformance.mariadb_replication import follow, pair, wait_caught_up
from holdfast_mysqlfailover.connection import Undone
from holdfast_mysqlfailover.driver import MySqlDatabase
from holdfast_store.store import SqlStore

USER, PASSWORD = "cloud", "cl0ud-pa=ss"  # made up for these tests
PATIENCE = 30.0


def start_as_copy(server: MariaDb) -> None:
    """Start a server on data copied to it. Its place is where the copy ends, whatever its origin did since."""
    server.options["skip-slave-start"] = "ON"  # the copy knows whom its origin followed
    server.start()
    del server.options["skip-slave-start"]
    place = server.value("@@gtid_binlog_pos")
    server.run("RESET SLAVE ALL", f"SET GLOBAL gtid_slave_pos = '{place}'")


class FailoverSite:
    """`servers` in the order of preference. Whatever it opened is closed by `close`."""

    def __init__(self, folder: Path, servers: Sequence[MariaDb]) -> None:
        self.folder = folder
        self.servers = list(servers)
        self.places: dict[MariaDb, tuple[str, int]] = {each: (each.host, each.port) for each in servers}
        """Where drivers are told to connect: a test may put a proxy there."""
        self._closing: list[Callable[[], None]] = []

    def prepare(self) -> None:
        """Two-way replication, the database and its user on both."""
        pair(*self.servers)
        self.servers[0].run("CREATE DATABASE cloud CHARACTER SET utf8mb4")
        self.servers[0].make_user(USER, PASSWORD)
        for each in self.servers[1:]:
            wait_caught_up(each, self.servers[0])

    def properties(self, **keys: Any) -> Path:
        """A file that names all servers; `keys` without "db.cloud." are added or replaced."""
        places = [f"{host}:{port}" for host, port in (self.places[each] for each in self.servers)]
        values = {"host": places[0], "replicas": ",".join(places[1:]), "username": USER, "password": PASSWORD, **keys}
        lines = [f"db.ha.enabled={'true' if values['replicas'] else 'false'}"]
        lines += [f"db.cloud.{key}={value}" for key, value in values.items() if value != ""]
        path = self.folder / f"db{len(self._closing)}.properties"
        path.write_text("\n".join(lines) + "\n")
        return path

    def driver(self, settings: Mapping[str, Any] = {}, **keys: Any) -> MySqlDatabase:
        """A driver as another process would make it."""
        made = MySqlDatabase({"properties": self.properties(**keys), **settings})
        self._closing.append(made.close)
        return made

    def store(self, driver: MySqlDatabase) -> SqlStore:
        """A migrated store over a driver."""
        made = SqlStore({"data_dir": str(self.folder)})
        made.bind(driver)
        made.migrate()
        self._closing.append(made.close)
        return made

    def rebuild(self, broken: MariaDb, good: MariaDb) -> None:
        """What an operator does with a server that has diverged: everything anew from the good one."""
        good.stop()
        broken.stop()
        broken.copy_from(good)
        start_as_copy(broken)
        good.start()
        follow(broken, good)
        follow(good, broken)
        wait_caught_up(broken, good)

    def close(self) -> None:
        """Close drivers and stores, the last one first."""
        for close in reversed(self._closing):
            close()


def until(what: str, look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `look` returns once that is true."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"this never came true: {what}"
        time.sleep(0.05)


def write(engine: sa.Engine, statement: str) -> None:
    """One statement in a transaction of its own, again if it was undone."""
    _again(lambda: _write_once(engine, statement))


def read(engine: sa.Engine, statement: str) -> list[tuple[Any, ...]]:
    """All rows of one statement, again if its server was lost."""
    found: list[tuple[Any, ...]] = _again(lambda: _read_once(engine, statement))
    return found


def _write_once(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def _read_once(engine: sa.Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _again(work: Callable[[], Any]) -> Any:
    for _ in range(5):
        try:
            return work()
        except sa.exc.OperationalError as problem:
            if not isinstance(problem.orig, Undone):
                raise
    raise AssertionError("undone again and again")


def port_of(engine: sa.Engine) -> int:
    """The port of the server that answers."""
    return int(read(engine, "SELECT @@port")[0][0])


def new_lab_pair(lab: MariaDbLab, folder: Path, options: Mapping[str, str] | None = None) -> FailoverSite:
    """A prepared site with two servers."""
    site = FailoverSite(folder, lab.servers(2, options))
    site.prepare()
    return site
