"""Reads servers, by statements that change nothing. Blocks, each server apart from the others, within a deadline."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pymysql
from holdfast.hooks.database import DatabaseServer
from pymysql.cursors import DictCursor

from holdfast_replication import dialect
from holdfast_replication.gtid import History
from holdfast_replication.state import BinaryLog, Channel, Reading, Registered, ServerState, Silent, Snapshot

_MOST_AT_ONCE = 16
_ACCESS_DENIED = frozenset({1044, 1045, 1142, 1227})


def connect(server: DatabaseServer, seconds: float, schema: str | None = None) -> Any:
    """A connection whose every wait is bounded by `seconds`. Raises what PyMySQL raises."""
    return pymysql.connect(
        host=server.host, port=server.port, user=server.username, password=server.password.reveal(), database=schema,
        connect_timeout=max(1, round(seconds)), read_timeout=seconds, write_timeout=seconds, autocommit=True,
        charset="utf8mb4", cursorclass=DictCursor, ssl=dict(server.tls) or None,
    )  # fmt: skip


def reason_of(problem: BaseException) -> str:
    """What went wrong, in the server's words; those of PyMySQL carry no password."""
    if isinstance(problem, pymysql.MySQLError) and len(problem.args) > 1:
        return f"{problem.args[1]} ({problem.args[0]})"
    return str(problem) or type(problem).__name__


def read_all(servers: Sequence[DatabaseServer], seconds: float) -> Snapshot:
    """All servers at once, and then the histories of those that answered once more. Raises nothing."""
    apart = list({one.address: one for one in servers}.values())
    if not apart:
        return Snapshot(())
    pool = ThreadPoolExecutor(min(len(apart), _MOST_AT_ONCE), "replication")
    try:
        readings = _at_once(pool, apart, seconds, read_server)
        answered = [one for one, found in zip(apart, readings, strict=True) if isinstance(found, ServerState)]
        again = _at_once(pool, answered, seconds, read_history)
        confirmed = {
            one.address: found for one, found in zip(answered, again, strict=True) if isinstance(found, History)
        }
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Snapshot(tuple(one for one in readings if isinstance(one, ServerState | Silent)), confirmed)


def _at_once(
    pool: ThreadPoolExecutor, servers: Sequence[DatabaseServer], seconds: float, read: Callable[..., Any]
) -> list[Any]:
    futures = [pool.submit(read, one, seconds) for one in servers]
    wait(futures, timeout=seconds * 3)
    late = f"no answer within {seconds * 3:g} s"
    return [
        future.result() if future.done() else Silent(one.address, late)
        for one, future in zip(servers, futures, strict=True)
    ]


def read_server(server: DatabaseServer, seconds: float) -> Reading:
    """One server as it is now. Each statement may take `seconds`. Raises nothing."""
    try:
        connection = connect(server, seconds)
    except (pymysql.MySQLError, OSError, RuntimeError) as problem:
        return Silent(server.address, reason_of(problem))
    try:
        return _State(connection, time.monotonic() + seconds * 3).read(server.address)
    except (pymysql.MySQLError, OSError, ValueError, TimeoutError) as problem:
        return Silent(server.address, reason_of(problem))
    finally:
        connection.close()


def read_history(server: DatabaseServer, seconds: float) -> History | Silent:
    """What one server has executed, alone. Raises nothing."""
    try:
        connection = connect(server, seconds)
    except (pymysql.MySQLError, OSError, RuntimeError) as problem:
        return Silent(server.address, reason_of(problem))
    try:
        state = _State(connection, time.monotonic() + seconds * 3)
        return state.history()
    except (pymysql.MySQLError, OSError, ValueError, TimeoutError) as problem:
        return Silent(server.address, reason_of(problem))
    finally:
        connection.close()


class _State:
    """Asks one connection everything."""

    def __init__(self, connection: Any, until: float) -> None:
        self._connection = connection
        self._until = until
        self._unread: list[str] = []
        self._variables = dialect.pairs(self._rows(_named("SHOW GLOBAL VARIABLES", dialect.VARIABLES)))
        self._flavor = dialect.flavor_of(self._variables)
        self._words = dialect.statements(self._flavor)

    def history(self) -> History:
        """Its GTIDs, in one statement that the server answers of one moment."""
        if self._flavor == "MySQL" and "gtid_executed" not in self._variables:
            return History()
        return dialect.history(self._flavor, self._rows(self._words.history)[0])

    def read(self, address: str) -> ServerState:
        values = self._variables
        status = dialect.pairs(self._rows(_named("SHOW GLOBAL STATUS", dialect.STATUS)))
        writes_log = dialect.is_on(values.get("log_bin"))
        return ServerState(
            address=address,
            flavor=self._flavor,
            version=str(values.get("version", "")),
            server_id=dialect.number(values.get("server_id")),
            read_only=dialect.is_on(values.get("read_only")) or dialect.is_on(values.get("super_read_only")),
            binary_log=writes_log,
            log_updates=any(dialect.is_on(values.get(one)) for one in ("log_slave_updates", "log_replica_updates")),
            gtid_strict=dialect.is_on(values.get("gtid_strict_mode")) or dialect.is_on(values.get("gtid_mode")),
            increment=dialect.number(values.get("auto_increment_increment")) or 1,
            offset=dialect.number(values.get("auto_increment_offset")) or 1,
            history=self.history(),
            channels=self._channels(),
            replicas=self._replicas(),
            binary_logs=self._binary_logs() if writes_log else (),
            semi_sync=dialect.semi_sync(values, status),
            free_bytes=self._free(),
            unread=tuple(self._unread),
        )

    def _channels(self) -> tuple[Channel, ...]:
        return tuple(dialect.channel(row) for row in self._shown("its replication", self._words.channels))

    def _replicas(self) -> tuple[Registered, ...]:
        return tuple(dialect.registered(row) for row in self._shown("its replicas", self._words.replicas))

    def _binary_logs(self) -> tuple[BinaryLog, ...]:
        return tuple(dialect.binary_log(row) for row in self._shown("its binary logs", ("SHOW BINARY LOGS",)))

    def _free(self) -> int | None:
        """Free bytes under its data directory, where MariaDB's plugin DISKS tells them."""
        if self._flavor != "MariaDB":
            return None
        statement = (
            "SELECT Available FROM information_schema.DISKS WHERE @@datadir LIKE CONCAT(Path, '%') "
            "ORDER BY LENGTH(Path) DESC LIMIT 1"
        )
        try:
            rows = self._rows(statement)
        except pymysql.MySQLError:
            return None  # no such plugin there, or no FILE privilege
        return dialect.number(rows[0]["Available"]) * 1024 if rows else None

    def _shown(self, what: str, statements: tuple[str, ...]) -> list[dict[str, Any]]:
        """The rows of the first statement that this server knows."""
        for place, statement in enumerate(statements):
            try:
                return self._rows(statement)
            except pymysql.MySQLError as problem:
                number = problem.args[0] if problem.args else 0
                if number in _ACCESS_DENIED:
                    self._unread.append(f"{what}: {reason_of(problem)}")
                    return []
                if place == len(statements) - 1:
                    raise
        return []

    def _rows(self, statement: str) -> list[dict[str, Any]]:
        if time.monotonic() > self._until:
            raise TimeoutError("it answers too slowly")
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())


def _named(statement: str, names: tuple[str, ...]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"{statement} WHERE Variable_name IN ({quoted})"
