"""All hosts of a plan at once: asks them in parallel, and moves the writer between them."""

import contextlib
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from pymysql.err import MySQLError

from holdfast_mysqlfailover import writer_row
from holdfast_mysqlfailover.connection import Line
from holdfast_mysqlfailover.history import History
from holdfast_mysqlfailover.judging import reason_of_loss, still_connected
from holdfast_mysqlfailover.node import Denied, Node, Refused
from holdfast_mysqlfailover.opening import DENIALS
from holdfast_mysqlfailover.plan import Host, Plan
from holdfast_mysqlfailover.scout import NoAnswer, Scout, words_of
from holdfast_mysqlfailover.seen_epoch import SeenEpoch
from holdfast_mysqlfailover.timing import Timing
from holdfast_mysqlfailover.writer_row import number_of

_LOOK_SECONDS = 0.01
_FIRST_LOOK = 0.4
"""Share of the time of silence for the connection that was kept, which may be dead while its host lives."""


class Fleet:
    """Used by the pilot's thread alone, apart from `close`."""

    def __init__(self, plan: Plan, timing: Timing, epoch: SeenEpoch) -> None:
        self.plan = plan
        self._timing = timing
        self._epoch = epoch
        self._scouts = {host: Scout(plan, host) for host in plan.hosts}
        # The writer's host may be looked at while an earlier question to it is still out.
        self._pool = ThreadPoolExecutor(len(plan.hosts) + 1, thread_name_prefix="holdfast-db-scout")
        self._asked: dict[Host, Future[Node | str]] = {}

    def scout(self, host: Host) -> Scout:
        """Who looks at this host."""
        return self._scouts[host]

    def begin_look(self, host: Host, *, fresh: bool) -> Future[Node]:
        """Look at the writer's host: on the connection that is kept, unless `fresh`, then on a new one. The result is
        its own state without channels, or what `Scout.look` raises; it comes within about the time of silence."""
        return self._pool.submit(self._look, host, fresh)

    def _look(self, host: Host, fresh: bool) -> Node:
        scout, silence = self._scouts[host], self._timing.silence
        with contextlib.suppress(NoAnswer):
            return scout.look(silence * _FIRST_LOOK, channels=False, fresh=fresh)
        return scout.look(silence * (1 - _FIRST_LOOK), channels=False, fresh=True)

    def survey(self, hosts: Iterable[Host]) -> dict[Host, Node | str]:
        """What each host says, or why it does not, all asked at once. Takes at most about the time of silence."""
        self.forget()
        asked = {host: self._question(host) for host in hosts}
        answers = {host: answer.result() for host, answer in asked.items()}
        for host in asked:
            del self._asked[host]
        return answers

    def hear(self, hosts: Iterable[Host], seconds: float) -> dict[Host, Node | str]:
        """As `survey`, but only what comes within `seconds`. Who is slower is heard at a later call, and not asked
        anew until then: an answer may be older than the call, as it says itself."""
        asked = {self._question(host): host for host in hosts}
        there, _ = wait(asked, seconds)
        return {asked[each]: self._asked.pop(asked[each]).result() for each in there}

    def forget(self) -> None:
        """Drop answers that nobody came for."""
        self._asked = {host: answer for host, answer in self._asked.items() if not answer.done()}

    def _question(self, host: Host) -> Future[Node | str]:
        if host not in self._asked:
            self._asked[host] = self._pool.submit(self._ask, host)
        return self._asked[host]

    def _ask(self, host: Host) -> Node | str:
        scout = self._scouts[host]
        try:
            if scout.is_connected:
                with contextlib.suppress(NoAnswer):
                    return scout.look(self._timing.silence)
            return scout.look(self._timing.silence, fresh=True)
        except NoAnswer as problem:
            return Refused(problem) if problem.refused else str(problem)
        except MySQLError as problem:
            words = words_of(problem)
            return Denied(words) if number_of(problem) in DENIALS else words

    def settled(self, host: Host, gone: frozenset[int], known: History | None) -> str:
        """Wait until `host` has applied all that it received; "" then, else why it has not.

        `gone` are servers that refuse connections: their replicas notice that at once. One that a replica is still
        connected to is not gone. `known` is what the lost writer was seen to have.
        """
        until = time.monotonic() + self._timing.catch_up
        connected_until = time.monotonic() + self._timing.still_connected
        while True:
            try:
                node = self._scouts[host].look(self._timing.silence)
            except (NoAnswer, MySQLError) as problem:
                return words_of(problem)
            now = time.monotonic()
            connected = still_connected(node, gone)
            if connected and now > connected_until:
                return (
                    "it is still connected to the host that refuses connections here: only this server is cut off "
                    "from that host"
                )
            if not node.missing and not connected:
                return reason_of_loss(node, None if self._timing.accept_loss else known)
            if now > until:
                return f"it has not applied all that it received within {self._timing.catch_up:g} s ({node.missing})"
            time.sleep(_LOOK_SECONDS)  # the server tells nobody when it has applied something

    def found(self, host: Host, reason: str) -> int:
        """Make the tables on a database that never had a writer; the epoch, 0 if another server is the writer now."""
        with contextlib.closing(self._scouts[host].run(self._timing.patience)) as connection:
            connection.autocommit(False)
            row = writer_row.found(connection, reason)
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@server_id")
                (own,) = cursor.fetchone() or (0,)
            return row.epoch if row.server == int(own) else 0

    def move(self, via: Host, expected: int, server: int | None, reason: str) -> int:
        """Write a newer epoch on `via`: for the server of that id, or for `via` itself. The epoch, 0 if too late.

        `NoAnswer` or PyMySQL's error if it is not known whether it was written. It may still be then, so no epoch up to
        `SeenEpoch.attempted` may be served any more, but on the host where it is found.
        """
        before = self._epoch.attempted
        epoch = max(expected, before) + 1
        wanted = writer_row.Move(expected, epoch, server, reason, int(self._timing.handover))
        with contextlib.closing(self._scouts[via].run(self._timing.patience)) as connection:
            connection.autocommit(False)
            thread = int(connection.thread_id())  # type: ignore[no-untyped-call]
            # Before it is sent: this process may end before the answer.
            self._epoch.attempt(epoch)
            try:
                written = writer_row.move(connection, wanted, self._timing.commit)
            except MySQLError as problem:
                if number_of(problem) in writer_row.LOCK_TIMEOUTS:
                    self._epoch.attempt(before)
                    raise
            else:
                self._epoch.attempt(before)
                return written
        with contextlib.closing(self._scouts[via].run(self._timing.patience)) as connection:
            written = writer_row.ended(connection, thread, wanted)
        self._epoch.attempt(before)
        return written

    def tidy(self, host: Host, epoch: int) -> None:
        """Remove old tokens."""
        with contextlib.closing(self._scouts[host].run(self._timing.patience)) as connection:
            connection.autocommit(False)
            writer_row.tidy(connection, epoch)

    def end_orphans(self, host: Host, lines: Iterable[Line]) -> None:
        """End what the server still does for connections that broke on this side, and free its locks.

        A server that was started anew may have given the number to somebody else, so the port must fit as well.
        """
        with contextlib.closing(self._scouts[host].run(self._timing.silence)) as connection:
            for line in lines:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT COUNT(*) FROM information_schema.processlist WHERE id = %s AND host LIKE %s",
                        (line.thread, f"%:{line.port}"),
                    )
                    (there,) = cursor.fetchone() or (0,)
                if there:
                    with contextlib.suppress(MySQLError):  # it may have ended by itself meanwhile
                        connection.query(f"KILL {line.thread:d}")

    def close(self) -> None:
        """Hang up everywhere."""
        self._pool.shutdown(wait=False)
        for scout in self._scouts.values():
            scout.close()
