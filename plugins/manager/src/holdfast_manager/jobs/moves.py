"""Moving running VMs from host to host, by order or because their host goes into maintenance."""

import logging
from contextlib import suppress
from typing import Any

from holdfast.errors import Conflict, HoldfastError, InvalidRequest, NoCapacity, Unsupported
from holdfast.hooks.store import Insert, OwnedBy, Update
from holdfast.model import (
    AsyncJob,
    Host,
    Json,
    Permit,
    PermitGrant,
    PermitState,
    Proof,
    ProofKind,
    Vm,
    VmState,
)

from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.journal import as_json, from_json
from holdfast_manager.runs import host_report, refused

log = logging.getLogger("holdfast.manager.jobs")

_MOVERS = ("migrateVirtualMachine", "prepareHostForMaintenance")
_LOOK_SECONDS = 0.5


def _shown(vm: Vm) -> dict[str, Any]:
    return {"object": "virtualmachine", "id": vm.id}


class _AnothersHost(Exception):
    """What has to be done next is done to `host`, which another server owns (S5)."""

    def __init__(self, host: Host) -> None:
        super().__init__(f"host {host.name} is another server's")
        self.host = host


async def _migrate(job: Job) -> dict[str, Any] | None:
    try:
        return await _order_move(job)
    except _AnothersHost as other:
        await job.hand_over(other.host)
        return None


async def _order_move(job: Job) -> dict[str, Any]:
    vm, permit = await job.manager.runs.newest((await job.vm("virtualmachineid")).id)
    if permit is not None and permit.state == PermitState.RUNNING and _moved_by(job) == permit.run_epoch:
        return _shown(vm)  # by this very job, whose end was not stored
    if vm.state == VmState.MIGRATING and permit is not None:
        if await _moved_by_another(job, vm, permit):
            raise InvalidRequest(f"VM {vm.name} is being moved from one host to another: wait until that ends")
        if await _go_on(job, vm, permit):
            return _shown(vm)
    if _moved_by(job) is not None:
        raise JobFailed(530, f"VM {vm.name} was not moved: {vm.reason or f'it is {vm.state}'}")
    if permit is None or permit.state != PermitState.RUNNING or vm.state != VmState.RUNNING:
        raise InvalidRequest(f"VM {vm.name} is {vm.state}: only a running VM can be migrated")
    source = job.desk.inventory.hosts.get(permit.host_id)
    if source is None or not job.desk.membership.owns(source.uuid):
        raise JobFailed(530, f"VM {vm.name}: its host is not watched by this server now; try again")
    wanted = job.desk.inventory.hosts.get(int(job.info["hostid"])) if job.info.get("hostid") else None
    await _move(job, vm, permit, source, wanted)
    return _shown(vm)


def _moved_by(job: Job) -> object:
    """The run that this job last permitted at a target."""
    return from_json(job.row.step).get("run")


async def _moved_by_another(job: Job, vm: Vm, new: Permit) -> bool:
    """Whether another job, which has not ended, makes this move: what it does is not lost, and not ours to end."""
    others = [row for row in await job.pending(*_MOVERS) if row.id != job.row.id]
    return any(from_json(row.step) == _step(vm, new.run_epoch) for row in others)


def _step(vm: Vm, run_epoch: int) -> dict[str, object]:
    """What a job notes of the move that it makes."""
    return {"run": run_epoch, "vm": vm.id}


async def _go_on(job: Job, vm: Vm, new: Permit) -> bool:
    """A move that a server left behind when it died: where is the VM? True if it arrived; raises if it did not."""
    desk, hosts = job.desk, job.desk.inventory.hosts
    opened = (await job.manager.runs.open_permits([vm.id])).get(vm.id, [])
    old = next((permit for permit in opened if permit.id != new.id), None)
    source, target = hosts.get(old.host_id) if old else None, hosts.get(new.host_id)
    if old is None or source is None or target is None:
        return False
    if not desk.membership.owns(source.uuid) and not desk.membership.owns(target.uuid):
        raise _AnothersHost(source)
    interrupted = HoldfastError("the management server lost track of the move")
    if await _arrived(job, vm, old, new, source, target, interrupted):
        return True
    raise JobFailed(530, f"VM {vm.name} was not moved to host {target.name}: {interrupted}")


