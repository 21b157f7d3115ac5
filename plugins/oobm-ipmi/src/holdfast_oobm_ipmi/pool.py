"""The connections that are kept: one for each BMC and set of credentials, bounded, kept alive, closed when unused."""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from holdfast.errors import HoldfastError, Unreachable

from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.exchange import Command
from holdfast_oobm_ipmi.resolver import Resolver
from holdfast_oobm_ipmi.sockets import SharedSockets
from holdfast_oobm_ipmi.target import Target

log = logging.getLogger(__name__)
T = TypeVar("T")

KEEP_ALIVE_PATIENCE: Final = 5.0
_SOON: Final = 0.7
_KEEP_ALIVE: Final = Command(0x06, 0x01, "keeping the session alive (Get Device ID)")


@dataclass(frozen=True, slots=True)
class Limits:
    """How connections are treated. All times are seconds."""

    first_patience: float = 0.5
    keep_alive: float = 25.0
    idle: float = 900.0
    renew: float = 3600.0
    most: int = 4096


class Pool:
    """All connections of one event loop, and what they need of the world. Used in that loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._salt = secrets.token_bytes(32)
        self._resolver = Resolver(loop)
        self._sockets = SharedSockets(loop)
        self._connections: dict[bytes, Connection] = {}
        self._at_place: dict[tuple[str, str, int, bytes], set[bytes]] = {}
        self._chores: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def perform(
        self, target: Target, operation: Callable[[Connection], Awaitable[T]], until: float, allowed: float
    ) -> T:
        """Run `operation` on the connection for `target`, by loop time `until`."""
        key = target.key(self._salt)
        connection = self._connections.get(key)
        if connection is None:
            connection = self._add(key, target)
        had_session = connection.established
        try:
            result = await connection.perform(operation, until, allowed)
        finally:
            if not connection.established and not connection.busy:
                self._drop(key)
        if not had_session:
            self._drop_others(key, target)
        return result

    def forget(self, target: Target) -> None:
        """Close every session with this BMC as this user: its credentials are no longer what they were."""
        for key in list(self._at_place.get(target.place, ())):
            self._drop(key)

    def close(self) -> None:
        """Close every session, without waiting for the BMCs' answers, and all sockets."""
        for chore in self._chores:
            chore.cancel()
        for key in list(self._connections):
            self._drop(key)
        self._sockets.close()
        self._resolver.close()

    def _add(self, key: bytes, target: Target) -> Connection:
        if len(self._connections) >= self._limits.most:
            self._make_room(target)
        connection = self._connections[key] = Connection(
            target, self._resolver, self._sockets, self._limits.first_patience
        )
        self._at_place.setdefault(target.place, set()).add(key)
        self._look_later(key, connection, self._limits.keep_alive * random.uniform(0.8, 1.0))  # noqa: S311
        return connection

    def _make_room(self, target: Target) -> None:
        unused = [(connection.last_used, key) for key, connection in self._connections.items() if not connection.busy]
        if not unused:
            raise Unreachable(
                f"{target.where}: all {self._limits.most} sessions are in use at this moment; raise max_sessions"
            )
        self._drop(min(unused)[1])

    def _drop(self, key: bytes) -> None:
        connection = self._connections.pop(key, None)
        if connection is not None:
            connection.close()
            keys = self._at_place[connection.target.place]
            keys.discard(key)
            if not keys:
                del self._at_place[connection.target.place]

    def _drop_others(self, key: bytes, target: Target) -> None:
        """A login succeeded: idle sessions with other credentials for the same user are of the past."""
        for other in self._at_place.get(target.place, set()) - {key}:
            if not self._connections[other].busy:
                self._drop(other)

    # One lazy timer for each connection: it looks how long ago something happened, instead of moving with every answer.

    def _look_later(self, key: bytes, connection: Connection, seconds: float) -> None:
        self._loop.call_later(seconds, self._look_after, key, connection)

    def _look_after(self, key: bytes, connection: Connection) -> None:
        if self._connections.get(key) is not connection:
            return
        now = self._loop.time()
        every = self._limits.keep_alive
        if not connection.busy:
            if not connection.established or now - connection.last_used > self._limits.idle:
                self._drop(key)
                return
            if connection.silent_for >= every * _SOON or connection.session_age > self._limits.renew:
                chore = self._loop.create_task(self._keep(key, connection))
                self._chores.add(chore)
                chore.add_done_callback(self._chores.discard)
        self._look_later(key, connection, every * random.uniform(0.8, 1.0))  # noqa: S311  # staggers, hides nothing

    async def _keep(self, key: bytes, connection: Connection) -> None:
        try:
            until = self._loop.time() + KEEP_ALIVE_PATIENCE
            await connection.perform(self._refresh, until, KEEP_ALIVE_PATIENCE, is_chore=True)
        except HoldfastError as error:
            # The next call logs in anew, and its caller gets to know what is wrong.
            log.info("session not kept: %s", error)
            if self._connections.get(key) is connection and not connection.in_use:
                self._drop(key)

    async def _refresh(self, connection: Connection) -> None:
        if connection.session_age > self._limits.renew:
            # A password that was changed on the BMC shows up now, and not when the host has to be fenced.
            connection.hang_up()
            await connection.log_in()
        else:
            await connection.ask(_KEEP_ALIVE)
