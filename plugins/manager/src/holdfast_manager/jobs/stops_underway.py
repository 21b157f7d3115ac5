"""Starting a VM that is being stopped: the start has its turn once the stop has ended, or fails and says why."""

import json

from holdfast.errors import InvalidRequest
from holdfast.model import AsyncJob, Permit, PermitState, Vm, VmState

from holdfast_manager.jobs.job import Job

_STOPS = ("stopVirtualMachine", "destroyVirtualMachine")
_LOOK_SECONDS = 0.5


async def once_stopped(job: Job) -> tuple[Vm, Permit | None]:
    """The VM of the job, and its newest permit, as they are when no stop that was ordered before is underway.

    `InvalidRequest` if a stop did not end it, was ordered later, or takes longer than `ha.vm.start.timeout`.
    """
    until = job.desk.clock.monotonic() + job.desk.inventory.settings.number("ha.vm.start.timeout")
    while True:
        vm, permit = await job.manager.runs.newest((await job.vm()).id)
        if vm.state != VmState.STOPPING or permit is None or permit.state == PermitState.ENDED:
            return vm, permit
        stops = await _pending_stops(job, vm)
        if not stops or max(stops) > job.row.id or job.desk.clock.monotonic() >= until:
            raise InvalidRequest(_why_not(job, vm, permit, bool(stops)))
        await job.manager.hosts.pause(_LOOK_SECONDS)


async def _pending_stops(job: Job, vm: Vm) -> list[int]:
    return [one.id for one in await job.pending(*_STOPS) if one.instance_uuid == vm.uuid or _vm_id(one) == vm.id]


def _vm_id(job: AsyncJob) -> object:
    return json.loads(job.job_cmd_info).get("id")


def _why_not(job: Job, vm: Vm, permit: Permit, underway: bool) -> str:
    host = job.desk.inventory.hosts.get(permit.host_id)
    said = f"VM {vm.name} is not started: it is being stopped"
    if host is None:
        return f"{said}, and the host of its run {permit.run_epoch} is gone; stop or destroy it"
    said += f" on host {host.name}"
    if underway:
        return f"{said}; wait until that ends (queryAsyncJobResult), then start it"
    if job.desk.is_calm(host):
        return f"{said}, which is looked at again within a minute; start it once it is Stopped"
    state = job.desk.states.get(host.id)
    return (
        f"{said}, which does not answer (it is {host.status}{f', its HA state {state}' if state else ''}), so a run of "
        "it may still be live. It ends when the host answers, is fenced, or is declared dead (declareHostDead); start "
        "the VM once it is Stopped"
    )
