"""Looks at one host over a connection of its own, apart from those that are lent to callers."""

import contextlib
import socket
import threading
import time
from typing import Any

from pymysql.connections import Connection
from pymysql.err import MySQLError, OperationalError

from holdfast_mysqlfailover.dialects import ask
from holdfast_mysqlfailover.node import Node
from holdfast_mysqlfailover.opening import REFUSALS, open_plain
from holdfast_mysqlfailover.plan import Host, Plan


class NoAnswer(Exception):
    """The host did not answer. `refused`: its machine answered that nothing listens there."""

    def __init__(self, words: str, *, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused


class Scout:
    """Asks one host, one question at a time. Keeps its connection between questions."""

    def __init__(self, plan: Plan, host: Host) -> None:
        self._plan = plan
        self._host = host
        self._connection: Connection[Any] | None = None
        self._guard = threading.Lock()

    @property
    def is_connected(self) -> bool:
        """Whether a connection is kept, which may be dead while its host lives."""
        return self._connection is not None

    def look(self, seconds: float, *, channels: bool = True, fresh: bool = False) -> Node:
        """What the host says of itself, within `seconds`. `fresh`: over a new connection, whatever there was.

        Raises `NoAnswer`, or PyMySQL's error if the host answered that it will not.
        """
        with self._guard:
            if fresh:
                self._drop()
            if self._connection is not None:
                try:
                    return self._ask(self._connection, seconds, channels)
                except (MySQLError, OSError) as problem:
                    self._drop()
                    raise NoAnswer(words_of(problem)) from problem
            return self._from_anew(seconds, channels)

    def run(self, seconds: float) -> "Connection[Any]":
        """A new connection for work of several statements; the caller closes it. Raises as `look` does."""
        try:
            return open_plain(self._plan, self._host, seconds)
        except MySQLError as problem:
            raise self._meaning(problem) from problem

    def close(self) -> None:
        """Hang up."""
        with self._guard:
            self._drop()

    def _from_anew(self, seconds: float, channels: bool) -> Node:
        until = time.monotonic() + seconds
        made = self.run(seconds)
        try:
            node = self._ask(made, max(until - time.monotonic(), seconds / 4), channels)
        except (MySQLError, OSError) as problem:
            _hang_up(made)
            raise NoAnswer(words_of(problem)) from problem
        self._connection = made
        return node

    @staticmethod
    def _ask(connection: "Connection[Any]", seconds: float, channels: bool) -> Node:
        connection._read_timeout = seconds  # type: ignore[attr-defined]
        return ask(connection, channels=channels)

    @staticmethod
    def _meaning(problem: MySQLError) -> Exception:
        if is_silence(problem):
            cause = getattr(problem, "original_exception", None)
            return NoAnswer(words_of(problem), refused=isinstance(cause, ConnectionRefusedError))
        return problem

    def _drop(self) -> None:
        if self._connection is not None:
            _hang_up(self._connection)
            self._connection = None


def is_silence(problem: MySQLError) -> bool:
    """Whether a failed login means that the host is not there, rather than that it refuses this login."""
    return isinstance(problem, OperationalError) and problem.args[0] not in REFUSALS


def words_of(problem: Exception) -> str:
    """The cause, short, for a list of reasons."""
    cause: Any = getattr(problem, "original_exception", None) or problem
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(cause, TimeoutError) or "timed out" in str(cause):
        return "no answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause.args[-1]) if cause.args else type(cause).__name__


def _hang_up(connection: "Connection[Any]") -> None:
    with contextlib.suppress(Exception):
        connection._force_close()  # type: ignore[attr-defined]
