"""Starting, stopping, rebooting, moving and destroying VMs by order."""

from dataclasses import replace
from typing import Any

from holdfast.errors import Conflict, HoldfastError, InvalidRequest, NoCapacity, StoreError
from holdfast.hooks.store import Expect, OwnedBy, Query, Update
from holdfast.model import (
    AsyncJob,
    Host,
    Permit,
    PermitState,
    Vm,
    VmState,
    Work,
    WorkStep,
)
from holdfast.model.states import OPEN_STEPS

from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.jobs.stops_underway import once_stopped
from holdfast_manager.journal import as_json, from_json
from holdfast_manager.runs import Placed, host_report, refused

_PLACING_TRIES = 5
_HOSTS_TO_ASK = 3
_REMOVAL_SECONDS = 15.0


def _shown(vm: Vm) -> dict[str, Any]:
    return {"object": "virtualmachine", "id": vm.id}


# --- starting ------------------------------------------------------------------------------------------------------


async def _deploy(job: Job) -> dict[str, Any] | None:
    vm = await job.vm()
    return await _start(job) if job.info.get("startvm", True) else _shown(vm)


async def _start(job: Job) -> dict[str, Any] | None:
    vm, permit = await once_stopped(job)
    _not_on_its_way(vm)
    if permit is not None and permit.state != PermitState.ENDED:
        return await _go_on(job, vm, permit)
    if vm.state not in (VmState.STOPPED, VmState.ERROR):
        raise InvalidRequest(f"VM {vm.name} is {vm.state}: only a stopped VM can be started")
    await _no_restart_underway(job, vm)
    return await _begin(job, vm)


def _not_on_its_way(vm: Vm) -> None:
    """A VM that moves has two open runs, and the newer one is not to be started or stopped alone."""
    if vm.state == VmState.MIGRATING:
        raise InvalidRequest(f"VM {vm.name} is being moved from one host to another: wait until that ends")


async def _go_on(job: Job, vm: Vm, permit: Permit) -> dict[str, Any] | None:
    """A run exists already: ours from before a crash or a hand-over, or somebody else's."""
    target = job.desk.inventory.hosts.get(permit.host_id)
    if permit.state == PermitState.RUNNING:
        return _shown(vm)
    if target is None:
        raise JobFailed(530, f"VM {vm.name}: the host of its run {permit.run_epoch} is gone")
    if not job.desk.membership.owns(target.uuid):
        await job.hand_over(target)
        return None
    return await _send_start(job, vm, permit, target)


async def _no_restart_underway(job: Job, vm: Vm) -> None:
    query = Query(equal={"instance_id": vm.id}, among={"step": OPEN_STEPS}, limit=1)
    if await job.desk.memory.select(Work, query):
        raise InvalidRequest(f"VM {vm.name} is being restarted by HA already: {vm.reason}")


async def _begin(job: Job, vm: Vm) -> dict[str, Any] | None:
    runs, placing = job.manager.runs, job.manager.placing
    for _ in range(_PLACING_TRIES):
        kind, proof = await runs.last_proof(vm)
        wanted = job.desk.inventory.hosts.get(int(job.info["hostid"])) if job.info.get("hostid") else None
        home = job.desk.inventory.hosts.get(vm.last_host_id or 0)
        request = placing.request(vm, "deploy", {}, wanted.uuid if wanted else "", near=wanted or home)
        plan = await placing.plan([request], await placing.rooms([vm.data_center_id]))
        target = job.desk.inventory.hosts_by_uuid.get(plan.decisions[vm.uuid].host or "")
        if target is None:
            summary = plan.summary(vm.uuid, vm.name)
            await job.desk.memory.commit([Update(Vm, vm.id, {"reason": f"not started: {summary}"[:1000]})])
            raise NoCapacity(summary)
        if not job.desk.membership.owns(target.uuid):
            await job.hand_over(target)
            return None
        try:
            await runs.permit([Placed(vm, target, kind, proof, target)])
        except Conflict:
            vm, permit = await runs.newest(vm.id)
            if permit is not None and permit.state != PermitState.ENDED:
                return await _go_on(job, vm, permit)
            await job.manager.refresh_inventory()
            continue
        vm, permit = await runs.newest(vm.id)
        assert permit is not None
        return await _send_start(job, vm, permit, target)
    raise JobFailed(
        536, f"VM {vm.name} was not started: its host kept changing under {_PLACING_TRIES} attempts; try again"
    )


async def _send_start(job: Job, vm: Vm, permit: Permit, target: Host) -> dict[str, Any]:
    runs = job.manager.runs
    try:
        await runs.start(vm, target, permit.run_epoch)
    except StoreError:
        raise  # it was not sent
    except HoldfastError as problem:
        text = f"VM {vm.name} was not started on host {target.name}: {problem}"
        if not refused(problem):
            await _make_sure(job, vm, permit, target, text)
            return _shown(vm)
        proof = host_report(target, text, permit.run_epoch)
        await runs.now_ended(vm, permit, target, text, proof)
        raise JobFailed(530, text) from problem
    await _store_running(job, vm, permit, target)
    return _shown(vm)


