"""Handing events and alerts to the notifiers. Each alone, with a deadline: a slow one holds back nobody else.

Every alert that this server stores is told, by whichever part of it was raised: nobody has to think of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from holdfast.errors import HoldfastError, Unreachable
from holdfast.hooks.notifier import Notice
from holdfast.hooks.store import Change, Insert
from holdfast.model import Alert, Host

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.notices")

_DEADLINE = 5.0
_KEPT = 1000
_TRIES = 3


class Notices:
    """A bounded queue per notifier; the oldest notice is dropped when a notifier falls too far behind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._queues: list[tuple[Any, deque[Notice], asyncio.Event]] = []

    def stored(self, changes: Sequence[Change]) -> None:
        """Tell of the new alerts in a batch that was written."""
        for change in changes:
            if isinstance(change, Insert) and isinstance(change.row, Alert):
                alert, now = change.row, self._desk.clock.wall()
                self.tell(Notice("alert", alert.name, "WARN", alert.subject, alert.content, now, alert.resource_id))

    def host(self, host: Host, kind: str, name: str, text: str) -> None:
        """Tell of something about a host."""
        level = "WARN" if kind == "alert" else "INFO"
        self.tell(Notice(kind, name, level, f"host {host.name}", text, self._desk.clock.wall(), host.uuid))

    def tell(self, notice: Notice) -> None:
        """Queue a notice for every notifier."""
        for _, queue, news in self._queues:
            if len(queue) >= _KEPT:
                queue.popleft()
            queue.append(notice)
            news.set()

    async def run(self) -> None:
        """Until cancelled."""
        if not self._queues:
            self._queues = [(driver, deque(), asyncio.Event()) for driver in self._desk.plugins.drivers("notifier")]
        if not self._queues:
            await asyncio.Event().wait()
        workers = [asyncio.ensure_future(self._serve(number, *parts)) for number, parts in enumerate(self._queues)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def _serve(self, number: int, driver: Any, queue: deque[Notice], news: asyncio.Event) -> None:
        pool = self._desk.runtime.pool(f"notifier-{number}", 1)
        while True:
            news.clear()
            while queue:
                await self._deliver(pool, driver, queue.popleft())
            await news.wait()

    async def _deliver(self, pool: Any, driver: Any, notice: Notice) -> None:
        for attempt in range(_TRIES):
            try:
                await pool.call(_DEADLINE, driver.notify, notice, _DEADLINE)
            except Unreachable as problem:
                log.info("a notice waits: %s", problem)
                await asyncio.sleep(2.0**attempt)
            except HoldfastError as problem:
                log.warning("a notice was not delivered: %s", problem)
                return
            except Exception:
                log.exception("a notifier broke its contract")
                return
            else:
                return