async def migrate_away(job: Job, vm: Vm, host: Host) -> None:
    """Move one VM off a host that goes into maintenance; a hypervisor that cannot move it stops and starts it."""
    vm, permit = await job.manager.runs.newest(vm.id)
    left = job.desk.inventory.settings.number("ha.vm.start.timeout")
    while permit is not None and await _is_settled_soon(job, vm, permit):
        if left <= 0:
            raise InvalidRequest(f"it is {vm.state} by another order, and that does not end")
        await job.manager.hosts.pause(_LOOK_SECONDS)
        left -= _LOOK_SECONDS
        vm, permit = await job.manager.runs.newest(vm.id)
    if vm.state == VmState.MIGRATING and permit is not None:
        with suppress(JobFailed, _AnothersHost):
            await _go_on(job, vm, permit)
        vm, permit = await job.manager.runs.newest(vm.id)
    if permit is None or permit.state == PermitState.ENDED or permit.host_id != host.id:
        return
    if permit.state != PermitState.RUNNING:
        raise InvalidRequest(f"it is {vm.state}, and can be moved only once it runs")
    try:
        await _move(job, vm, permit, host, None)
    except _AnothersHost as other:
        raise JobFailed(530, f"whether it was moved is found out by the owner of host {other.host.name}") from other


async def _is_settled_soon(job: Job, vm: Vm, permit: Permit) -> bool:
    """Whether somebody else starts or moves it at this moment: then it is looked at afresh when that has ended."""
    if vm.state == VmState.STARTING:
        return permit.state == PermitState.ISSUED
    return vm.state == VmState.MIGRATING and await _moved_by_another(job, vm, permit)


async def _move(job: Job, vm: Vm, permit: Permit, source: Host, wanted: Host | None) -> None:
    placing = job.manager.placing
    excluded = {source.uuid: "is where the VM runs now"}
    request = placing.request(vm, "migrate", excluded, wanted.uuid if wanted else "", near=source)
    plan = await placing.plan([request], await placing.rooms([vm.data_center_id]))
    target = job.desk.inventory.hosts_by_uuid.get(plan.decisions[vm.uuid].host or "")
    if target is None:
        raise NoCapacity(plan.summary(vm.uuid, vm.name))
    moving, next_permit = await _permit_move(job, vm, permit, source, target)
    seconds = job.desk.inventory.settings.number("ha.vm.start.timeout")
    grant = PermitGrant(
        vm.uuid,
        next_permit.run_epoch,
        target.uuid,
        next_permit.owner_epoch,
        Proof(ProofKind.AGENT_REPORT, vm.uuid, 0.0),
    )
    views = job.desk.host_view(source), job.desk.host_view(target)
    try:
        spec = await job.manager.runs.spec(vm)
        migrate = job.desk.while_owned(source, job.desk.hypervisor(source).migrate_vm)
        await job.desk.pool("agent").call(seconds, migrate, *views, spec, grant, seconds)
    except HoldfastError as problem:
        if await _arrived(job, moving, permit, next_permit, source, target, problem):
            return
        raise JobFailed(530, f"VM {vm.name} was not moved to host {target.name}: {problem}") from problem
    await _moved(job, moving, permit, next_permit, source, target)