async def _make_sure(job: Job, vm: Vm, permit: Permit, target: Host, text: str) -> None:
    """The start was not answered: it runs, or it is revoked, or its host's fate decides (then HA restarts it)."""
    runs = job.manager.runs
    try:
        if await runs.is_running(vm, target, permit.run_epoch):
            await _store_running(job, vm, permit, target)
            return
        await runs.stop(vm, target, permit.run_epoch)
    except HoldfastError as problem:
        more = f"{text}. Whether it runs is not known yet ({problem}); it starts nowhere else before that is known"
        await job.desk.memory.commit([Update(Vm, vm.id, {"reason": more[:1000]})])
        raise JobFailed(530, more) from problem
    await runs.now_ended(vm, permit, target, text, host_report(target, text, permit.run_epoch))
    raise JobFailed(530, text)


async def _store_running(job: Job, vm: Vm, permit: Permit, target: Host) -> None:
    """Running, unless the run was ended while its start was on the way (its host was fenced)."""
    event = job.desk.journal.event(
        "VM.START", f"VM {vm.name} runs on host {target.name}", resource=vm.uuid, of="VirtualMachine"
    )
    try:
        await job.manager.runs.now_running(vm, permit, target, event, *await job.manager.runs.alerts.over(vm))
    except Conflict:
        fresh, newest = await job.manager.runs.newest(vm.id)
        if newest is not None and newest.state == PermitState.RUNNING:
            return
        raise JobFailed(530, f"VM {vm.name}: {fresh.reason or 'its run ended while it was starting'}") from None


# --- stopping ------------------------------------------------------------------------------------------------------


async def _stop(job: Job) -> dict[str, Any] | None:
    vm = await job.vm()
    return _shown(vm) if await stop_vm(job, vm, graceful=not job.info.get("forced")) else None


async def stop_vm(job: Job, vm: Vm, graceful: bool) -> bool:
    """Stop a VM for good: its run ends with its host's word as proof. False if another server goes on with the job."""
    _not_on_its_way(vm)
    await _cancel_restarts(job, vm)
    vm, permit = await job.manager.runs.newest(vm.id)
    _not_on_its_way(vm)
    if permit is None or permit.state == PermitState.ENDED:
        if vm.state not in (VmState.STOPPED, VmState.ERROR, VmState.DESTROYED, VmState.EXPUNGING):
            nowhere = {"state": VmState.STOPPED, "host_id": None, "last_host_id": vm.host_id or vm.last_host_id}
            await job.desk.memory.commit([Update(Vm, vm.id, nowhere)])
        return True
    host = job.desk.inventory.hosts.get(permit.host_id)
    if host is None:
        raise JobFailed(530, f"VM {vm.name}: the host of its run {permit.run_epoch} is gone")
    if not job.desk.membership.owns(host.uuid):
        await job.hand_over(host)
        return False
    vm = await _stopping(job, vm)
    try:
        await job.manager.runs.stop(vm, host, permit.run_epoch, graceful)
    except HoldfastError as problem:
        _, newest = await job.manager.runs.newest(vm.id)
        if newest is None or newest.state == PermitState.ENDED:
            return True  # its host was proven dead, or said that it ended, while the answer was awaited
        text = f"VM {vm.name} could not be stopped on host {host.name}: {problem}; its run ends when the host answers"
        raise JobFailed(530, text) from problem
    text = "stopped by order"
    try:
        await job.manager.runs.now_ended(vm, permit, host, text, host_report(host, text, permit.run_epoch))
    except Conflict:
        _, newest = await job.manager.runs.newest(vm.id)
        if newest is not None and newest.state != PermitState.ENDED:
            raise
    return True


async def _stopping(job: Job, vm: Vm) -> Vm:
    values = {"state": VmState.STOPPING, "update_count": vm.update_count + 1, "reason": "stopping by order"}
    await job.desk.memory.commit([Update(Vm, vm.id, values, {"update_count": vm.update_count})])
    return replace(vm, state=VmState.STOPPING, update_count=vm.update_count + 1)


async def _cancel_restarts(job: Job, vm: Vm) -> None:
    """A VM that an operator stops is not started by HA any more. A start that was sent is ended by the stop itself."""
    query = Query(equal={"instance_id": vm.id}, among={"step": OPEN_STEPS})
    for work in await job.desk.memory.select(Work, query):
        values = {"step": WorkStep.CANCELLED, "finished": job.desk.journal.now()}
        await job.desk.memory.commit([Update(Work, work.id, values, {"step": work.step})])
    if over := await job.manager.runs.alerts.over(vm):
        await job.desk.memory.commit(over)


