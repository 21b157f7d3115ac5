"""Comparing what a host runs with what the store believes, until they agree.

Runs that the store believes in but the host lacks are ended with the host's own word as proof (ladder rung 2); runs
that the host has but the store has ended are stopped; starts, stops and moves that nobody carries on any more are
settled. Done when a host connects or is heard again, when a report could not be worked off, and now and then, because
messages get lost.
"""

import json
import logging
from collections.abc import Callable

from holdfast.errors import Conflict, HoldfastError
from holdfast.hooks.store import OwnedBy, Query
from holdfast.model import AsyncJob, JobStatus, Permit, PermitState, Vm, VmState, Work
from holdfast.model.states import OPEN_STEPS, GuestState
from holdfast.model.views import VmReport

from holdfast_manager.actor import HostActor
from holdfast_manager.desk import Desk
from holdfast_manager.hosts import Hosts
from holdfast_manager.runs import Runs, host_report
from holdfast_manager.runs_of_hosts import RunsOfHosts
from holdfast_manager.vm_loss import end_run

log = logging.getLogger("holdfast.manager.comparison")

LOST = frozenset({GuestState.CRASHED, GuestState.SHUT_DOWN, GuestState.ABSENT})
_ALIVE = frozenset({GuestState.RUNNING, GuestState.PAUSED})
_EVERY_SECONDS = 60.0
_MOST_PER_SECOND = 50.0
"""With more hosts than fit into the usual period it becomes longer: each comparison is a question and some reads."""
_AGAIN_SECONDS = 2.0
_QUESTION_SECONDS = 5.0
_MOVES_MANY = "prepareHostForMaintenance"


