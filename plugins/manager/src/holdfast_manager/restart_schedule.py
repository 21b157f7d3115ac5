"""The step from proof to restarts: which runs the proof ends, and which VMs are to start again elsewhere.

Pure but for its reads: it returns the changes that go into the batch which stores the proof.
"""

import asyncio
from dataclasses import replace

from holdfast.engine.explain import evidence_json
from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Host, Json, Permit, PermitState, Proof, StoragePool, Vm, VmState, Work, WorkReason, WorkStep
from holdfast.model.evidence import ProofKind

from holdfast_manager.desk import Desk
from holdfast_manager.inventory import Inventory
from holdfast_manager.journal import as_json
from holdfast_manager.merging import side_by_side
from holdfast_manager.runs_of_hosts import RunsOfHosts


async def schedule_restarts(desk: Desk, runs: RunsOfHosts, host: Host, proof: Proof) -> list[Change]:
    """End every run that may be live on a host that is proven dead, and schedule the restarts."""
    live = await runs.permits(host.id)
    if not live:
        return []
    vms = {vm.id: vm for vm in await runs.vms({permit.vm_id for permit in live})}
    others, works = await asyncio.gather(runs.permits_of(vms), runs.works(vms))
    elsewhere: dict[int, Permit] = {p.vm_id: p for p in others if p.host_id != host.id}
    open_work = {work.instance_id: work for work in works}
    proof_json = proof_as_json(proof)
    changes: list[Change] = []
    for permit in live:
        ended = {"state": PermitState.ENDED, "ended": desk.journal.now(), "ended_by": proof_json}
        changes.append(Update(Permit, permit.id, ended, {"state": permit.state}))
    reason = WorkReason.HOST_DECLARED_DEAD if proof.kind is ProofKind.DECLARED_DEAD else WorkReason.HOST_FENCED
    for vm in sorted(vms.values(), key=lambda vm: vm.id):
        changes += _after_loss(desk, host, vm, elsewhere.get(vm.id), open_work.get(vm.id), reason, proof_json)
    return side_by_side(changes)


def _after_loss(
    desk: Desk, host: Host, vm: Vm, other: Permit | None, work: Work | None, reason: WorkReason, proof: str
) -> list[Change]:
    """What becomes of one VM whose run on `host` is over."""
    journal = desk.journal
    if other is not None:
        # It was being migrated, and the other side may still run it: that side's answer decides.
        values: dict[str, object] = {"host_id": other.host_id, "last_host_id": host.id}
        if other.state == PermitState.RUNNING:
            return [_set(desk, vm, {**values, "state": VmState.RUNNING})]
        if work is not None or why_not_restarted(desk.inventory, vm, host, None):
            return [_set(desk, vm, values)]
        ask = replace(_work(desk, host, vm, reason, proof), step=WorkStep.REVOKING, target_host_id=other.host_id)
        return [_set(desk, vm, values), Insert(ask)]
    refusal = why_not_restarted(desk.inventory, vm, host, desk.inventory.pools.get(vm.pool_id or 0))
    stopped = {"state": VmState.STOPPED, "host_id": None, "last_host_id": host.id}
    if refusal:
        if work is not None:
            return [
                _set(desk, vm, {**stopped, "reason": refusal}),
                Update(Work, work.id, {"step": WorkStep.CANCELLED, "finished": journal.now()}),
            ]
        event = journal.event(
            "VM.HA.STOPPED",
            f"VM {vm.name} stays stopped: {refusal}",
            resource=vm.uuid,
            of="VirtualMachine",
            level="WARN",
        )
        return [_set(desk, vm, {**stopped, "reason": refusal}), event]
    why = f"host {host.name} is proven dead; waiting for a start elsewhere"
    again: Change
    if work is not None:
        again = Update(
            Work, work.id,
            {"step": WorkStep.SCHEDULED, "time_to_try": journal.now(), "proof": proof, "host_id": host.id,
             "target_host_id": None, "reason": reason},
            {"step": work.step},
        )  # fmt: skip
    else:
        again = Insert(_work(desk, host, vm, reason, proof))
    return [_set(desk, vm, {**stopped, "reason": why}), again]


def _work(desk: Desk, host: Host, vm: Vm, reason: WorkReason, proof: str) -> Work:
    return Work(
        instance_id=vm.id, vm_type=vm.type, reason=reason, state=vm.state, host_id=host.id, mgmt_server_id=desk.msid,
        updated=vm.update_count, time_to_try=desk.journal.now(), created=desk.journal.now(), proof=Json(proof),
    )  # fmt: skip


def why_not_restarted(inventory: Inventory, vm: Vm, host: Host, pool: StoragePool | None) -> str:
    """Why HA does not start this VM again, or ""."""
    settings = inventory.settings
    if vm.state in (VmState.STOPPING, VmState.DESTROYED, VmState.EXPUNGING):
        return "it was being stopped when its host was lost"
    if not vm.ha_enabled and not settings.flag("force.ha"):
        return f"its host {host.name} was lost, and HA is not enabled for it (haenable)"
    if not settings.flag("vm.ha.enabled", zone=vm.data_center_id):
        return "VM HA is disabled in its zone (vm.ha.enabled)"
    if pool is not None and pool.scope == "HOST":
        return f"its volume is on local storage {pool.name} of host {host.name}: start it there when the host is back"
    return ""


def proof_as_json(proof: Proof) -> str:
    """A proof, as it is stored with the permits that it ended."""
    text = evidence_json(proof.evidence)
    return as_json({"kind": proof.kind, "subject": proof.subject, "evidence": text, "epoch": proof.covers_epoch})


def _set(desk: Desk, vm: Vm, values: dict[str, object]) -> Update:
    return Update(
        Vm, vm.id, {**values, "update_count": vm.update_count + 1, "update_time": desk.journal.now()},
        {"update_count": vm.update_count},
    )  # fmt: skip