async def _destroy(job: Job) -> dict[str, Any] | None:
    stored = await job.desk.memory.get(Vm, int(job.info["id"]))
    if stored is not None and stored.removed is not None:
        await _remove_disks(job, stored)
        return _shown(stored)  # the rest was done already, by this very job before a crash
    vm = await job.vm()
    if not await stop_vm(job, vm, graceful=False):
        return None
    values: dict[str, Any] = {"state": VmState.DESTROYED, "update_time": job.desk.journal.now()}
    if job.info.get("expunge"):
        values |= {"state": VmState.EXPUNGING, "removed": job.desk.journal.now()}
    await job.desk.memory.commit([Update(Vm, vm.id, values)])
    if job.info.get("expunge"):
        await _remove_disks(job, vm)
    return _shown(vm)


async def _remove_disks(job: Job, vm: Vm) -> None:
    """Once nothing can start the VM any more. A disk that stays behind is told, and does not bring the VM back."""
    if not vm.run_epoch:
        return  # disks are made by the first run
    desk = job.desk
    vm = await desk.memory.get(Vm, vm.id) or vm  # where it ran last is known since it was stopped
    near = desk.inventory.hosts_of_cluster.get(vm.cluster_id or 0, ())
    hosts = [host for host in near if desk.membership.owns(host.uuid) and desk.is_calm(host)]
    hosts.sort(key=lambda host: host.id != vm.last_host_id)
    problem: HoldfastError = NoCapacity("no host of its cluster could be asked")
    for host in hosts[:_HOSTS_TO_ASK]:
        remove = desk.while_owned(host, desk.hypervisor(host).remove_disks)
        view, spec = desk.host_view(host), await job.manager.runs.spec(vm)
        try:
            await desk.pool("agent").call(_REMOVAL_SECONDS, remove, view, spec, _REMOVAL_SECONDS)
        except HoldfastError as trouble:
            problem = trouble
            if refused(trouble):
                break
        else:
            return
    text = f"the disk of VM {vm.name}, which was destroyed, is still on its pool: {problem}"
    event = desk.journal.event("VM.DISK.LEFT", text, resource=vm.uuid, of="VirtualMachine", level="WARN")
    await desk.memory.commit([event])


async def _reboot(job: Job) -> dict[str, Any] | None:
    """Written down before it is sent (S8), and never sent twice: the second reboot could hit a guest that boots."""
    vm, permit = await job.manager.runs.newest((await job.vm()).id)
    if _sent_before(job):
        raise JobFailed(530, _perhaps(vm, "the management server that sent it lost track of it"))
    if permit is None or permit.state != PermitState.RUNNING or vm.state != VmState.RUNNING:
        raise InvalidRequest(f"VM {vm.name} is {vm.state}: only a running VM can be rebooted")
    host = job.desk.inventory.hosts.get(permit.host_id)
    if host is None or not job.desk.membership.owns(host.uuid):
        raise JobFailed(530, f"VM {vm.name}: its host is not watched by this server now; try again")
    seconds = job.desk.inventory.settings.number("ha.vm.start.timeout")
    view, driver = job.desk.host_view(host), job.desk.hypervisor(host)
    reboot = job.desk.while_owned(host, driver.reboot_vm)
    await _note_reboot(job, host, permit)
    try:
        await job.desk.pool("agent").call(seconds, reboot, view, vm.uuid, permit.run_epoch, seconds)
    except Conflict as problem:
        raise JobFailed(530, f"VM {vm.name} was not rebooted: {problem}; try again") from problem
    except HoldfastError as problem:
        if refused(problem):
            raise JobFailed(530, f"VM {vm.name} was not rebooted on host {host.name}: {problem}") from problem
        raise JobFailed(530, _perhaps(vm, str(problem))) from problem
    return _shown(vm)


def _sent_before(job: Job) -> bool:
    return "reboot" in from_json(job.row.step)


def _perhaps(vm: Vm, why: str) -> str:
    return (
        f"whether VM {vm.name} was rebooted is not known ({why}). It is not sent again: look at the guest's uptime, "
        "and order another reboot if it is needed"
    )


async def _note_reboot(job: Job, host: Host, permit: Permit) -> None:
    epoch = job.desk.epoch(host)
    if not epoch:
        raise Conflict(f"this server does not own host {host.name} any more")
    await job.desk.memory.commit(
        [
            OwnedBy(host.id, epoch),
            Expect(Permit, permit.id, {"state": PermitState.RUNNING}),
            Update(AsyncJob, job.row.id, {"step": as_json({"reboot": permit.run_epoch})}, {"step": job.row.step}),
        ]
    )


HANDLERS: dict[str, Handler] = {
    "deployVirtualMachine": _deploy,
    "startVirtualMachine": _start,
    "stopVirtualMachine": _stop,
    "destroyVirtualMachine": _destroy,
    "rebootVirtualMachine": _reboot,
}
