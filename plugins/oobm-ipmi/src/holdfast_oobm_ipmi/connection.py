"""The conversation with one BMC: logs in when needed, asks one command at a time, notices a session that is gone.

Invariant: an answer that `ask` returns was given to the very command it sent, after it was called.
"""

import asyncio
import collections
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from holdfast.errors import DeadlineExceeded, DriverError, HoldfastError, Refused, Unreachable

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.resolver import Found
from holdfast_oobm_ipmi.rmcp_session import Event, LoginFailed, LoginStarved, Progress, Reply, RmcpSession
from holdfast_oobm_ipmi.sockets import Address, Line, Receiver
from holdfast_oobm_ipmi.target import Target

log = logging.getLogger(__name__)
T = TypeVar("T")

BACK_OFF: Final = 1.5
LONGEST_PATIENCE_FACTOR: Final = 6.0
TRIES_IN_SESSION: Final = 3
"""Unanswered sendings of a command before the session counts as lost; 1 if the command before went unanswered too."""

STARVED_LOGINS: Final = 3
LIVELY_FACTOR: Final = 2.0
LOGIN_SECONDS: Final = 20.0
"""The longest that one login may take, whoever waits for it."""

BUSY_SECONDS: Final = 0.25
BUSY_TRIES: Final = 8
_SET_PRIVILEGE: Final = (0x06, 0x3B)
_GET_SYSTEM_GUID: Final = (0x06, 0x37)


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


class Network(Protocol):
    """What a connection needs of the world outside."""

    async def find(self, address: str, port: int) -> Found:
        """Where the BMC may be."""

    def attach(self, family: int, address: Address, receiver: Receiver) -> Line:
        """A line to there."""


