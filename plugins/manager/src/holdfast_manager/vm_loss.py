"""A VM that ended on a living host: crashed, shut down by its guest, or gone. Restart it, or say why not."""

from holdfast.hooks.store import Change, Insert, OwnedBy, Query, Update
from holdfast.model import (
    Evidence,
    Host,
    Json,
    Kind,
    Opinion,
    Permit,
    PermitState,
    Proof,
    ProofKind,
    Vm,
    VmState,
    Work,
    WorkReason,
)
from holdfast.model.rows import Moment
from holdfast.model.states import OPEN_STEPS, GuestState
from holdfast.model.views import VmReport

from holdfast_manager.desk import Desk
from holdfast_manager.restart_schedule import proof_as_json, why_not_restarted


async def end_run(desk: Desk, host: Host, epoch: int, vm: Vm, permit: Permit, report: VmReport) -> None:
    """Store the end of a run that the host itself has confirmed, and what follows. Raises what the store raises."""
    text = f"host {host.name} says that VM {vm.name} is {report.state}"
    if report.reason:
        text = f"{text}: {report.reason}"
    evidence = Evidence(Kind.AGENT, vm.uuid, Opinion.DEAD, host.name, desk.clock.monotonic(), text)
    proof = Proof(ProofKind.AGENT_REPORT, vm.uuid, evidence.at, (evidence,), permit.run_epoch)
    proof_json = proof_as_json(proof)
    ended = {"state": PermitState.ENDED, "ended": desk.journal.now(), "ended_by": proof_json}
    refusal = await _why_not(desk, host, vm, report)
    changes: list[Change] = [
        OwnedBy(host.id, epoch),
        Update(Permit, permit.id, ended, {"state": permit.state}),
        Update(
            Vm,
            vm.id,
            {
                "state": VmState.STOPPED, "host_id": None, "last_host_id": host.id, "reason": refusal or text,
                "update_count": vm.update_count + 1, "update_time": desk.journal.now(),
            },
            {"update_count": vm.update_count},
        ),
        desk.journal.event(
            "VM.STOPPED", text, resource=vm.uuid, of="VirtualMachine", level="WARN", evidence=[evidence]
        ),
    ]  # fmt: skip
    if not refusal:
        reason = WorkReason.HOST_RESTARTED if report.host_restarted else WorkReason.VM_CRASHED
        changes.append(
            Insert(
                Work(
                    instance_id=vm.id, vm_type=vm.type, reason=reason, state=vm.state, host_id=host.id,
                    mgmt_server_id=desk.msid, updated=vm.update_count, time_to_try=desk.journal.now(),
                    created=desk.journal.now(), proof=Json(proof_json),
                )
            )
        )  # fmt: skip
    elif "crashes" in refusal:
        changes.append(desk.journal.alert("ALERT.HA.CRASH.LOOP", f"VM {vm.name} is left stopped", refusal, vm=vm))
    await desk.memory.commit(changes)


async def _why_not(desk: Desk, host: Host, vm: Vm, report: VmReport) -> str:
    """Why the VM is not started again, or ""."""
    settings = desk.inventory.settings
    if vm.state == VmState.STOPPING:
        return "stopped as asked"
    refusal = why_not_restarted(desk.inventory, vm, host, None)
    if refusal:
        return refusal.replace(f"its host {host.name} was lost, and its", "its")
    if report.state is GuestState.SHUT_DOWN and not settings.flag("ha.vm.restart.after.shutdown"):
        return "its guest shut itself down (ha.vm.restart.after.shutdown is false)"
    if not settings.flag("ha.vm.restart.hostup") and not report.host_restarted:
        return "ha.vm.restart.hostup is false"
    if await desk.memory.select(Work, Query(equal={"instance_id": vm.id}, among={"step": OPEN_STEPS}, limit=1)):
        return "a restart of it is already underway"
    if report.host_restarted:
        return ""
    window, limit = settings.number("time.between.failures"), settings.whole("ha.vm.crash.limit")
    since = Moment(desk.clock.wall() - window)
    query = Query(equal={"instance_id": vm.id, "reason": WorkReason.VM_CRASHED}, above={"created": since})
    crashes = len(await desk.memory.select(Work, query))
    if crashes >= limit:
        return (
            f"{crashes} crashes within {window:g} s reach ha.vm.crash.limit = {limit}: mend it, then start it by hand"
        )
    return ""
