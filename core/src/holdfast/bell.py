"""Wakes whoever waits for new work in the same process."""

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self


class ProcessBell:
    """The `Bell` of a Holdfast process: rung from any thread, heard on event loops.

    Rings are coalesced: however often a topic rings while nobody listens, the next wait returns once. Losing a ring is
    harmless: everybody also polls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, tuple[Subscription, ...]] = {}

    def ring(self, topic: str) -> None:
        """Say that there is news of `topic`. Thread-safe, never blocks, never raises."""
        for listener in self._listeners.get(topic, ()):
            listener._rung()

    def subscribe(self, *topics: str) -> "Subscription":
        """Listen to topics from now on. Call it on the event loop that will wait; close the result when done."""
        return Subscription(self, topics)

    async def wait(self, topic: str, seconds: float | None = None) -> bool:
        """Wait for one ring of `topic` from now on; False if `seconds` passed without one.

        Rings between two such calls are missed; who must not miss them keeps a subscription.
        """
        with self.subscribe(topic) as subscription:
            return await subscription.wait(seconds)

    def _change(self, topics: tuple[str, ...], listener: "Subscription", listening: bool) -> None:
        with self._lock:
            for topic in topics:
                others = tuple(other for other in self._listeners.get(topic, ()) if other is not listener)
                # Replaced whole, never changed in place: `ring` reads it without the lock.
                self._listeners[topic] = (*others, listener) if listening else others


class Subscription:
    """One listener. `wait` from one task at a time."""

    def __init__(self, bell: ProcessBell, topics: tuple[str, ...]) -> None:
        self._bell = bell
        self._topics = topics
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._pending = False
        bell._change(topics, self, True)

    async def wait(self, seconds: float | None = None) -> bool:
        """True once a topic has rung since the last wait; False if `seconds` of the loop's clock passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        # In this order: a ring in between finds nothing pending and sets the event again.
        self._news.clear()
        self._pending = False
        return True

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._bell._change(self._topics, self, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rung(self) -> None:
        if self._pending:
            return
        self._pending = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._news.set)
