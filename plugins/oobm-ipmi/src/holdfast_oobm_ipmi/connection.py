"""What is kept for one BMC: a session that many tasks take turns with, made anew when it is gone."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from holdfast.errors import DeadlineExceeded, DriverError, HoldfastError

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.exchange import Command, Exchange
from holdfast_oobm_ipmi.login import log_in
from holdfast_oobm_ipmi.resolver import Resolver
from holdfast_oobm_ipmi.rmcp_session import Reply
from holdfast_oobm_ipmi.sockets import SharedSockets
from holdfast_oobm_ipmi.target import Target

log = logging.getLogger(__name__)
T = TypeVar("T")

LIVELY_FACTOR: Final = 2.0
"""A login that heard nothing for so many first patiences is not waited for, but begun anew."""

BUSY_SECONDS: Final = 0.25
BUSY_TRIES: Final = 8


class Connection:
    """The way to one BMC with one set of credentials. Used in one loop's thread; `perform` by any number of tasks."""

    def __init__(self, target: Target, resolver: Resolver, sockets: SharedSockets, first_patience: float) -> None:
        self.target = target
        self._resolver = resolver
        self._exchange = Exchange(target, sockets, first_patience)
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._login: asyncio.Task[None] | None = None
        self._logged_in = 0.0
        self._users = 0
        self.last_used = self._loop.time()

    @property
    def established(self) -> bool:
        """Whether there is a session to reuse."""
        return self._exchange.established

    @property
    def in_use(self) -> bool:
        """Whether somebody is using it or waits to."""
        return self._users > 0

    @property
    def busy(self) -> bool:
        """Whether somebody is using it or waits to, or a login is under way."""
        return self.in_use or self._logging_in

    @property
    def silent_for(self) -> float:
        """Seconds since the BMC was last heard."""
        return self._loop.time() - self._exchange.last_heard

    @property
    def session_age(self) -> float:
        """Seconds since the login."""
        return self._loop.time() - self._logged_in

    async def perform(
        self, operation: Callable[["Connection"], Awaitable[T]], until: float, allowed: float, is_chore: bool = False
    ) -> T:
        """Run `operation` alone on this BMC, by loop time `until` or `DeadlineExceeded` (which names `allowed`)."""
        self._users += 1
        if not is_chore:
            self.last_used = self._loop.time()
        mine = False
        try:
            async with asyncio.timeout_at(until):
                async with self._turn:
                    mine = True
                    return await operation(self)
        except TimeoutError:
            doing = self._exchange.doing
            raise DeadlineExceeded(
                f"{self.target.where}: no answer within {allowed:g} s while "
                f"{doing if mine else f'waiting for an earlier request ({doing})'}; check that the BMC has power and "
                "network, and that IPMI over LAN is enabled on it"
            ) from None
        finally:
            self._users -= 1

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
            raise refusals.command_refused(self.target, command.doing, command.netfn, command.number, reply.code)
        return reply.data

    async def log_in(self) -> None:
        """A session, if there is none. Tries until it is cancelled or the BMC says no.

        A login that makes progress goes on for a while when its caller has to leave: a BMC that is slower than the
        callers' deadlines then has a session for the next one.
        """
        while not self.established or self._logging_in:
            if self._login is not None and self._logging_in and not self._is_lively():
                # It waits ever longer for an answer; the new caller may have less time than that.
                self._login.cancel()
                await asyncio.wait({self._login})
            if self._login is None or self._login.done():
                self._login = self._loop.create_task(self._log_in())
                self._login.add_done_callback(_seen)
            with contextlib.suppress(TimeoutError):
                await asyncio.shield(self._login)

    def hang_up(self) -> None:
        """Close the session. The next `ask` logs in anew. Idempotent."""
        self._exchange.hang_up()

    def close(self) -> None:
        """Hang up, and end a login that is under way."""
        if self._login is not None:
            self._login.cancel()
        self.hang_up()

    @property
    def _logging_in(self) -> bool:
        return self._login is not None and not self._login.done()

    def _is_lively(self) -> bool:
        return self.silent_for <= self._exchange.first_patience * LIVELY_FACTOR

    async def _log_in(self) -> None:
        await log_in(self._exchange, self._resolver)
        self._logged_in = self._loop.time()

    async def _answer_to(self, command: Command) -> Reply:
        while True:
            await self.log_in()
            reply = await self._exchange.answer(command)
            if reply is not None:
                return reply
            log.info("%s: the session does not answer any more; logging in again", self.target.where)
            self.hang_up()


def describe(error: BaseException, target: Target) -> HoldfastError:
    """`error` as something a driver may raise. What was not foreseen is told by its type: texts may show secrets."""
    if isinstance(error, HoldfastError):
        return error
    log.error("%s: unforeseen %s in the driver", target.where, type(error).__name__, exc_info=error)
    return DriverError(f"{target.where}: the driver failed ({type(error).__name__}); its log has the details")


def _seen(task: "asyncio.Task[None]") -> None:
    # Its callers may all have left; asyncio would complain about an error that nobody looked at.
    if not task.cancelled():
        task.exception()
