"""Throwing away what is old: events, and jobs that ended. Any server may; a row that is already gone does no harm."""

import asyncio
import logging

from holdfast.errors import HoldfastError
from holdfast.hooks.store import Delete, Query
from holdfast.model import AsyncJob, Event, JobStatus, Row
from holdfast.model.rows import Moment

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.housekeeping")

_EVERY_SECONDS = 600.0
_BATCH = 500
_BREATH_SECONDS = 1.0
_DAY = 86400.0


class Housekeeping:
    """Purges by `event.purge.days` and `job.expire.minutes`, a batch at a time: other writers get their turn."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Until cancelled. Servers begin at different times, so that they seldom do the same work."""
        await asyncio.sleep(_EVERY_SECONDS * (0.1 + 0.9 * self._desk.runtime.random()))
        while True:
            if self._desk.membership.holds():
                try:
                    await self._purge_events()
                    await self._purge_jobs()
                except HoldfastError as problem:
                    log.info("old rows are thrown away later: %s", problem)
            await asyncio.sleep(_EVERY_SECONDS)

    async def _purge_events(self) -> None:
        days = self._desk.inventory.settings.number("event.purge.days")
        if days > 0:
            before = Moment(self._desk.clock.wall() - days * _DAY)
            await self._purge(Event, Query(below={"created": before}, order=("id",), limit=_BATCH))

    async def _purge_jobs(self) -> None:
        minutes = self._desk.inventory.settings.number("job.expire.minutes")
        before = Moment(self._desk.clock.wall() - minutes * 60.0)
        ended = (JobStatus.SUCCESS, JobStatus.FAILURE, JobStatus.CANCELLED)
        query = Query(among={"job_status": ended}, below={"completed": before}, order=("id",), limit=_BATCH)
        await self._purge(AsyncJob, query)

    async def _purge(self, record: type[Row], query: Query) -> None:
        thrown = 0
        while rows := await self._desk.memory.select(record, query):
            await self._desk.memory.commit([Delete(record, row.id) for row in rows])
            thrown += len(rows)
            if len(rows) < _BATCH:
                break
            await asyncio.sleep(_BREATH_SECONDS)
        if thrown:
            log.info("%d old rows of %s were thrown away", thrown, record.TABLE)
