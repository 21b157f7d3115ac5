"""A bounded number of things at once for each of many keys, with a bound that may change while they run."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """Turns are given in the order in which they were asked for. Event loop only.

    `limit` is asked anew whenever a turn is given, so a changed setting counts from then on; a lowered one stops
    nothing that has begun.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._taken: dict[int, int] = {}
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def one(self, key: int) -> AsyncIterator[None]:
        """Wait for a turn of `key`, and give it back at the end."""
        await self._take(key)
        try:
            yield
        finally:
            self._give_back(key)

    async def _take(self, key: int) -> None:
        if self._taken.get(key, 0) < self._limit() and not self._waiting.get(key):
            self._taken[key] = self._taken.get(key, 0) + 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(key)  # it was given in the very moment in which whoever asked was cancelled
            raise

    def _give_back(self, key: int) -> None:
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]
        self._fill(key)

    def fill(self) -> None:
        """Give the turns that a raised limit has room for."""
        for key in list(self._waiting):
            self._fill(key)

    def _fill(self, key: int) -> None:
        queue = self._waiting.get(key)
        while queue and self._taken.get(key, 0) < self._limit():
            turn = queue.popleft()
            if not turn.done():
                self._taken[key] = self._taken.get(key, 0) + 1
                turn.set_result(None)
        if not queue:
            self._waiting.pop(key, None)
