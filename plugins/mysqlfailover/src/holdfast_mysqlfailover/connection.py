"""The connection that callers get: PyMySQL's own, with a guard before its first write and an answer after every loss.

It adds one comparison to each statement. Whatever breaks is told to the pilot at once, for all other connections.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymysql.connections import Connection
from pymysql.err import InterfaceError, MySQLError, OperationalError

from holdfast_mysqlfailover.standing import Standing
from holdfast_mysqlfailover.writer_row import guard_statement, token_statement

if TYPE_CHECKING:
    from holdfast_mysqlfailover.pilot import Pilot

UNDONE: Final = 3101
"""MySQL's number for a transaction that was rolled back during its commit: nothing of it was written."""
LOST: Final = 2013

_TOKEN_BYTES: Final = 16
_plain_query: Final = Connection.query
"""Not by `super()`, which each statement would pay for."""

_READS: Final = ("SELECT", "SHOW", "SET")
_TRANSACTIONAL: Final = (*_READS, "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "(")
_GOING_DOWN: Final = frozenset({1053, 1927, 3032, 3169, 4031})
"""The server ends this connection: it shuts down, or somebody killed the connection."""


class Undone(OperationalError):
    """The transaction was undone as a whole, for certain; it may be run again."""

    def __init__(self, words: str) -> None:
        super().__init__(UNDONE, words)


class FateUnknown(OperationalError):
    """The connection broke around a commit, or in autocommit mode: it was written or not, and nobody can tell."""

    def __init__(self, words: str) -> None:
        super().__init__(LOST, words)


@dataclass(frozen=True, slots=True)
class Line:
    """How the server calls a connection (its thread) and where it came from (the port on this side)."""

    thread: int
    port: int


class PilotedConnection(Connection):
    """One connection to the host that served when it was opened. Not for several threads at once."""

    pilot: "Pilot"
    standing: Standing
    line: Line
    retry_safe: bool = False
    """Whether its caller runs a transaction again that was undone."""
    token: bytes | None = None
    """Written first in a transaction that is safe to run again, to find out what became of it."""
    _settled: bool = False
    _open: bool = True
    """Whether statements may pass: nothing is guarded, or this transaction has passed its guard."""
    _counted: bool = False

    def settle(self, pilot: "Pilot", standing: Standing) -> None:
        """Called once, when the connection is logged in and prepared."""
        self.pilot, self.standing = pilot, standing
        thread = self.thread_id()  # type: ignore[no-untyped-call]
        self.line = Line(int(thread), int(self._sock.getsockname()[1]))  # type: ignore[attr-defined]
        self._open = standing.epoch == 0
        self._counted = standing.host is not None and standing.host.number > 0
        self._settled = True

    @property
    def is_dead(self) -> bool:
        """Whether it broke."""
        return self._sock is None  # type: ignore[attr-defined]

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Carry out one statement; before the first that may write, make sure that this host may still be written."""
        try:
            if not self._open and not sql.startswith(_READS):
                self._pass_guard()
            if self._counted:
                self.pilot.count_statement()
            return _plain_query(self, sql, unbuffered)
        except (OperationalError, InterfaceError) as problem:
            # While it is being opened, whoever opens it tells the pilot.
            if not self._settled or isinstance(problem, Undone) or not self._broke(problem):
                raise
            raise self._explained(sql, problem) from problem

    def commit(self) -> None:
        """Commit. If the connection breaks: returns if the transaction is found written, else `Undone` if it is certain
        that it never will be, else `FateUnknown`."""
        wrote, token = self._wrote(), self.token
        try:
            super().commit()
        except (OperationalError, InterfaceError) as problem:
            if not self._broke(problem):
                raise
            if not wrote:
                self.pilot.failed(self.standing, problem)
                raise Undone(f"the connection broke before anything was written ({_words(problem)})") from problem
            self.pilot.failed(self.standing, problem, self.line)
            if token is None:
                raise FateUnknown(f"the connection broke around a commit ({_words(problem)})") from problem
            self.pilot.resolve(token)
        finally:
            self._reset()

    def rollback(self) -> None:
        """Roll back; what broke was rolled back by its server."""
        try:
            if not self.is_dead:
                super().rollback()
        except (OperationalError, InterfaceError) as problem:
            if not self._broke(problem):
                raise
        finally:
            self._reset()

    def _read_bytes(self, num_bytes: int) -> bytes:
        # A read that the kernel timed out comes back as None, which PyMySQL does not know.
        try:
            data = self._rfile.read(num_bytes)  # type: ignore[attr-defined]
        except OSError as problem:
            self._force_close()  # type: ignore[attr-defined]
            raise OperationalError(LOST, f"Lost connection to MySQL server during query ({problem})") from problem
        if data is None or len(data) < num_bytes:
            self._force_close()  # type: ignore[attr-defined]
            how = "it closed the connection" if data == b"" else "no answer in time"
            raise OperationalError(LOST, f"Lost connection to MySQL server during query ({how})")
        return data  # type: ignore[no-any-return]

    def _pass_guard(self) -> None:
        epoch = self.standing.epoch
        if self.retry_safe:
            self.token = os.urandom(_TOKEN_BYTES)
            passed = super().query(token_statement(epoch, self.token)) == 1
        else:
            super().query(guard_statement(epoch))
            passed = bool(self._result is not None and self._result.rows)  # type: ignore[attr-defined]
        if not passed:
            self.pilot.failed(self.standing, None)
            self._force_close()  # type: ignore[attr-defined]
            raise Undone(f"this connection's epoch {epoch} is over: writing has moved to another host")
        self._open = True

    def _wrote(self) -> bool:
        return self._open if self.standing.epoch else not self.get_autocommit()

    def _reset(self) -> None:
        self.token = None
        self._open = self.standing.epoch == 0

    def _explained(self, sql: str, problem: MySQLError) -> MySQLError:
        transactional = not self.autocommit_mode and sql.lstrip().upper().startswith(_TRANSACTIONAL)
        self.pilot.failed(self.standing, problem, self.line)
        if transactional:
            return Undone(f"the connection broke, and its transaction is undone ({_words(problem)})")
        return FateUnknown(f"the connection broke during a statement that ends transactions ({_words(problem)})")

    def _broke(self, problem: MySQLError) -> bool:
        if problem.args and problem.args[0] in _GOING_DOWN:
            self._force_close()  # type: ignore[attr-defined]
        return self.is_dead


def _words(problem: Exception) -> str:
    return str(problem.args[-1]) if problem.args and problem.args[-1] else "it is closed"