class Comparison:
    """Event loop only."""

    def __init__(self, desk: Desk, hosts: Hosts, runs: Runs, kick_restarts: Callable[[], None]) -> None:
        self._desk = desk
        self._hosts = hosts
        self._runs = runs
        self._kick_restarts = kick_restarts
        # All hosts of a cloud are compared at once after a start.
        self._live = RunsOfHosts(desk)
        self._underway: dict[str, bool] = {}
        """Host uuid -> whether it was asked for again meanwhile."""
        self._due: dict[str, float] = {}
        self.on_agreed: Callable[[HostActor], None] = lambda actor: None

    @property
    def underway(self) -> int:
        """How many hosts are being compared at this moment."""
        return len(self._underway)

    async def run(self) -> None:
        """Ask for each owned host from time to time, evenly spread, until cancelled."""
        while True:
            now = self._desk.clock.monotonic()
            self._due = {uuid: due for uuid, due in self._due.items() if uuid in self._hosts.actors}
            for uuid in self._hosts.actors:
                if uuid not in self._due:
                    self._due[uuid] = now + self._period() * self._desk.runtime.random()
                elif self._due[uuid] <= now:
                    self.want(uuid)
            await self._hosts.pause(1.0)

    def _period(self) -> float:
        """Seconds from one comparison of a host to its next, if nothing happens to it."""
        return max(_EVERY_SECONDS, len(self._hosts.actors) / _MOST_PER_SECOND)

    def want(self, uuid: str) -> None:
        """Compare this host now, and again until it worked; returns at once."""
        if uuid in self._underway:
            self._underway[uuid] = True
            return
        self._underway[uuid] = False
        self._desk.spawn(self._until_done(uuid))

    async def _until_done(self, uuid: str) -> None:
        try:
            while (actor := self._hosts.actors.get(uuid)) is not None and self._is_heard(uuid):
                self._underway[uuid] = False
                if await self._compare(actor) and not self._underway[uuid]:
                    self._due[uuid] = self._desk.clock.monotonic() + self._period()
                    self.on_agreed(actor)
                    return
                await self._hosts.pause(_AGAIN_SECONDS)
            # It is silent: when it is heard again it is asked for again.
            self._due.pop(uuid, None)
        finally:
            del self._underway[uuid]

    def _is_heard(self, uuid: str) -> bool:
        return self._desk.membership.owns(uuid) and self._desk.links.heard_within(uuid, self._desk.silent_after())

    async def _compare(self, actor: HostActor) -> bool:
        """One comparison; False if it could not be completed."""
        host = actor.host
        try:
            view = self._desk.host_view(host)
            before = await self._live.permits(host.id)
            list_vms = self._desk.hypervisor(host).list_vms
            seen = await self._desk.pool("agent").call(_QUESTION_SECONDS, list_vms, view, _QUESTION_SECONDS)
            running = {(r.vm_uuid, r.run_epoch): r for r in seen if r.state not in LOST}
            vms = {vm.id: vm for vm in await self._live.vms({permit.vm_id for permit in before})}
            agreed = True
            unsettled = []
            for permit in before:
                vm = vms.get(permit.vm_id)
                if vm is None:
                    continue
                if permit.state == PermitState.RUNNING and (vm.uuid, permit.run_epoch) not in running:
                    reports = [r for r in seen if r.vm_uuid == vm.uuid and r.run_epoch == permit.run_epoch]
                    absent = VmReport(vm.uuid, GuestState.ABSENT, permit.run_epoch)
                    agreed &= await self.end(actor, vm, permit, reports[0] if reports else absent)
                elif _is_unsettled(vm, permit):
                    unsettled.append(permit)
            # Only what had no permit when the host was asked: a run that was permitted then, and has been ended since,
            # may have been ended on the host after it answered.
            permitted = {(vms[p.vm_id].uuid, p.run_epoch) for p in before if p.vm_id in vms}
            agreed &= await self._stop_stale(actor, [r for key, r in running.items() if key not in permitted])
            for vm, permit, others in await self._nobodys(unsettled):
                await self._settle(actor, vm, permit, others, running.get((vm.uuid, permit.run_epoch)))
        except Conflict as problem:
            log.info("host %s is compared again: %s", host.name, problem)
            return False
        except HoldfastError as problem:
            log.info("host %s could not be compared with the store: %s", host.name, problem)
            return False
        return agreed

    # --- runs that are over -------------------------------------------------------------------------------------

    async def end(self, actor: HostActor, vm: Vm, permit: Permit, report: VmReport) -> bool:
        """End one run on the host's word: first make it final there, then write it down. False: try again."""
        host = actor.host
        if not self._desk.membership.owns(host.uuid):
            return False
        try:
            stop = self._desk.hypervisor(host).stop_vm
            view = self._desk.host_view(host)
            await self._desk.pool("agent").call(10.0, stop, view, vm.uuid, permit.run_epoch, False, 10.0)
            await end_run(self._desk, host, actor.epoch, vm, permit, report)
        except HoldfastError as problem:
            log.info("VM %s: its end on host %s is confirmed later: %s", vm.name, host.name, problem)
            return False
        self._kick_restarts()
        return True

    async def _stop_stale(self, actor: HostActor, running: list[VmReport]) -> bool:
        """A run whose permit has ended must not go on: another may be live elsewhere."""
        if not running:
            return True
        vms = await self._desk.memory.select(Vm, Query(among={"uuid": sorted(r.vm_uuid for r in running)}))
        by_uuid = {vm.uuid: vm for vm in vms}
        asked = Query(
            equal={"host_id": actor.host.id, "state": PermitState.ENDED}, among={"vm_id": sorted(v.id for v in vms)}
        )
        ended = {(p.vm_id, p.run_epoch) for p in await self._desk.memory.select(Permit, asked)} if vms else set()
        agreed = True
        for report in running:
            vm = by_uuid.get(report.vm_uuid)
            if vm is not None and (vm.id, report.run_epoch) in ended and self._desk.membership.owns(actor.host.uuid):
                agreed &= await self._stop(actor, vm, report)
        return agreed

    async def _stop(self, actor: HostActor, vm: Vm, report: VmReport) -> bool:
        host = actor.host
        text = (
            f"run {report.run_epoch} of VM {vm.name} is still there on host {host.name} although it was ended: stopped"
        )
        try:
            await self._desk.memory.commit(
                [OwnedBy(host.id, actor.epoch), self._desk.journal.alert("ALERT.HA.STALE.RUN", text, text, host)]
            )
            await self._runs.stop(vm, host, report.run_epoch)
        except HoldfastError as problem:
            log.error("%s - but it failed: %s", text, problem)
            return False
        return True

    # --- starts, stops and moves that nobody carries on ------------------------------------------------------------

    async def _nobodys(self, found: list[Permit]) -> list[tuple[Vm, Permit, list[Permit]]]:
        """Those of which no work item and no pending job takes care, with their VMs and those VMs' other live permits.

        Who took care of a start that has come to its end says nothing of it any more: so what is unsettled is read
        once more after that.
        """
        if not found:
            return []
        ids = sorted({permit.vm_id for permit in found})
        works = await self._desk.memory.select(Work, Query(among={"instance_id": ids, "step": OPEN_STEPS}))
        jobs = await self._desk.memory.select(AsyncJob, Query(equal={"job_status": JobStatus.PENDING}))
        if any(job.job_cmd == _MOVES_MANY for job in jobs):
            return []
        cared_for = {work.instance_id for work in works}
        by_job = {job.instance_uuid for job in jobs}
        for job in jobs:
            info = json.loads(job.job_cmd_info)
            cared_for |= {value for key in ("id", "virtualmachineid") if isinstance(value := info.get(key), int)}
        opened = await self._runs.open_permits([vm_id for vm_id in ids if vm_id not in cared_for])
        vms = {vm.id: vm for vm in await self._live.vms(opened) if vm.uuid not in by_job}
        known, left = {permit.id for permit in found}, []
        for vm_id, vm in vms.items():
            for permit in opened[vm_id]:
                if permit.id in known and _is_unsettled(vm, permit):
                    left.append((vm, permit, [other for other in opened[vm_id] if other is not permit]))
        return left

    async def _settle(
        self, actor: HostActor, vm: Vm, permit: Permit, others: list[Permit], report: VmReport | None
    ) -> None:
        """Take the run as it is, or end it. Raises what the store and the host raise."""
        host = actor.host
        if report is not None and vm.state != VmState.STOPPING:
            if report.state in _ALIVE and not others:
                text = f"VM {vm.name} runs on host {host.name}, as the host says"
                event = self._desk.journal.event("VM.START", text, resource=vm.uuid, of="VirtualMachine")
                await self._runs.now_running(vm, permit, host, event)
            return  # it is still starting, or the other side of its move has to be accounted for first
        await self._runs.stop(vm, host, permit.run_epoch)
        text = f"run {permit.run_epoch} of VM {vm.name} was ended on host {host.name}: nobody carried it on"
        proof = host_report(host, text, permit.run_epoch)
        if others:
            await self._runs.back_to(vm, permit, others[0], host, text, proof)
        else:
            reason = "stopped by order" if vm.state == VmState.STOPPING else vm.reason or text
            await self._runs.now_ended(vm, permit, host, reason, proof)


def _is_unsettled(vm: Vm, permit: Permit) -> bool:
    return permit.state == PermitState.ISSUED or vm.state == VmState.STOPPING
