"""One command out and its answer in: the lowest layer that waits.

Invariant: a reply that `answer` returns was given to the very command it sent, after it was called.
"""

import asyncio
import collections
from dataclasses import dataclass
from typing import Final

from holdfast.errors import Unreachable

from holdfast_oobm_ipmi.rmcp_session import Event, Reply, RmcpSession
from holdfast_oobm_ipmi.sockets import Address, Line, SharedSockets
from holdfast_oobm_ipmi.target import Target

BACK_OFF: Final = 1.5
LONGEST_PATIENCE_FACTOR: Final = 6.0
TRIES_IN_SESSION: Final = 2
"""Unanswered sendings of a command before the session counts as lost; 1 if the command before went unanswered too."""


@dataclass(frozen=True, slots=True)
class Command:
    """One IPMI command. `doing` names it in errors.

    A command that is not `repeatable` goes out once: nobody can tell whether one without an answer was carried out.
    """

    netfn: int
    number: int
    doing: str
    data: bytes = b""
    repeatable: bool = True


class Exchange:
    """The session with one BMC and the line it runs over. Used in one loop's thread, by one task at a time.

    `doing` is what it waits for, in words; `last_heard` the loop time of the last packet that meant something.
    """

    def __init__(self, target: Target, sockets: SharedSockets, first_patience: float) -> None:
        self.target = target
        self.first_patience = first_patience
        self.doing = ""
        self._sockets = sockets
        self._loop = asyncio.get_running_loop()
        self._session: RmcpSession | None = None
        self._line: Line | None = None
        self._waiting: asyncio.Future[Event | None] | None = None
        self._happenings: collections.deque[Event] = collections.deque()
        self._doubtful = False
        self.last_heard = self._loop.time()

    @property
    def established(self) -> bool:
        """Whether there is a session to reuse."""
        return self._session is not None and self._session.established

    def begin(self, family: int, address: Address) -> RmcpSession:
        """Leave the session there is, and make ready for a login over a line of its own."""
        self.hang_up()
        try:
            line = self._sockets.attach(family, address, self)
        except OSError as error:
            raise Unreachable(f"{self.target.where}: no UDP socket for it: {error.strerror}") from error
        self._line = line
        self._happenings.clear()
        self._doubtful = False
        self._session = RmcpSession(self.target, line.send, self._happened)
        return self._session

    def hang_up(self) -> None:
        """Close the session and give the line back. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        line, self._line = self._line, None
        if line is not None:
            line.close()

    async def answer(self, command: Command) -> Reply | None:
        """The BMC's answer in the session there is; None if it is silent, which may mean that the session is gone."""
        session = self._session
        assert session is not None, "the login comes first"
        self.doing = command.doing
        tries = 1 if self._doubtful else TRIES_IN_SESSION
        self._doubtful = True
        patience = self.first_patience
        try:
            self._happenings.clear()
            session.ask(command.netfn, command.number, command.data)
            for sent in range(1, tries + 1):
                event = await self.next_event(patience if command.repeatable else None)
                if isinstance(event, Reply):
                    self._doubtful = False
                    return event
                if sent < tries:
                    session.ask_again()
                    patience = self.longer(patience)
            return None
        finally:
            session.forget()

    async def next_event(self, patience: float | None) -> Event | None:
        """What the session tells next, or None if it is silent for `patience` seconds (None: for ever)."""
        if self._happenings:
            return self._happenings.popleft()
        waiting = self._waiting = self._loop.create_future()
        timer = None if patience is None else self._loop.call_later(patience, _give_up, waiting)
        try:
            event: Event | None = await waiting
            return event
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def longer(self, patience: float) -> float:
        """How long to wait after one more silence."""
        return min(patience * BACK_OFF, self.first_patience * LONGEST_PATIENCE_FACTOR)

    # What the sockets tell.

    def received(self, packet: bytes) -> None:
        """A packet from the BMC's address."""
        if self._session is not None:
            self._session.feed(packet)

    def undeliverable(self, reason: str) -> None:
        """The network says that nobody is there: fail now, rather than at the deadline."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(
                Unreachable(
                    f"{self.target.where}: {reason} while {self.doing}; check address and port, and that IPMI over LAN "
                    "is enabled on the BMC"
                )
            )

    def _happened(self, event: Event) -> None:
        self.last_heard = self._loop.time()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(event)
        else:
            # Two packets came in one turn of the loop, before the task that waits could go on.
            self._happenings.append(event)


def _give_up(waiting: "asyncio.Future[Event | None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