class Connection:
    """All that is kept for one BMC. Used in one loop's thread alone; `perform` may be called by many tasks."""

    def __init__(self, target: Target, network: Network, first_patience: float) -> None:
        self._target = target
        self._network = network
        self._first_patience = first_patience
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._session: RmcpSession | None = None
        self._line: Line | None = None
        self._waiting: asyncio.Future[Event | None] | None = None
        self._happenings: collections.deque[Event] = collections.deque()
        self._doubtful = False
        self._login: asyncio.Task[None] | None = None
        self._doing = ""
        self._logged_in = 0.0
        self.last_used = self.last_heard = self._loop.time()
        self.users = 0

    @property
    def target(self) -> Target:
        """Whom it talks to, and as whom."""
        return self._target

    @property
    def established(self) -> bool:
        """Whether there is a session to reuse."""
        return self._session is not None and self._session.established

    @property
    def busy(self) -> bool:
        """Whether somebody is using it or waits to, or a login is under way."""
        return self.users > 0 or self._logging_in

    @property
    def session_age(self) -> float:
        """Seconds since the login."""
        return self._loop.time() - self._logged_in

    async def perform(self, operation: Callable[["Connection"], Awaitable[T]], until: float, allowed: float) -> T:
        """Run `operation` alone on this BMC, by loop time `until` or `DeadlineExceeded` (which names `allowed`)."""
        self.users += 1
        self.last_used = self._loop.time()
        mine = False
        try:
            async with asyncio.timeout_at(until):
                async with self._lock:
                    mine = True
                    return await operation(self)
        except TimeoutError:
            doing = self._doing if mine else f"waiting for an earlier request ({self._doing})"
            raise DeadlineExceeded(
                f"{self._target.where}: no answer within {allowed:g} s while {doing}; check that the BMC has power and "
                f"network, and that IPMI over LAN is enabled on it"
            ) from None
        finally:
            self.users -= 1

    async def ask(self, command: Command) -> Reply:
        """The BMC's answer, whatever its completion code, logging in first if needed. Tries until it is cancelled."""
        for _ in range(BUSY_TRIES):
            reply = await self._answer_to(command)
            if reply.code != refusals.NODE_BUSY or not command.repeatable:
                break
            await asyncio.sleep(BUSY_SECONDS)
        return reply

    async def do(self, command: Command) -> bytes:
        """The data of the BMC's answer; `Refused` with the meaning of any completion code but success."""
        reply = await self.ask(command)
        if reply.code:
            raise refusals.command_refused(self._target, command.doing, command.netfn, command.number, reply.code)
        return reply.data

    async def log_in(self) -> None:
        """A session, if there is none. Tries until it is cancelled or the BMC says no.

        A login that makes progress goes on for a while when its caller has to leave: a BMC that is slower than the
        callers' deadlines then has a session for the next one.
        """
        if self._login is not None and self._logging_in:
            if self._loop.time() - self.last_heard <= self._first_patience * LIVELY_FACTOR:
                await asyncio.shield(self._login)
                return
            # It waits ever longer for an answer; the new caller may have less time than that.
            await _end(self._login)
        if not self.established:
            self._login = self._loop.create_task(self._log_in())
            self._login.add_done_callback(_seen)
            await asyncio.shield(self._login)

    @property
    def _logging_in(self) -> bool:
        return self._login is not None and not self._login.done()

    def close(self) -> None:
        """Hang up, and end a login that is under way."""
        if self._login is not None:
            self._login.cancel()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the session and give the socket back. The next `ask` logs in anew. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        line, self._line = self._line, None
        if line is not None:
            line.close()

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
                    f"{self._target.where}: {reason} while {self._doing}; check address and port, and that IPMI over "
                    "LAN is enabled on the BMC"
                )
            )

    # In a session.

    async def _answer_to(self, command: Command) -> Reply:
        while True:
            with contextlib.suppress(TimeoutError):
                await self.log_in()
            if not self.established:
                continue
            self._doing = command.doing
            reply = await self._answer_in_session(command)
            if reply is not None:
                return reply
            log.info("%s: the session does not answer any more; logging in again", self._target.where)
            self.hang_up()

    async def _answer_in_session(self, command: Command) -> Reply | None:
        session = self._session
        assert session is not None, "log_in comes first"
        tries = 1 if self._doubtful else TRIES_IN_SESSION
        self._doubtful = True
        patience: float | None = self._first_patience
        try:
            self._happenings.clear()
            session.ask(command.netfn, command.number, command.data)
            for sent in range(1, tries + 1):
                event = await self._next_event(patience if command.repeatable else None)
                if isinstance(event, Reply):
                    self._doubtful = False
                    return event
                if sent < tries:
                    session.ask_again()
                    patience = self._longer(patience)
            return None
        finally:
            session.forget()

    async def _next_event(self, patience: float | None) -> Event | None:
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

    def _happened(self, event: Event) -> None:
        self.last_heard = self._loop.time()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(event)
        else:
            # Two packets came in one turn of the loop, before the task that waits could go on.
            self._happenings.append(event)

    def _longer(self, patience: float | None) -> float:
        assert patience is not None
        return min(patience * BACK_OFF, self._first_patience * LONGEST_PATIENCE_FACTOR)

    # The login.

    async def _log_in(self) -> None:
        self._doing = "looking up its address"
        try:
            places = await self._network.find(self._target.address, self._target.port)
        except Unreachable as error:
            raise Unreachable(f"{self._target.where}: {error}") from error
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await self._get_session(places)
                await self._take_privilege()
                if self._target.uuid is not None:
                    await self._check_identity()
        except BaseException:
            self.hang_up()
            raise
        self._logged_in = self._loop.time()
        self._doubtful = False

    async def _get_session(self, places: Found) -> None:
        patience = self._first_patience * random.uniform(1.0, 1.2)  # noqa: S311  # staggers repeats, hides nothing
        starved = 0
        attempt = 0
        capabilities_known = False
        while True:
            session = self._fresh_session(*places[attempt % len(places)])
            attempt += 1
            session.begin(ask_capabilities=not capabilities_known)
            while True:
                self._doing = session.stage
                event = await self._next_event(patience)
                if isinstance(event, LoginFailed):
                    raise event.error
                if not isinstance(event, Progress):
                    break
                capabilities_known = True
                if session.established:
                    return
            if isinstance(event, LoginStarved):
                starved += 1
                if starved >= STARVED_LOGINS:
                    raise event.error
            else:
                patience = self._longer(patience)

    def _fresh_session(self, family: int, address: Address) -> RmcpSession:
        self.hang_up()
        try:
            line = self._network.attach(family, address, self)
        except OSError as error:
            raise Unreachable(f"{self._target.where}: no UDP socket for it: {error.strerror}") from error
        self._line = line
        self._happenings.clear()
        self._session = RmcpSession(self._target, line.send, self._happened)
        return self._session

    async def _take_privilege(self) -> None:
        reply = await self._login_step(
            Command(*_SET_PRIVILEGE, "setting the privilege level", bytes([self._target.privilege]))
        )
        if reply.code:
            raise refusals.privilege_step_refused(self._target, reply.code)
        if reply.data and reply.data[0] & 0x0F < self._target.privilege:
            raise refusals.privilege_refused(self._target, f"the BMC granted level {reply.data[0] & 0x0F}")

    async def _check_identity(self) -> None:
        wanted = self._target.uuid
        assert wanted is not None
        reply = await self._login_step(Command(*_GET_SYSTEM_GUID, "asking for the system's UUID"))
        if reply.code or len(reply.data) < 16:
            raise Refused(
                f"{self._target.where}: it does not tell its system UUID, so whether it is the BMC of {wanted} cannot "
                "be checked; remove the uuid from its options to use it unchecked"
            )
        told = reply.data[:16]
        # SMBIOS order, network order, and the IPMI specification's own (all bytes reversed): firmware has them all.
        if told not in (wanted.bytes_le, wanted.bytes, wanted.bytes[::-1]):
            raise Refused(
                f"{self._target.where}: it belongs to another system: its UUID reads {told.hex()}, expected {wanted}; "
                "nothing was switched; correct the address or the uuid"
            )

    async def _login_step(self, command: Command) -> Reply:
        self._doing = command.doing
        while True:
            # A session this young is not lost: the packets are.
            reply = await self._answer_in_session(command)
            if reply is not None:
                return reply


def describe(error: BaseException, target: Target) -> HoldfastError:
    """`error` as something a driver may raise. What was not foreseen is told by its type: texts may show secrets."""
    if isinstance(error, HoldfastError):
        return error
    log.error("%s: unforeseen %s in the driver", target.where, type(error).__name__, exc_info=error)
    return DriverError(f"{target.where}: the driver failed ({type(error).__name__}); its log has the details")


def _give_up(waiting: "asyncio.Future[Event | None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


def _seen(task: "asyncio.Task[None]") -> None:
    # Its callers may all have left; asyncio would complain about an error that nobody looked at.
    if not task.cancelled():
        task.exception()
