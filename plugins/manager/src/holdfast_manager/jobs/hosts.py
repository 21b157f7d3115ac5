"""Reconnecting hosts, and maintenance."""

from typing import Any

from holdfast.errors import HoldfastError, InvalidRequest
from holdfast.hooks.store import Change, OwnedBy, Query, Update
from holdfast.model import MAINTENANCE_STATES, HAState, Host, Permit, PermitState, ResourceState, Vm

from holdfast_manager.jobs.drill import pending_drill
from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.jobs.moves import migrate_away


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
        return _shown(host)
    actor = job.manager.hosts.actors.get(host.uuid)
    if actor is not None and actor.record.state is HAState.FENCING:
        raise InvalidRequest(f"host {host.name} is being fenced: it is quarantined already")
    await _set_state(job, host, ResourceState.PREPARE_FOR_MAINTENANCE)
    problems = []
    for vm in await _vms_on(job, host):
        try:
            await migrate_away(job, vm, host)
        except HoldfastError as problem:
            problems.append(f"VM {vm.name}: {problem}")
    if not problems:
        problems = [f"VM {vm.name} is {vm.state} there" for vm in await _vms_on(job, host)]
    if problems:
        await _set_state(job, host, ResourceState.ERROR_IN_MAINTENANCE)
        raise JobFailed(530, f"host {host.name} could not be emptied: {'; '.join(problems)}"[:1000])
    await _set_state(job, host, ResourceState.MAINTENANCE)
    return _shown(host)


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
    await _set_state(job, host, ResourceState.ENABLED, host)
    return _shown(host)


async def _set_state(job: Job, host: Host, state: ResourceState, seen: Host | None = None) -> None:
    fresh = seen or await job.host("id")
    epoch = job.desk.epoch(host)
    values = {"resource_state": state, "alloc_version": fresh.alloc_version + 1}
    event = job.desk.journal.event("MAINT.PREPARE", f"host {host.name}: {state}", resource=host.uuid)
    changes: list[Change] = [Update(Host, host.id, values, {"alloc_version": fresh.alloc_version}), event]
    await job.desk.memory.commit([OwnedBy(host.id, epoch), *changes] if epoch else changes)
    await job.manager.refresh_inventory()


HANDLERS: dict[str, Handler] = {
    "reconnectHost": _reconnect,
    "prepareHostForMaintenance": _prepare,
    "cancelHostMaintenance": _cancel,
}