async def _permit_move(job: Job, vm: Vm, permit: Permit, source: Host, target: Host) -> tuple[Vm, Permit]:
    """A migration hands one run over to the next: the only case in which two permits of a VM are open, both ends of
    one hypervisor operation. HA starts nothing of this VM until both have been accounted for."""
    fresh = await job.desk.memory.get(Host, target.id)
    epoch = job.desk.epoch(source)
    if fresh is None or not epoch:
        raise Conflict("the host changed hands; try again")
    journal, run = job.desk.journal, vm.run_epoch + 1
    values = {
        "run_epoch": run, "state": VmState.MIGRATING, "update_count": vm.update_count + 1,
        "reason": f"moving to host {target.name}",
    }  # fmt: skip
    handed_over = host_report(source, f"handed over by live migration from host {source.name}", permit.run_epoch)
    await job.desk.memory.commit(
        [
            OwnedBy(source.id, epoch),
            Update(
                Host, target.id, {"alloc_version": fresh.alloc_version + 1},
                {"alloc_version": fresh.alloc_version, "resource_state": "Enabled"},
            ),
            Update(Vm, vm.id, values, {"run_epoch": vm.run_epoch, "update_count": vm.update_count}),
            Update(AsyncJob, job.row.id, {"step": as_json(_step(vm, run))}),
            Insert(
                Permit(
                    vm_id=vm.id, run_epoch=run, host_id=target.id, owner_epoch=epoch, proof_kind=ProofKind.AGENT_REPORT,
                    proof=Json(handed_over), created=journal.now(),
                )
            ),
        ]
    )  # fmt: skip
    moving, found = await job.manager.runs.newest(vm.id)
    assert found is not None
    return moving, found


async def _moved(job: Job, vm: Vm, old: Permit, new: Permit, source: Host, target: Host) -> None:
    text = f"VM {vm.name} moved from host {source.name} to host {target.name}"
    ended = {
        "state": PermitState.ENDED, "ended": job.desk.journal.now(),
        "ended_by": host_report(source, text, old.run_epoch),
    }  # fmt: skip
    event = job.desk.journal.event("VM.MIGRATE", text, resource=vm.uuid, of="VirtualMachine")
    await job.desk.memory.commit(
        [
            OwnedBy(source.id, job.desk.epoch(source)),
            Update(Permit, old.id, ended, {"state": PermitState.RUNNING}),
            Update(Permit, new.id, {"state": PermitState.RUNNING}, {"state": PermitState.ISSUED}),
            _vm_update(vm, {"state": VmState.RUNNING, "host_id": target.id, "cluster_id": target.cluster_id,
                            "last_host_id": source.id, "reason": ""}),
            event,
        ]
    )  # fmt: skip


async def _arrived(
    job: Job, vm: Vm, old: Permit, new: Permit, source: Host, target: Host, problem: HoldfastError
) -> bool:
    """Where is it, after a move that was not confirmed? Whether it is at the target, and stored so.

    Each side's word is needed: a guest that is still on its way shows on both. Without it the VM stays Migrating, and
    comparing the hosts, or the fence of either, settles it. Each side is ended by its own owner: `_AnothersHost` if
    that is another server.
    """
    runs, owns = job.manager.runs, job.desk.membership.owns
    try:
        if not (refused(problem) or isinstance(problem, Unsupported)):
            if await runs.is_running(vm, target, new.run_epoch, paused_too=False):
                if not owns(source.uuid):
                    raise _AnothersHost(source)
                await runs.stop(vm, source, old.run_epoch)
                await _moved(job, vm, old, new, source, target)
                return True
            if not owns(target.uuid):
                raise _AnothersHost(target)
            await runs.stop(vm, target, new.run_epoch)
    except HoldfastError as trouble:
        log.warning("VM %s: whether it reached host %s is not known yet: %s", vm.name, target.name, trouble)
        return False
    text = f"not moved to host {target.name}: {problem}"
    ended = {
        "state": PermitState.ENDED, "ended": job.desk.journal.now(),
        "ended_by": host_report(target, text, new.run_epoch),
    }  # fmt: skip
    guard = source if owns(source.uuid) else target
    await job.desk.memory.commit(
        [
            OwnedBy(guard.id, job.desk.epoch(guard)),
            Update(Permit, new.id, ended, {"state": PermitState.ISSUED}),
            _vm_update(vm, {"state": VmState.RUNNING, "reason": text[:1000]}),
        ]
    )
    return False


def _vm_update(vm: Vm, values: dict[str, Any]) -> Update:
    return Update(Vm, vm.id, {**values, "update_count": vm.update_count + 1}, {"update_count": vm.update_count})


HANDLERS: dict[str, Handler] = {"migrateVirtualMachine": _migrate}
