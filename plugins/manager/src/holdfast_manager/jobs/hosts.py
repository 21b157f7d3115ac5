"""Reconnecting hosts, and maintenance."""

from typing import Any

from holdfast.errors import Conflict, HoldfastError, InvalidRequest
from holdfast.hooks.store import Change, OwnedBy, Query, Update
from holdfast.model import MAINTENANCE_STATES, AsyncJob, HAState, Host, Permit, PermitState, ResourceState, Vm

from holdfast_manager.census import SILENT
from holdfast_manager.jobs.drill import pending_drill
from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.jobs.moves import migrate_away
from holdfast_manager.journal import as_json, from_json


def _shown(host: Host) -> dict[str, Any]:
    return {"object": "host", "id": host.id}


async def _reconnect(job: Job) -> dict[str, Any]:
    host = await job.host("id")
    job.manager.hosts.reattach(host)
    await job.manager.hosts.pause(job.desk.inventory.settings.number("ping.interval"))
    return _shown(host)


async def _prepare(job: Job) -> dict[str, Any]:
    """No more starts, then every VM away; the host ends in Maintenance, or in ErrorInMaintenance with the reason."""
    host = await job.host("id")
    if host.resource_state == ResourceState.MAINTENANCE:
        await job.manager.returning.stays(host)
        host = await job.host("id")
    if host.resource_state == ResourceState.MAINTENANCE:
        return _shown(host)
    if _begun(job):
        await _still_wanted(job)
    _refuse_in_doubt(job, host)
    note = Update(AsyncJob, job.row.id, {"step": as_json({"maintenance": "begun"})})
    await _set_state(job, host, ResourceState.PREPARE_FOR_MAINTENANCE, note)
    problems = []
    for vm in await _vms_on(job, host):
        await _still_wanted(job)
        try:
            await migrate_away(job, vm, host)
        except HoldfastError as problem:
            told = str(problem)
            problems.append(told if told.startswith(f"VM {vm.name} ") else f"VM {vm.name}: {told}")
    problems = problems or await _left(job, host)
    host = await _still_wanted(job)
    try:
        await _set_state(job, host, ResourceState.ERROR_IN_MAINTENANCE if problems else ResourceState.MAINTENANCE)
    except Conflict as problem:
        # Begun again, it would undo what somebody has just ordered.
        raise JobFailed(530, f"host {host.name} was changed while it went into maintenance: {problem}") from problem
    if problems:
        raise _not_emptied(host, problems)
    return _shown(host)


def _begun(job: Job) -> bool:
    """Whether this very job closed the host already, and is carried on after its server died: each step is noted."""
    return bool(from_json(job.row.step))


async def _left(job: Job, host: Host) -> list[str]:
    return [f"VM {vm.name} is {vm.state} there" for vm in await _vms_on(job, host)]


def _not_emptied(host: Host, problems: list[str]) -> JobFailed:
    return JobFailed(530, f"host {host.name} could not be emptied: {'; '.join(problems)}"[:1000])


def _refuse_in_doubt(job: Job, host: Host) -> None:
    """A host that is in doubt cannot be emptied, and its VMs are restarted only while it is in doubt."""
    actor = job.manager.hosts.actors.get(host.uuid)
    if actor is None or actor.record.state not in SILENT:
        return
    state = actor.record.state
    if state is HAState.FENCING:
        raise InvalidRequest(f"host {host.name} is being fenced: it is quarantined already")
    raise InvalidRequest(
        f"host {host.name} is {state}: it does not answer, so none of its VMs can be moved, and maintenance would end "
        "what restarts them. Wait until it answers or is fenced; to leave it alone as it is, disable its HA"
    )


async def _still_wanted(job: Job) -> Host:
    """The host as it is now. The job ends where its maintenance was cancelled, or turned into a fence, meanwhile."""
    host = await job.host("id")
    if host.resource_state == ResourceState.ERROR_IN_MAINTENANCE and (left := await _left(job, host)):
        raise _not_emptied(host, left)
    if host.resource_state != ResourceState.PREPARE_FOR_MAINTENANCE:
        raise JobFailed(530, f"the maintenance of host {host.name} was ended meanwhile: it is {host.resource_state}")
    return host


async def _vms_on(job: Job, host: Host) -> list[Vm]:
    live = await job.desk.memory.select(Permit, Query(equal={"host_id": host.id}, unequal={"state": PermitState.ENDED}))
    return await job.desk.memory.select(Vm, Query(among={"id": sorted({p.vm_id for p in live})})) if live else []


async def _cancel(job: Job) -> dict[str, Any]:
    host = await job.host("id")
    if host.resource_state not in MAINTENANCE_STATES:
        raise InvalidRequest(f"host {host.name} is not in maintenance, its resource state is {host.resource_state}")
    actor = job.manager.hosts.actors.get(host.uuid)
    if actor is not None and actor.record.state is HAState.FENCING:
        raise InvalidRequest(f"host {host.name} is being fenced: wait until that ends, or disable its HA")
    if await pending_drill(job, host):
        raise InvalidRequest(f"a fence drill of host {host.name} is under way: wait until it ends")
    # As it was when no drill was ordered: one that began since has changed it.
    await _set_state(job, host, ResourceState.ENABLED)
    return _shown(host)


async def _set_state(job: Job, host: Host, state: ResourceState, *more: Change) -> None:
    """Change the state of the host if nobody has touched it since `host` was read; `Conflict` if somebody has."""
    epoch = job.desk.epoch(host)
    values = {"resource_state": state, "alloc_version": host.alloc_version + 1}
    kind = "MAINT.PREPARE" if state in MAINTENANCE_STATES else "MAINT.CANCEL"
    event = job.desk.journal.event(kind, f"host {host.name}: {state}", resource=host.uuid)
    changes: list[Change] = [Update(Host, host.id, values, {"alloc_version": host.alloc_version}), event, *more]
    await job.desk.memory.commit([OwnedBy(host.id, epoch), *changes] if epoch else changes)
    await job.manager.refresh_inventory()


HANDLERS: dict[str, Handler] = {
    "reconnectHost": _reconnect,
    "prepareHostForMaintenance": _prepare,
    "cancelHostMaintenance": _cancel,
}
