"""Keeps all connections of a process on the host that may be written to.

One thread looks at that host all the time, finds another when it is lost, and goes back to the first one when that is
due. Callers' threads ask where to connect, tell what broke, and wait meanwhile.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import wait
from dataclasses import replace
from functools import partial
from itertools import count

from pymysql.err import MySQLError, OperationalError

from holdfast_mysqlfailover.choice import Choice, Memory, choose
from holdfast_mysqlfailover.connection import Line
from holdfast_mysqlfailover.fleet import Fleet
from holdfast_mysqlfailover.hearing import Ears, listened
from holdfast_mysqlfailover.history import History
from holdfast_mysqlfailover.lines import Lines
from holdfast_mysqlfailover.node import Denied, Node, Refused
from holdfast_mysqlfailover.plan import Host, Plan
from holdfast_mysqlfailover.returning import Return
from holdfast_mysqlfailover.scout import NoAnswer, words_of
from holdfast_mysqlfailover.seen_epoch import SeenEpoch
from holdfast_mysqlfailover.settling import settle_token
from holdfast_mysqlfailover.standing import Phase, Standing
from holdfast_mysqlfailover.timing import Timing

log = logging.getLogger(__name__)

_SAY_AGAIN_SECONDS = 5.0
_DOUBT_SECONDS = 0.1
"""How long the writer may take to answer before the others are listened to, and between two questions to them."""
_LONGEST_LISTENING = 3.0
NOBODY = 2003
"""MySQL's number for a host that cannot be reached."""


