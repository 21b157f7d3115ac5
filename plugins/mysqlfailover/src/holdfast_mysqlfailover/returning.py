"""Going back to the first host: when it is due, whether it may be, and how nothing is lost on the way."""

import logging
import time
from typing import TYPE_CHECKING

from pymysql.err import MySQLError

from holdfast_mysqlfailover.judging import Loss, reasons_against, reasons_to_stay
from holdfast_mysqlfailover.node import Node
from holdfast_mysqlfailover.plan import Host
from holdfast_mysqlfailover.scout import NoAnswer, words_of

if TYPE_CHECKING:
    from holdfast_mysqlfailover.pilot import Pilot

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.01
_AGAIN_SECONDS = 2.0
_SKEW_SECONDS = 30.0


class Return:
    """Belongs to the pilot, and is used by its thread alone."""

    def __init__(self, pilot: "Pilot") -> None:
        self._pilot = pilot
        self._since = 0.0
        self._next = 0.0
        self._said: dict[tuple[str, Host], str] = {}

    def begin(self, host: Host) -> None:
        """`host` serves from now on."""
        self._since = time.monotonic()
        self._next = 0.0

    def pause(self, pause: float) -> float:
        """Go back if it is due and possible; the pause until the next look."""
        pilot, host = self._pilot, self._pilot.standing.host
        if host is None or host.number == 0 or time.monotonic() < self._next or not self._due():
            return pause
        self._next = time.monotonic() + _AGAIN_SECONDS
        first = pilot.plan.hosts[0]
        answers = pilot.fleet.survey((first, host))
        there, here = answers[first], answers[host]
        if not isinstance(here, Node):
            return pause
        against = (there,) if isinstance(there, str) else reasons_to_stay(there, here)
        if against:
            self._say(
                "back", first, f"the database stays on {host}, because {first} cannot take over: {'; '.join(against)}"
            )
            return pause
        assert isinstance(there, Node)
        self._hand_over(first, there, host)
        return 0.0

    def warn_early(self, serving: Host) -> bool:
        """Say loudly, before it matters, which host could not take over, and why.

        True if another host knows of a newer writer than the one that serves.
        """
        pilot, newer = self._pilot, False
        others = [host for host in pilot.plan.hosts if host != serving]
        for host, answer in pilot.fleet.survey(others).items():
            if isinstance(answer, str):
                against = [answer]
            else:
                against = [*reasons_against(answer, Loss()), *_skew(answer)]
                newer |= answer.writer is not None and answer.writer.epoch > pilot.standing.epoch > 0
            words = "; ".join(against)
            self._say("fit", host, f"database host {host} is not fit to take over: {words}" if words else "")
        return newer

    def _due(self) -> bool:
        plan = self._pilot.plan
        if self._pilot.standing.read_only:
            return True
        by_time = plan.back_seconds > 0 and time.monotonic() - self._since >= plan.back_seconds
        return by_time or 0 < plan.back_statements <= self._pilot.statements_elsewhere()

    def _hand_over(self, first: Host, there: Node, host: Host) -> None:
        """Let running transactions end, begin no new ones, and begin again where all of them have arrived."""
        pilot, epoch = self._pilot, self._pilot.standing.epoch
        if pilot.standing.read_only:
            pilot.hold()
            return
        log.warning("database host %s has caught up; writing goes back to it", first)
        pilot.hold()
        try:
            moved = pilot.fleet.move(host, epoch, there.server, f"back to {first}")
        except (NoAnswer, MySQLError) as problem:
            # Whether it was written is seen at the next look.
            log.warning("could not go back to %s: %s", first, words_of(problem))
            return
        if moved and self._arrived(first, moved):
            pilot.serve(first, moved)
        elif moved:
            self._take_back(host, moved)

    def _take_back(self, host: Host, epoch: int) -> None:
        """Go on where writing was, rather than wait any longer."""
        try:
            taken = self._pilot.fleet.move(host, epoch, None, "taken back: the first host did not learn of it")
        except (NoAnswer, MySQLError) as problem:
            log.warning("could not take the writer back to %s: %s", host, words_of(problem))
            return
        if taken:
            self._pilot.serve(host, taken)

    def _arrived(self, first: Host, epoch: int) -> bool:
        timing = self._pilot.timing
        until = time.monotonic() + timing.handover
        while time.monotonic() < until:
            try:
                node = self._pilot.fleet.scout(first).look(timing.silence, channels=False)
            except (NoAnswer, MySQLError):
                return False
            if node.writer is not None and node.writer.epoch >= epoch:
                return True
            time.sleep(_LOOK_SECONDS)  # the server tells nobody when it has applied something
        log.warning("database host %s did not learn in %g s that it is the writer again", first, timing.handover)
        return False

    def _say(self, kind: str, host: Host, words: str) -> None:
        """Once, until the words change."""
        if self._said.get((kind, host), "") != words:
            if words:
                log.warning("%s", words)
            self._said[kind, host] = words


def _skew(node: Node) -> tuple[str, ...]:
    apart = abs(time.time() - node.clock)
    if apart <= _SKEW_SECONDS:
        return ()
    return (
        f"its clock and this server's are {apart:.0f} s apart, which confuses every record of times; set them right",
    )
