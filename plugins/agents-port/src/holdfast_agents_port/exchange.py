"""Questions under way on one connection, matched with their answers by number."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast.protocol.codec import to_document
from holdfast.protocol.messages import Answer, Question
from holdfast.protocol.questions import Asked, read_answer

_MOST_UNDER_WAY = 4096
_GRACE = 0.25
"""Seconds added to the other side's deadline before an answer is given up here: its own word says more than silence."""


class Exchange:
    """Event loop only. `who` names the other side in errors."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[Answer]] = {}

    async def ask(self, asked: Asked, deadline: float, send: Callable[[Question], None]) -> Any:
        """The answer; raises what the other side met. No answer is `Unreachable`: the outcome is not known."""
        return read_answer(asked, await self.pass_on(type(asked).__name__, to_document(asked), deadline, send))

    async def pass_on(
        self, what: str, body: Mapping[str, Any], deadline: float, send: Callable[[Question], None]
    ) -> Answer:
        """The other side's answer as it came, under the number that was used here."""
        if len(self._open) >= _MOST_UNDER_WAY:
            raise Unreachable(f"{self._who}: too many questions wait for their answers; this one was not sent")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            send(Question(number, what, body, deadline))
            async with asyncio.timeout(deadline + _GRACE):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(f"{self._who} did not answer within {deadline:g} s") from None
        finally:
            del self._open[number]

    def answered(self, found: Answer) -> None:
        """An answer came in. One that nobody waits for any more is dropped (S5)."""
        waiting = self._open.get(found.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(found)

    def closed(self, why: str) -> None:
        """The connection is gone: nobody knows what became of what was asked."""
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_exception(Unreachable(f"{self._who}: {why}; what was asked may or may not have happened"))
