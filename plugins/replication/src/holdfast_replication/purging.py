"""Purges binary logs as decided. Blocks."""

import time
from collections.abc import Iterator, Sequence

import pymysql
from holdfast.hooks.database import DatabaseServer

from holdfast_replication.binary_logs import Decision, Memory, decide
from holdfast_replication.reading import connect, reason_of
from holdfast_replication.state import Snapshot


def decisions(snapshot: Snapshot, memory: Memory, keep_seconds: float, lost_seconds: float) -> tuple[Decision, ...]:
    """What may go, server by server, for those that answered and write a binary log."""
    now = time.time()
    return tuple(
        decide(state, snapshot, memory, now, keep_seconds, lost_seconds)
        for state in snapshot.answered
        if state.binary_logs
    )


def purge(
    servers: Sequence[DatabaseServer],
    snapshot: Snapshot,
    memory: Memory,
    keep_seconds: float,
    lost_seconds: float,
    timeout: float,
) -> Iterator[str]:
    """Carry the decisions out; one sentence for each server where something went, or could not go."""
    by_address = {one.address: one for one in servers}
    for decision in decisions(snapshot, memory, keep_seconds, lost_seconds):
        if decision.before:
            yield _purge(by_address[decision.server], decision, timeout)


def _purge(server: DatabaseServer, decision: Decision, timeout: float) -> str:
    try:
        connection = connect(server, timeout)
        try:
            with connection.cursor() as cursor:
                cursor.execute("PURGE BINARY LOGS TO %s", (decision.before,))
        finally:
            connection.close()
    except (pymysql.MySQLError, OSError) as problem:
        return f"database server {server.address}: its binary logs could not be purged: {reason_of(problem)}"
    mib = decision.bytes / (1 << 20)
    return f"database server {server.address}: purged {decision.reason}, before {decision.before} ({mib:.1f} MiB)"
