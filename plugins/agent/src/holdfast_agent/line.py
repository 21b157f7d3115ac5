"""One connection to one management server."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model.views import LifeGrant, VmReport
from holdfast.protocol import VERSION
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol.questions import Asked, answer, failure, read_question

from holdfast_agent.machine import Size

log = logging.getLogger("holdfast.agent")

WELCOME_SECONDS = 5.0
_LARGEST_BACKLOG = 1 << 20
_FIRST_PATIENCE = 5.0


class Line(asyncio.Protocol):
    """Says hello, beats, answers. `ended` is set to the reason once the connection is over."""

    def __init__(
        self,
        hello: m.Hello,
        carry_out: Callable[[Asked, float], Awaitable[Any]],
        next_beat: Callable[[], tuple[int, bool, bool]],
        on_message: Callable[["Line", m.Message], None],
        on_grant: Callable[[LifeGrant], None] = lambda grant: None,
    ) -> None:
        self._hello = hello
        self._size_said = Size(hello.cpus, hello.speed, hello.ram)
        self._carry_out = carry_out
        self._next_beat = next_beat
        self._on_message = on_message
        self._on_grant = on_grant
        self._frames = f.FrameReader(f.MESSAGE_LIMIT)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._why = ""
        self.retry_seconds = 0.0
        self.welcome: m.Welcome | None = None
        self.heard_at = time.monotonic()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.welcomed: asyncio.Future[None] = self._loop.create_future()

    # --- asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = self._loop.call_later(_FIRST_PATIENCE, self._check_patience)
        self.say(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and why, in words for people."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        why = self._why or (words_of(exc) if exc is not None else "the server closed the connection")
        if not self.ended.done():
            self.ended.set_result(why)
        if not self.welcomed.done():
            self.welcomed.cancel()

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self.heard_at = time.monotonic()
        try:
            for kind, body in self._frames.feed(data):
                if kind is f.FrameKind.MESSAGE:
                    self._hear(m.decode(body))
                elif kind is f.FrameKind.GRANT:
                    self._on_grant(f.read_grant(body, self._hello.host_uuid))
                elif kind is not f.FrameKind.HEARD:
                    raise f.ProtocolError(f"frames of kind {kind.name} are not taken by agents")
        except f.ProtocolError as problem:
            self.close(f"the server does not keep to the protocol: {problem}")

    # --- talking --------------------------------------------------------------------------------------------------

    async def first_word(self, seconds: float) -> None:
        """Return once the server said yes or no, or neither in time."""
        waiting: set[asyncio.Future[Any]] = {self.welcomed, self.ended}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def close(self, why: str) -> None:
        """End the connection at once."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    def say(self, message: m.Message) -> None:
        """Send, unless the connection is over."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(m.encode(message))

    def sized(self, size: Size) -> None:
        """Say how large the host is, if this server was told otherwise. Before its welcome it takes no such word."""
        if self.welcome is not None and size != self._size_said:
            self._size_said = size
            self.say(m.Sized(size.cpus, size.speed, size.ram))

    def vm_changed(self, report: VmReport) -> None:
        """Pass on what happened to a VM. What is not passed on, the server finds when it compares."""
        if self.welcome is not None:
            self.say(m.VmChanged(report))

    def _hear(self, message: m.Message) -> None:
        if isinstance(message, m.Goodbye):
            self.retry_seconds = message.retry_seconds
            self.close(message.reason)
        elif isinstance(message, m.Welcome) and self.welcome is None:
            if message.version != VERSION or not 0.05 <= message.beat_seconds <= 600:
                raise f.ProtocolError("its welcome makes no sense")
            self.welcome = message
            self.welcomed.set_result(None)
            self._beat()
            self._check_patience()
        elif isinstance(message, m.Question) and self.welcome is not None:
            task = self._loop.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(message, (m.Renewed, m.PleaseRenew)):
            self._on_message(self, message)
        else:
            raise f.ProtocolError(f"{type(message).__name__} is not taken now")

    async def _answer(self, asked: m.Question) -> None:
        try:
            found = answer(asked.number, await self._carry_out(read_question(asked), asked.deadline))
        except HoldfastError as problem:
            found = failure(asked.number, problem)
        except Exception as problem:
            log.exception("%s failed", asked.what)
            found = failure(asked.number, problem)
        self.say(found)

    # --- time -----------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        if self._transport is None or self.welcome is None:
            return
        self._loop.call_later(self.welcome.beat_seconds, self._beat)
        if self._transport.get_write_buffer_size() < _LARGEST_BACKLOG:
            self._transport.write(f.beat_frame(*self._next_beat()))

    def _check_patience(self) -> None:
        patience = self.welcome.patience if self.welcome is not None else _FIRST_PATIENCE
        quiet_for = time.monotonic() - self.heard_at
        if quiet_for >= patience:
            self.close(f"the server was not heard for {quiet_for:.1f} s")
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(patience - quiet_for + 0.01, self._check_patience)


def words_of(problem: BaseException) -> str:
    """What a connection failed with, for people who have to mend it."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not one of this host's cloud ({problem.verify_message}): look at the address "
            "of the server and at this host's clock, or let the host join again"
        )
    if isinstance(problem, ssl.SSLError):
        reason = (problem.reason or str(problem)).replace("_", " ").lower()
        return (
            f"the server does not take this host's certificate ({reason}): it is of another cloud or has expired; let "
            "the host join again"
        )
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    return f"{type(problem).__name__}: {problem}"