class Pilot:
    """One per process and database. Its thread starts with the first question and ends with `close`."""

    def __init__(self, plan: Plan, timing: Timing, epoch: SeenEpoch | None = None) -> None:
        self.plan, self.timing = plan, timing
        self.lines = Lines()
        self._epoch = epoch or SeenEpoch(None)
        self.fleet = Fleet(plan, timing, self._epoch)
        self.standing = Standing()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._suspected = self._examined = 0
        self._elsewhere = count()
        self._orphans: defaultdict[Host, list[Line]] = defaultdict(list)
        self._servers: dict[Host, int] = {}
        self._known: History | None = None
        self._known_of = 0
        self._return = Return(self)
        self._served = False
        self._pause = timing.shortest_pause
        self._surveyed = self._tidied = time.monotonic()
        self._say_again = 0.0
        self._ears: Ears = {}
        self._handover: float | None = None

    # --- for callers' threads -----------------------------------------------------------------------------------

    def serving(self, until: float) -> Standing:
        """Where to connect now, waiting until `until` (monotonic). Raises `OperationalError` with all reasons."""
        with self._change:
            self._start()
            self._change.wait_for(
                lambda: self.standing.phase in ("serving", "denied", "closed"), until - time.monotonic()
            )
            now = self.standing
        if now.phase == "serving":
            return now
        words = "the database is closed" if now.phase == "closed" else "no database host can be used"
        raise OperationalError(NOBODY, f"{words}: {'; '.join(now.reasons) or 'none has answered yet'}")

    def failed(self, standing: Standing, problem: Exception | None, line: Line | None = None) -> None:
        """Say that a connection of this standing broke, and wait until its host has been looked at.

        `problem` None: the epoch was over. `line`: the server may still be at work for it.
        """
        with self._change:
            if line is not None and standing.host is not None:
                self._orphans[standing.host].append(line)
            if self.standing.generation != standing.generation or self.standing.phase != "serving":
                return
            self._start()
            self._suspected += 1
            mine = self._suspected
            self._change.notify_all()
            self._change.wait_for(
                lambda: self._examined >= mine or self.standing.generation != standing.generation,
                self.timing.patience,
            )

    def count_statement(self) -> None:
        """One more statement was sent to another host than the first."""
        next(self._elsewhere)

    def resolve(self, token: bytes) -> None:
        """Find out what became of a transaction, wherever writing goes on now. See `settle_token`."""
        settle_token(self, token)

    def patience(self) -> float:
        """Until when (monotonic) a call that begins now waits for a host."""
        return time.monotonic() + (self.timing.patience if self._served else self.timing.start)

    def close(self) -> None:
        """End the thread and all that it holds. Idempotent."""
        with self._change:
            self.standing = replace(self.standing, phase="closed", generation=self.standing.generation + 1)
            self._change.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.timing.patience)
        self.fleet.close()

    # --- the thread ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None and self.standing.phase != "closed":
            self._thread = threading.Thread(target=self._run, name="holdfast-db-pilot", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._change:
                if self.standing.phase == "closed":
                    return
                seen = self._suspected
                serving = self.standing.phase == "serving"
                suspected = seen > self._examined
            pause = 0.0
            try:
                pause = self._watch(suspected) if serving else self._search()
            except Exception:
                if self._is_closed() or not threading.main_thread().is_alive():
                    return  # what it asks has been closed under it, or the whole process ends
                log.exception("the database pilot stumbled; it goes on")
                pause = self.timing.look
            with self._change:
                self._examined = seen
                self._change.notify_all()
                self._change.wait_for(partial(self._is_called, seen), pause)

    def _is_closed(self) -> bool:
        return self.standing.phase == "closed"

    def _is_called(self, seen: int) -> bool:
        return self._suspected > seen or self._is_closed()

    def _watch(self, suspected: bool) -> float:
        """Look at the serving host; the pause until the next look."""
        now, host = self.standing, self.standing.host
        assert host is not None, "somebody serves"
        guarded = self.plan.fails_over
        try:
            node = self._look(host, suspected)
        except NoAnswer as problem:
            self._lose(host, Refused(problem) if problem.refused else str(problem))
            return 0.0
        except MySQLError as problem:
            self._lose(host, words_of(problem))
            return 0.0
        self._end_orphans(host)
        self._ears = {}
        if not guarded:
            return self.timing.look
        self._servers[host], self._known, self._known_of = node.server, node.history, node.server
        if node.read_only and not now.read_only:
            self._lose(host, "read_only is on")
            return 0.0
        row = node.writer
        if not now.read_only and (row is None or (row.epoch, row.server) != (now.epoch, node.server)):
            log.warning("another server has moved the database's writer; following it")
            self._to(replace(now, phase="moving", generation=now.generation + 1))
            return 0.0
        if self._chores(host):
            log.warning("another host knows of a newer writer of the database; following it")
            self._to(replace(now, phase="moving", generation=now.generation + 1))
            return 0.0
        return self._return.pause(self.timing.look)

    def _look(self, host: Host, suspected: bool) -> Node:
        """Look at the serving host, and listen meanwhile to whether the others hear it. Raises as `Scout.look`."""
        looking = self.fleet.begin_look(host, fresh=suspected)
        if self.plan.fails_over:
            self.fleet.forget()
            while not wait((looking,), _DOUBT_SECONDS).done:
                self._listen(each for each in self.plan.hosts if each != host)
        return looking.result()

    def _search(self) -> float:
        """Find a host to write to; the pause until the next attempt if there is none."""
        answers: dict[Host, Node | str] = {}
        self.fleet.forget()
        while True:
            answers |= self._listen(self.plan.hosts)
            if len(answers) == len(self.plan.hosts):
                return self._act(answers)
            # While one is silent, the others are asked again and again.
            self._rest(_DOUBT_SECONDS)

    def _listen(self, hosts: Iterable[Host]) -> dict[Host, Node | str]:
        answers = self.fleet.hear(hosts, _DOUBT_SECONDS)
        self._ears = listened(self._ears, (answer for answer in answers.values() if isinstance(answer, Node)))
        return answers

    def _rest(self, seconds: float) -> None:
        with self._change:
            self._change.wait_for(self._is_closed, seconds)

    def _lose(self, host: Host, reason: str) -> None:
        now = self.standing
        log.warning("database host %s is lost (%s)", host, reason)
        self._to(replace(now, phase="moving", generation=now.generation + 1, reasons=(f"{host}: {reason}",)))
        self.lines.cut_all(now.generation)
        answers: dict[Host, Node | str] = {host: reason}
        answers |= self.fleet.survey(each for each in self.plan.hosts if each != host)
        until = time.monotonic() + _LONGEST_LISTENING
        while self._choice(answers).listening and time.monotonic() < until and not self._is_closed():
            # A busy replica may take in late what came before.
            self._rest(_DOUBT_SECONDS)
            answers |= self._listen(self.plan.hosts)
        self._pause = self.timing.shortest_pause
        self._act(answers)

    def _choice(self, answers: dict[Host, Node | str]) -> Choice:
        nodes = {host: answer for host, answer in answers.items() if isinstance(answer, Node)}
        if self.plan.fails_over:
            return choose(answers, self._memory())
        return Choice("serve", next(iter(nodes))) if nodes else _nobody(answers)

    def _act(self, answers: dict[Host, Node | str]) -> float:
        nodes = {host: answer for host, answer in answers.items() if isinstance(answer, Node)}
        self._servers.update({host: node.server for host, node in nodes.items()})
        choice = self._choice(answers)
        if self.plan.fails_over:
            self._handover = (self._handover or time.monotonic()) if choice.handover else None
        if choice.host is not None and self._carry_out(choice, nodes, answers):
            return 0.0
        denied = all(isinstance(answer, Denied) for answer in answers.values())
        return self._wait(choice.reasons or _nobody(answers).reasons, denied)

    def _memory(self) -> Memory:
        now = time.monotonic()
        overdue = self._handover is not None and now - self._handover > 2 * self.timing.handover
        return Memory(
            self._servers, self._known, self._known_of, self._epoch.value, self._epoch.attempted, self._ears, overdue
        )

    def _carry_out(self, choice: Choice, nodes: dict[Host, Node], answers: dict[Host, Node | str]) -> bool:
        host = choice.host
        assert host is not None
        node = nodes[host]
        epoch = node.writer.epoch if node.writer else 0
        # A database that never had a writer begins at the first host, whatever that is doing.
        if choice.action == "take" or (choice.action == "found" and host.number > 0):
            against = self.fleet.settled(host, choice.gone, choice.known)
            if against:
                answers[host] = against
                return False
        read_only = self.plan.read_only_elsewhere and host.number > 0
        reason = "; ".join(f"{each}: {said}" for each, said in answers.items() if isinstance(said, str))
        try:
            if choice.action == "found" and not read_only:
                epoch = self.fleet.found(host, reason or "first start")
            elif choice.action in ("take", "renew") and not read_only:
                epoch = self.fleet.move(host, epoch, None, reason)
        except (NoAnswer, MySQLError) as problem:
            answers[host] = words_of(problem)
            return False
        if self.plan.fails_over and not epoch and not read_only:
            answers[host] = "another server is moving the writer at the same time"
            return False
        self.serve(host, 0 if read_only else epoch, read_only=read_only)
        return True

    def _wait(self, reasons: tuple[str, ...], denied: bool) -> float:
        now, moment = self.standing, time.monotonic()
        if now.reasons != reasons or moment >= self._say_again:
            self._say_again = moment + _SAY_AGAIN_SECONDS
            log.warning("no database host can be used, trying again: %s", "; ".join(reasons))
        phase: Phase = "denied" if denied else "lost" if self._served else "new"
        self._to(replace(now, phase=phase, host=None, reasons=reasons))
        pause, longest = self._pause, min(self.plan.longest_pause_seconds, self.timing.longest_pause)
        self._pause = min(pause * 2, longest)
        return min(pause, longest)

    def serve(self, host: Host, epoch: int, *, read_only: bool = False) -> None:
        """From now on connections go to `host`."""
        with self._change:
            if self.standing.phase == "closed":
                return
            generation = self.standing.generation + 1
        log.warning("database host %s serves%s", host, f" (writer epoch {epoch})" if epoch else "")
        self._served, self._pause = True, self.timing.shortest_pause
        self._epoch.rise(epoch)
        self._ears = {}
        self._handover = None
        self._elsewhere = count()
        self._return.begin(host)
        self._to(Standing(generation, "serving", host, epoch, read_only))

    def hold(self) -> None:
        """Lend out no connection until `serve` is called."""
        self._to(replace(self.standing, phase="moving", generation=self.standing.generation + 1))

    def statements_elsewhere(self) -> int:
        """How many statements were sent to the serving host since it began, if it is not the first."""
        # A counter's next value is its number of calls, this one included.
        seen = next(self._elsewhere)
        self._elsewhere = count(seen)
        return seen

    def _to(self, standing: Standing) -> None:
        with self._change:
            if self.standing.phase != "closed":
                self.standing = standing
            self._change.notify_all()

    def _end_orphans(self, host: Host) -> None:
        with self._change:
            lines = self._orphans.pop(host, [])
        if lines:
            try:
                self.fleet.end_orphans(host, lines)
            except (NoAnswer, MySQLError) as problem:
                log.info("could not end broken connections on %s: %s", host, words_of(problem))

    def _chores(self, host: Host) -> bool:
        """What need not be done at each look. True if another host knows of a newer writer."""
        now, newer = time.monotonic(), False
        if now - self._surveyed >= self.timing.survey:
            self._surveyed = now
            newer = self._return.warn_early(host)
        if now - self._tidied >= self.timing.tidy and self.standing.epoch:
            self._tidied = now
            try:
                self.fleet.tidy(host, self.standing.epoch)
            except (NoAnswer, MySQLError) as problem:
                log.info("could not remove old tokens: %s", words_of(problem))
        return newer


def _nobody(answers: dict[Host, Node | str]) -> Choice:
    return Choice("wait", reasons=tuple(f"{host}: {said}" for host, said in answers.items() if isinstance(said, str)))
