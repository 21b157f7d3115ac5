"""Opens connections: time-outs on every step, and the session settings that the store relies on."""

import socket
import ssl
import struct
import time
from typing import Any, Final, TypeVar

from pymysql.connections import Connection
from pymysql.err import OperationalError

from holdfast_mysqlfailover.plan import Host, Plan

C = TypeVar("C", bound="Connection[Any]")

REFUSALS: Final = frozenset({1040, 1044, 1045, 1049, 1129, 1130, 1203, 1226, 1698, 2026, 2059, 3118})
"""Errors at login that a living server gives: too many connections, access denied, no such database, TLS."""

TLS_FAILED: Final = 2026

DENIALS: Final = frozenset({1044, 1045, 1049, 1698, TLS_FAILED})
"""Those among them that waiting does not mend: the user, the password, the name of the database or TLS is wrong."""

SESSION: Final = (
    # What the store's tables are made for: strict checks, UTC, and no lock on rows that do not match.
    # A lock is waited for more briefly than an answer, so that the server says what is wrong.
    "SET sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', innodb_lock_wait_timeout = 10",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)
_KEEP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


def open_plain(plan: Plan, host: Host, seconds: float, *, autocommit: bool = True) -> "Connection[Any]":
    """A connection of PyMySQL's own kind; opening it and each answer take at most `seconds`."""
    return connect(Connection, plan, host, seconds, seconds, autocommit=autocommit)


def connect(
    kind: type[C], plan: Plan, host: Host, seconds: float, answer_seconds: float, *, autocommit: bool = False
) -> C:
    """A connection of some kind, logged in within about `seconds`. Raises PyMySQL's errors."""
    until = time.monotonic() + seconds
    made = kind(
        host=host.name,
        port=host.port,
        user=plan.user,
        # PyMySQL would write a text as Latin-1.
        password=plan.password.reveal().encode(),
        database=plan.database,
        charset="utf8mb4",
        autocommit=autocommit,
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
        ssl=plan.tls.context if plan.tls else None,
        ssl_disabled=plan.tls is None,
        program_name="holdfast",
        defer_connect=True,
    )
    try:
        made.connect()
    except OperationalError as problem:
        distrusted = _of_tls(problem)
        if distrusted is None:
            raise
        raise distrusted from problem
    line: socket.socket = made._sock  # type: ignore[attr-defined]
    for option, value in _KEEP_ALIVE:
        line.setsockopt(socket.IPPROTO_TCP, option, value)
    with made.cursor() as cursor:
        for statement in SESSION:
            if time.monotonic() > until + seconds:
                made._force_close()  # type: ignore[attr-defined]
                raise OperationalError(2013, "the server took too long to log in")
            cursor.execute(statement)
    made._read_timeout = made._write_timeout = answer_seconds  # type: ignore[attr-defined]
    return made


def _of_tls(problem: OperationalError) -> OperationalError | None:
    """The same in words that say what to set right, if it is the server's certificate; None if it is not."""
    cause = getattr(problem, "original_exception", None)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return None
    why = cause.verify_message.rstrip(".")
    return OperationalError(
        TLS_FAILED,
        f"its certificate is not trusted ({why}): trustStore must name the authority that signed it, and the host must "
        "be called as in the certificate",
    )


def let_the_kernel_watch(connection: "Connection[Any]", seconds: float) -> None:
    """Leave the time-out of reads and writes to the kernel, which does not cost a call more at each of them."""
    line: socket.socket = connection._sock  # type: ignore[attr-defined]
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    line.settimeout(None)
    # All three alike: PyMySQL would set its own again.
    connection._read_timeout = connection._write_timeout = None  # type: ignore[attr-defined]
    connection._current_timeout = None  # type: ignore[attr-defined]
