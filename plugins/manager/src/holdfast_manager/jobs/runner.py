"""Taking up jobs from the store, carrying them out, and storing what came of them.

A job belongs to the owner of the host that it names, or to whoever is first. Handlers may be run again from the start
after a crash: each reads how far things are before it acts.
"""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    Conflict,
    HoldfastError,
    InvalidRequest,
    NoCapacity,
    OutcomeUnknown,
    StaleOwner,
    StoreUnavailable,
)
from holdfast.hooks.store import Query, Update
from holdfast.model import AsyncJob, Event, JobStatus

from holdfast_manager.jobs import drill, fencing, hosts, moves, power, switches, vms
from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.journal import as_json

if TYPE_CHECKING:
    from holdfast_manager.manager import Manager

log = logging.getLogger("holdfast.manager.jobs")

HANDLERS: dict[str, Handler] = {
    **hosts.HANDLERS,
    **vms.HANDLERS,
    **moves.HANDLERS,
    **power.HANDLERS,
    **switches.HANDLERS,
    **fencing.HANDLERS,
    **drill.HANDLERS,
}
"""API command -> what carries it out."""

_PENDING = Query(equal={"job_status": JobStatus.PENDING}, order=("id",), limit=500)
_LOOK_SECONDS = 1.0
_MOST_AT_ONCE = 64
_TRIES = 5
_RETRY_SECONDS = 0.1
_GRAIN_SECONDS = 0.001
"""Stores keep moments to the millisecond."""


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int
    code: int
    result: dict[str, Any]


class JobRunner:
    """The job loop of one server."""

    def __init__(self, manager: "Manager") -> None:
        self._manager = manager
        self._desk = manager.desk
        self._news = asyncio.Event()
        self._underway: set[int] = set()

    def kick(self) -> None:
        """There may be a new job."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            if self._desk.membership.holds():
                await self._take_all()
            waker = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._news.set)
            await self._news.wait()
            waker.cancel()

    async def _take_all(self) -> None:
        for job in await self._desk.memory.select(AsyncJob, _PENDING):
            if len(self._underway) >= _MOST_AT_ONCE:
                return
            if job.id not in self._underway and self._is_for_me(job):
                self._underway.add(job.id)
                self._desk.spawn(self._carry_out(job))

    def _is_for_me(self, job: AsyncJob) -> bool:
        if job.host_id is not None:
            host = self._desk.inventory.hosts.get(job.host_id)
            # A host that is gone has no owner; somebody has to tell the caller.
            return host is None or self._desk.membership.owns(host.uuid)
        taker = job.mgmt_server_id
        return taker in (None, self._desk.msid) or not self._is_live(taker)

    def _is_live(self, msid: int | None) -> bool:
        return any(self._manager.msid_of(member) == msid for member in self._desk.membership.members)

    async def _carry_out(self, row: AsyncJob) -> None:
        try:
            taken = {"mgmt_server_id": self._desk.msid, "job_process_status": 1}
            await self._desk.memory.commit(
                [
                    Update(
                        AsyncJob, row.id, taken, {"job_status": JobStatus.PENDING, "mgmt_server_id": row.mgmt_server_id}
                    )
                ]
            )
            ended = await self._outcome(row)
            if ended is not None:
                await self._store(row, ended)
        except Conflict:
            log.info("job %s was taken by another server", row.uuid)
        except (StoreUnavailable, OutcomeUnknown) as problem:
            log.warning("job %s (%s) waits for the store: %s", row.uuid, row.job_cmd, problem)
            await asyncio.sleep(_LOOK_SECONDS)  # then it is begun again: handlers read how far things are
        except HoldfastError as problem:
            log.warning("job %s (%s): its end was not stored: %s", row.uuid, row.job_cmd, problem)
        finally:
            self._underway.discard(row.id)
            self._news.set()

    async def _outcome(self, row: AsyncJob) -> _Ended | None:
        """What came of the job; None if it is handed to another server or has to wait."""
        handler = HANDLERS.get(row.job_cmd)
        if handler is None:
            text = f"no management server knows how to carry out {row.job_cmd}"
            return _Ended(JobStatus.FAILURE, 530, {"errorcode": 530, "errortext": text})
        try:
            result = await self._try(handler, row)
        except (StoreUnavailable, OutcomeUnknown):
            raise
        except HoldfastError as problem:
            code = _code(problem)
            return _Ended(JobStatus.FAILURE, code, {"errorcode": code, "errortext": str(problem)})
        except Exception:
            log.exception("job %s (%s) failed", row.uuid, row.job_cmd)
            text = f"{row.job_cmd} failed unexpectedly; the log of server {self._desk.name} has job {row.uuid}"
            return _Ended(JobStatus.FAILURE, 530, {"errorcode": 530, "errortext": text})
        return None if result is None else _Ended(JobStatus.SUCCESS, 0, result)

    async def _try(self, handler: Handler, row: AsyncJob) -> dict[str, Any] | None:
        """Begin again, a few times, when somebody else was first; leave the job to the new owner of its host."""
        for attempt in range(1, _TRIES + 1):
            now = await self._desk.memory.get(AsyncJob, row.id) or row
            try:
                return await handler(Job(self._manager, now, json.loads(now.job_cmd_info)))
            except StaleOwner as problem:
                log.info("job %s (%s) is left to another server: %s", row.uuid, row.job_cmd, problem)
                return None
            except Conflict as problem:
                if attempt == _TRIES:
                    raise
                log.info("job %s (%s) is begun again: %s", row.uuid, row.job_cmd, problem)
                await asyncio.sleep(_RETRY_SECONDS * attempt)
        raise AssertionError("the last try returns or raises")

    async def _store(self, row: AsyncJob, ended: _Ended) -> None:
        now = self._desk.journal.now()
        values = {
            "job_status": ended.status, "job_result_code": ended.code, "job_result": as_json(ended.result),
            "job_process_status": 0, "completed": now, "last_updated": now,
        }  # fmt: skip
        failed = ended.status == JobStatus.FAILURE
        text = f"{row.job_cmd}: {ended.result['errortext']}" if failed else f"{row.job_cmd} completed"
        kind = await self._event_type(row)
        event = self._desk.journal.event(
            kind, text, resource=row.instance_uuid, of=row.instance_type, level="ERROR" if failed else "INFO",
            user=row.user_id, account=row.account_id,
        )  # fmt: skip
        await self._desk.memory.commit([Update(AsyncJob, row.id, values, {"job_status": JobStatus.PENDING}), event])

    async def _event_type(self, row: AsyncJob) -> str:
        """That of the event that tells of the order: the last one about its resource that the job came after."""
        ordered = Query(
            equal={"resource_id": row.instance_uuid, "state": "Scheduled"},
            below={"created": row.created + _GRAIN_SECONDS}, order=("-id",), limit=1,
        )  # fmt: skip
        found = await self._desk.memory.select(Event, ordered)
        return found[0].type if found else row.job_cmd


def _code(problem: HoldfastError) -> int:
    if isinstance(problem, JobFailed):
        return problem.code
    if isinstance(problem, NoCapacity):
        return 533
    if isinstance(problem, Conflict):
        return 536
    return 431 if isinstance(problem, InvalidRequest) else 530
