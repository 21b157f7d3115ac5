"""Declaring a host dead: an admin's word as proof (ladder rung 5)."""

from typing import Any

from holdfast.engine.incident import Declared
from holdfast.errors import InvalidRequest
from holdfast.model import Evidence, HAState, Kind, Opinion, User

from holdfast_manager.jobs.job import Handler, Job, JobFailed

_REFUSED = frozenset({HAState.AVAILABLE, HAState.DISABLED, None})
_PATIENCE = 30.0


async def _declare(job: Job) -> dict[str, Any]:
    host = await job.host("id")
    actor = job.manager.hosts.actors.get(host.uuid)
    if actor is None:
        raise InvalidRequest(f"host {host.name} is not watched by this server now; try again")
    if job.info.get("name") != host.name:
        raise InvalidRequest(f"the name given is not the name of the host, {host.name}: nothing was declared")
    limit = job.desk.silent_after()
    if job.desk.links.heard_within(host.uuid, limit):
        raise InvalidRequest(f"host {host.name} is alive: its agent was heard within the last {limit:g} s")
    if actor.record.state is HAState.FENCED:
        return {"object": "host", "id": host.id}  # proven dead already, perhaps by this very job before a crash
    if actor.record.state in _REFUSED:
        raise InvalidRequest(
            f"host {host.name} is {actor.record.state or 'new'}, not in doubt: only a host that host HA watches and "
            "cannot vouch for may be declared dead"
        )
    user = await job.desk.memory.get(User, job.row.user_id)
    who = f"user {user.username}" if user else f"user {job.row.user_id}"
    now = job.desk.clock.monotonic()
    text = f"{who} declares host {host.name} dead"
    actor.tell(Declared(Evidence(Kind.ADMIN, host.uuid, Opinion.DEAD, who, now, text, max_age=3600.0)))
    if not await job.manager.hosts.reaches(host.uuid, frozenset({HAState.FENCED}), _PATIENCE):
        text = f"host {host.name} was declared dead, but is not Fenced after {_PATIENCE:g} s: see explainHostHA"
        raise JobFailed(530, text)
    return {"object": "host", "id": host.id}


HANDLERS: dict[str, Handler] = {"declareHostDead": _declare}
