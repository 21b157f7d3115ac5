"""Ties `MariaDb` servers together: two-way pairs, chains, and waiting until a replica has everything."""

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast_conformance.mariadb import MariaDb

USER, PASSWORD = "replicator", "Repl-of-tests-1"  # made up for these tests
SEMI_SYNC = {
    "rpl-semi-sync-master-enabled": "ON",
    "rpl-semi-sync-slave-enabled": "ON",
    "rpl-semi-sync-master-wait-point": "AFTER_SYNC",
    "rpl-semi-sync-master-timeout": "10000",
}
"""Options of servers that acknowledge a write only when a replica has received it (or after ten seconds)."""
_LOOK_SECONDS = 0.02


def follow(replica: MariaDb, source: MariaDb, *, host: str = "", port: int = 0) -> None:
    """Let `replica` replicate from `source`, perhaps by way of a proxy at `host` and `port`. Both run."""
    replica.run(
        "STOP SLAVE",
        f"CHANGE MASTER TO MASTER_HOST='{host or source.host}', MASTER_PORT={port or source.port}, "
        f"MASTER_USER='{USER}', MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, "
        "MASTER_HEARTBEAT_PERIOD=1",
        "START SLAVE",
    )


def pair(first: MariaDb, second: MariaDb) -> None:
    """Two-way replication between two new servers: ids of the first are odd, those of the second even."""
    ring([first, second])


def ring(servers: Sequence[MariaDb]) -> None:
    """Each new server replicates from the one before it, the first from the last."""
    for place, each in enumerate(servers):
        options = {"auto-increment-increment": str(len(servers)), "auto-increment-offset": str(place + 1)}
        each.options.update(options)
        each.run(*(f"SET GLOBAL {key.replace('-', '_')} = {value}" for key, value in options.items()))
    _share_user(servers)
    for place, each in enumerate(servers):
        follow(each, servers[place - 1])
    for each in servers:
        wait_connected(each)


def chain(servers: Sequence[MariaDb]) -> None:
    """Each new server but the first replicates from the one before it."""
    _share_user(servers)
    for source, replica in itertools.pairwise(servers):
        follow(replica, source)
    for each in servers[1:]:
        wait_connected(each)


def _share_user(servers: Sequence[MariaDb]) -> None:
    # The same account everywhere without a trace in any binary log, so that all histories begin empty.
    for each in servers:
        each.run("SET GLOBAL gtid_slave_pos = ''") if not _replicates(each) else None
        with each.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute(f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT REPLICATION SLAVE ON *.* TO '{USER}'@'%'")


def _replicates(server: MariaDb) -> bool:
    return bool(server.table("SHOW ALL SLAVES STATUS"))


def replica_status(server: MariaDb) -> dict[str, Any]:
    """Its first row of SHOW ALL SLAVES STATUS, or an empty dictionary."""
    rows = server.table("SHOW ALL SLAVES STATUS")
    return rows[0] if rows else {}


def is_streaming(status: Mapping[str, Any]) -> bool:
    """Whether both replication threads of a server with that `replica_status` run."""
    return bool(status.get("Slave_IO_Running") == status.get("Slave_SQL_Running") == "Yes")


def wait_connected(replica: MariaDb, seconds: float = 30.0) -> None:
    """Return when both of its replication threads run."""
    until = time.monotonic() + seconds
    while True:
        status = replica_status(replica)
        if is_streaming(status):
            return
        seen = {key: status.get(key) for key in ("Slave_IO_State", "Last_IO_Error", "Last_SQL_Error")}
        assert time.monotonic() < until, f"server {replica.number} does not replicate: {seen}"
        time.sleep(_LOOK_SECONDS)  # the server tells nobody


def wait_caught_up(replica: MariaDb, source: MariaDb, seconds: float = 30.0) -> None:
    """Return when `replica` has applied all that `source` had in its binary log at the call."""
    position = source.value("@@gtid_binlog_pos")
    waited = replica.value(f"MASTER_GTID_WAIT('{position}', {seconds})")
    assert waited == 0, f"server {replica.number} lacks some of {position}: {replica_status(replica)}"
