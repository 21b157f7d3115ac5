"""Asks MariaDB and MySQL for their state; the words differ, the answers become one `Node`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymysql.connections import Connection
from pymysql.cursors import DictCursor
from pymysql.err import MySQLError

from holdfast_mysqlfailover.history import History, mariadb_history, mysql_history
from holdfast_mysqlfailover.node import Channel, Node, Writer

NO_SUCH_TABLE: Final = 1146
NOT_ALLOWED: Final = frozenset({1227, 1142, 1044})
WRITER: Final = "SELECT epoch, server_id FROM holdfast_writer WHERE id = 1"

_MARIADB = (
    "SELECT @@version AS version, @@server_id AS server, @@global.read_only AS read_only, "
    "@@global.gtid_binlog_state AS binlog, @@global.gtid_slave_pos AS applied, UNIX_TIMESTAMP(NOW(6)) AS clock"
)
_MYSQL = (
    "SELECT @@version AS version, @@server_id AS server, @@global.read_only AS read_only, @@server_uuid AS uuid, "
    "@@global.gtid_executed AS executed, UNIX_TIMESTAMP(NOW(6)) AS clock"
)

_MYSQL_HEARTBEATS = (
    "SELECT c.channel_name AS name, c.heartbeat_interval AS heartbeat, s.count_received_heartbeats AS heartbeats "
    "FROM performance_schema.replication_connection_configuration c "
    "JOIN performance_schema.replication_connection_status s USING (channel_name)"
)

Row = Mapping[str, Any]


def ask(connection: "Connection[Any]", *, channels: bool = True) -> Node:
    """The server's state; without `channels` only its own, which is cheaper and needs no privilege. Blocks.

    `connection` is in autocommit mode. Errors of PyMySQL pass.
    """
    asked = time.monotonic()
    is_mariadb = "mariadb" in str(connection.get_server_info()).lower()  # type: ignore[no-untyped-call]
    (row,) = _rows(connection, _MARIADB if is_mariadb else _MYSQL)
    history = mariadb_history(row["binlog"], row["applied"]) if is_mariadb else mysql_history(row["executed"])
    found: tuple[Channel, ...] = ()
    blind = ""
    if channels:
        try:
            found = _channels(connection, history, is_mariadb)
        except MySQLError as problem:
            if problem.args[0] not in NOT_ALLOWED:
                raise
            blind = (
                "its user may not look at replication; GRANT "
                f"{'SLAVE MONITOR' if is_mariadb else 'REPLICATION CLIENT'} ON *.* TO that user"
            )
    writer = _writer(connection)
    return Node(
        server=int(row["server"]),
        origin=f"-{row['server']}" if is_mariadb else str(row["uuid"]).lower(),
        version=str(row["version"]),
        read_only=bool(row["read_only"]),
        history=history,
        channels=found,
        writer=writer,
        clock=float(row["clock"]),
        blind=blind,
        asked=asked,
        answered=time.monotonic(),
    )


def _writer(connection: "Connection[Any]") -> Writer | None:
    try:
        rows = _rows(connection, WRITER)
    except MySQLError as problem:
        if problem.args[0] == NO_SUCH_TABLE:
            return None
        raise
    return Writer(int(rows[0]["epoch"]), int(rows[0]["server_id"])) if rows else None


def _channels(connection: "Connection[Any]", history: History, is_mariadb: bool) -> tuple[Channel, ...]:
    if is_mariadb:
        return tuple(mariadb_channel(row, history) for row in _rows(connection, "SHOW ALL SLAVES STATUS"))
    signs = {row["name"]: row for row in _rows(connection, _MYSQL_HEARTBEATS)}
    rows = _rows(connection, "SHOW REPLICA STATUS")
    return tuple(mysql_channel(row | signs.get(row.get("Channel_Name", ""), {}), history) for row in rows)


def mariadb_channel(row: Row, history: History) -> Channel:
    """From a row of SHOW ALL SLAVES STATUS; `history` is the replica's own."""
    received = mariadb_history(row["Gtid_IO_Pos"])
    if row["Using_Gtid"] == "No":
        missing = _behind(row, "Master_Log_File", "Read_Master_Log_Pos", "Relay_Master_Log_File", "Exec_Master_Log_Pos")
    else:
        missing = str(received.beyond(history))
    return Channel(
        name=str(row["Connection_name"]),
        source=int(row["Master_Server_Id"] or 0),
        receiving=row["Slave_IO_Running"] == "Yes",
        applying=row["Slave_SQL_Running"] == "Yes",
        error=_error(row["Last_SQL_Errno"], row["Last_SQL_Error"]),
        contact=_words(row, ("Master_Log_File", "Read_Master_Log_Pos", "Gtid_IO_Pos", "Slave_received_heartbeats")),
        missing=missing,
        heartbeat=float(row["Slave_heartbeat_period"]),
        trying=row["Slave_IO_Running"] != "No",
    )


def mysql_channel(row: Row, history: History) -> Channel:
    """From a row of SHOW REPLICA STATUS and the channel's heartbeats; `history` is the replica's own."""
    missing = str(mysql_history(row["Retrieved_Gtid_Set"]).beyond(history))
    if not row["Retrieved_Gtid_Set"]:
        missing = _behind(row, "Source_Log_File", "Read_Source_Log_Pos", "Relay_Source_Log_File", "Exec_Source_Log_Pos")
    return Channel(
        name=str(row.get("Channel_Name", "")),
        source=int(row["Source_Server_Id"] or 0),
        receiving=row["Replica_IO_Running"] == "Yes",
        applying=row["Replica_SQL_Running"] == "Yes",
        error=_error(row["Last_SQL_Errno"], row["Last_SQL_Error"]),
        contact=_words(row, ("Source_Log_File", "Read_Source_Log_Pos", "Retrieved_Gtid_Set", "heartbeats")),
        missing=missing,
        heartbeat=float(row.get("heartbeat", 0)),
        trying=row["Replica_IO_Running"] != "No",
    )


def _behind(row: Row, *names: str) -> str:
    read_file, read_at, done_file, done_at = (row[name] for name in names)
    return "" if (read_file, read_at) == (done_file, done_at) else f"{done_file}:{done_at} to {read_file}:{read_at}"


def _words(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in names)


def _error(number: Any, text: Any) -> str:
    # The server quotes values in its words, and they may be secret.
    return f"error {number}: {str(text).split(chr(39))[0].strip()}" if int(number or 0) else ""


def _rows(connection: "Connection[Any]", statement: str) -> list[dict[str, Any]]:
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
