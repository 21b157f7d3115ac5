"""The two small tables of the driver, in the database itself: the writer row, and the tokens of written transactions.

A writing transaction locks the writer row against change and sees that its own epoch is still there. So whoever moves
the writer waits for it, and no transaction of an older epoch is written on that server after the move.
A token is written in the transaction that it stands for: after a broken commit it tells whether that was written, and
writing it anew makes sure that it never will be.
"""

import contextlib
from dataclasses import dataclass
from typing import Any, Final

from pymysql.connections import Connection
from pymysql.err import MySQLError

from holdfast_mysqlfailover.node import Writer

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS holdfast_writer (id TINYINT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, "
    "server_id BIGINT NOT NULL, moved TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), "
    "reason VARCHAR(255) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE IF NOT EXISTS holdfast_token (token BINARY(16) NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, "
    "made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, KEY ix_holdfast_token_made (made)) ENGINE=InnoDB",
)
TABLE_NAMES: Final = ("holdfast_writer", "holdfast_token")

KEPT_HOURS: Final = 24
"""How long a token is kept: far longer than any caller waits to learn what became of its transaction."""

DUPLICATE: Final = 1062
LOCK_TIMEOUTS: Final = frozenset({1205, 1213})
_TIDIED_AT_ONCE: Final = 5000


def guard_statement(epoch: int) -> str:
    """Returns a row if `epoch` is still the writer's, and keeps it so until the transaction ends."""
    return f"SELECT 1 FROM holdfast_writer WHERE id = 1 AND epoch = {epoch:d} LOCK IN SHARE MODE"  # noqa: S608


def token_statement(epoch: int, token: bytes) -> str:
    """Writes the token if `epoch` is still the writer's, and keeps it so; affects no row if it is not."""
    return (
        f"INSERT INTO holdfast_token (token, epoch) SELECT X'{token.hex()}', epoch FROM holdfast_writer "  # noqa: S608
        f"WHERE id = 1 AND epoch = {epoch:d} LOCK IN SHARE MODE"
    )


def found(connection: "Connection[Any]", reason: str) -> Writer:
    """Make the tables where there are none, and this server the writer if there is no writer; who it is then."""
    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
        cursor.execute(
            "INSERT IGNORE INTO holdfast_writer (id, epoch, server_id, reason) VALUES (1, 1, @@server_id, %s)",
            (reason[:255],),
        )
        connection.commit()
        cursor.execute("SELECT epoch, server_id FROM holdfast_writer WHERE id = 1")
        epoch, server = cursor.fetchone() or (0, 0)
        return Writer(int(epoch), int(server))


@dataclass(frozen=True, slots=True)
class Move:
    """Make `server` (an id; None: the server that is asked) the writer under `epoch`, if `expected` is the present
    epoch. `lock_seconds`: how long transactions that are being written are waited for."""

    expected: int
    epoch: int
    server: int | None
    reason: str
    lock_seconds: int


def move(connection: "Connection[Any]", wanted: Move, commit_seconds: float) -> int:
    """Carry out `wanted`; its epoch, or 0 if somebody else has moved the writer. `connection` is not in autocommit.

    PyMySQL's error 1205 if running transactions take too long. Whatever else is raised leaves unknown whether it was
    written, or will be: see `ended`. So does a commit that is not answered in `commit_seconds`.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {max(wanted.lock_seconds, 1):d}")
        cursor.execute("SELECT epoch FROM holdfast_writer WHERE id = 1 FOR UPDATE")
        row = cursor.fetchone()
        if row is None or int(row[0]) != wanted.expected:
            connection.rollback()
            return 0
        cursor.execute(
            "UPDATE holdfast_writer SET epoch = %s, server_id = COALESCE(%s, @@server_id), "
            "moved = CURRENT_TIMESTAMP(6), reason = %s WHERE id = 1",
            (wanted.epoch, wanted.server, wanted.reason[:255]),
        )
        connection._read_timeout = commit_seconds  # type: ignore[attr-defined]
        connection.commit()
        return wanted.epoch


def ended(connection: "Connection[Any]", thread: int, wanted: Move) -> int:
    """What became of a move that was not answered, once it can change no more: its epoch, or 0 if it was not written.

    Where commits wait for a replica, that of a move waits for the very host that was lost, and would come true when
    that is back and perhaps writes again. `thread`, the move's connection, is ended: a commit that only waits is then
    written, any other transaction is undone. PyMySQL's error 1205 if it can still change, as where it stands behind a
    replicated transaction that waits in the same way. `connection` is in autocommit mode, to the same server.
    """
    with connection.cursor() as cursor:
        with contextlib.suppress(MySQLError):  # it may have ended by itself
            cursor.execute(f"KILL {thread:d}")
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {max(wanted.lock_seconds, 1):d}")
        # The lock waits until that transaction has ended.
        cursor.execute(
            "SELECT epoch, server_id, COALESCE(%s, @@server_id) FROM holdfast_writer WHERE id = 1 LOCK IN SHARE MODE",
            (wanted.server,),
        )
        epoch, server, meant = cursor.fetchone() or (0, 0, 1)
    return wanted.epoch if (int(epoch), int(server)) == (wanted.epoch, int(meant)) else 0


def tidy(connection: "Connection[Any]", epoch: int) -> None:
    """Remove tokens that nobody will ask for any more. `connection` is not in autocommit mode."""
    with connection.cursor() as cursor:
        cursor.execute(guard_statement(epoch))
        if cursor.fetchone():
            cursor.execute(
                f"DELETE FROM holdfast_token WHERE made < CURRENT_TIMESTAMP - INTERVAL {KEPT_HOURS} HOUR "  # noqa: S608
                f"LIMIT {_TIDIED_AT_ONCE}"
            )
    connection.commit()


def number_of(problem: MySQLError) -> int:
    """The error's number, 0 if it has none."""
    return problem.args[0] if problem.args and isinstance(problem.args[0], int) else 0
