"""Agents that come and go, and the VMs they speak of.

A host that connects is compared with the store: runs that the store believes in but the host lacks are ended with the
host's own word as proof (ladder rung 2); runs that the host has but the store has ended are stopped at once.
"""

import logging
from collections.abc import Callable

from holdfast.errors import Conflict, HoldfastError
from holdfast.hooks.store import Change, OwnedBy, Query, Update
from holdfast.model import HAState, Host, HostStatus, Permit, PermitState, Vm
from holdfast.model.states import GuestState
from holdfast.model.views import VmReport

from holdfast_manager.actor import HostActor
from holdfast_manager.desk import Desk
from holdfast_manager.hosts import Hosts
from holdfast_manager.vm_loss import end_run

log = logging.getLogger("holdfast.manager.connections")

_LOST = frozenset({GuestState.CRASHED, GuestState.SHUT_DOWN, GuestState.ABSENT})
_QUESTION_SECONDS = 5.0


class Connections:
    """Works off what `Links` collected. Event loop only."""

    def __init__(self, desk: Desk, hosts: Hosts, kick_restarts: Callable[[], None]) -> None:
        self._desk = desk
        self._hosts = hosts
        self._kick_restarts = kick_restarts
        hosts.on_fell_silent = self._fell_silent
        hosts.on_heard_again = self._heard_again

    def work_off(self) -> None:
        """Take what has come in since the last call; returns at once."""
        links = self._desk.links
        while links.connections:
            uuid, boot_id = links.connections.popleft()
            if uuid in self._hosts.actors:
                self._desk.spawn(self._connected(uuid, boot_id))
        while links.reports:
            uuid, report = links.reports.popleft()
            if report.state in _LOST:
                self._desk.spawn(self._lost(uuid, report))

    # --- hosts -------------------------------------------------------------------------------------------------

    def _fell_silent(self, actor: HostActor) -> None:
        if actor.host.status == HostStatus.UP and actor.record.state in (HAState.DISABLED, HAState.INELIGIBLE, None):
            self._desk.spawn(self._set_status(actor, HostStatus.DISCONNECTED))

    def _heard_again(self, actor: HostActor) -> None:
        if actor.host.status != HostStatus.UP:
            self._desk.spawn(self._set_status(actor, HostStatus.UP))

    async def _set_status(self, actor: HostActor, status: HostStatus, **values: object) -> None:
        host = actor.host
        event = self._desk.journal.event("HOST.STATUS", f"host {host.name} is {status}", resource=host.uuid)
        changes: list[Change] = [
            OwnedBy(host.id, actor.epoch),
            Update(Host, host.id, {"status": status, **values}),
            event,
        ]
        try:
            await self._desk.memory.commit(changes)
        except HoldfastError as problem:
            log.warning("host %s: status %s was not stored: %s", host.name, status, problem)
        self._desk.ring_inventory()

    async def _connected(self, uuid: str, boot_id: str) -> None:
        actor, link = self._hosts.actors.get(uuid), self._desk.links.links.get(uuid)
        if actor is None or link is None or link.boot_id != boot_id:
            return
        size = dict(zip(("cpus", "speed", "ram"), link.size or (), strict=False))
        known = (actor.host.cpus, actor.host.speed, actor.host.ram)
        if actor.host.status != HostStatus.UP or known != link.size:
            await self._set_status(actor, HostStatus.UP, mgmt_server_id=self._desk.msid, **size)
        await self.reconcile(actor)

    async def reconcile(self, actor: HostActor) -> None:
        """Compare the host's VMs with the permits that the store has for it."""
        host = actor.host
        try:
            view = self._desk.inventory.host_view(host)
            before = await self._live_permits(host)
            seen = await self._desk.pool("agent").call(
                _QUESTION_SECONDS, self._desk.hypervisor(host).list_vms, view, _QUESTION_SECONDS
            )
        except HoldfastError as problem:
            log.info("host %s could not be compared with the store: %s", host.name, problem)
            return
        running = {(r.vm_uuid, r.run_epoch): r for r in seen if r.state not in _LOST}
        vms = {vm.id: vm for vm in await self._vms(before)}
        for permit in before:
            vm = vms.get(permit.vm_id)
            if vm and permit.state == PermitState.RUNNING and (vm.uuid, permit.run_epoch) not in running:
                reports = [r for r in seen if r.vm_uuid == vm.uuid and r.run_epoch == permit.run_epoch]
                state = reports[0].state if reports else GuestState.ABSENT
                await self._end(actor, vm, permit, VmReport(vm.uuid, state, permit.run_epoch))
        await self._stop_stale(actor, list(running.values()))

    async def _live_permits(self, host: Host) -> list[Permit]:
        query = Query(equal={"host_id": host.id}, unequal={"state": PermitState.ENDED})
        return await self._desk.memory.select(Permit, query)

    async def _vms(self, permits: list[Permit]) -> list[Vm]:
        if not permits:
            return []
        return await self._desk.memory.select(Vm, Query(among={"id": sorted({p.vm_id for p in permits})}))

    async def _stop_stale(self, actor: HostActor, running: list[VmReport]) -> None:
        """A run whose permit has ended must not go on: another may be live elsewhere."""
        if not running:
            return
        vms = await self._desk.memory.select(Vm, Query(among={"uuid": sorted(r.vm_uuid for r in running)}))
        by_uuid = {vm.uuid: vm for vm in vms}
        for report in running:
            vm = by_uuid.get(report.vm_uuid)
            if vm is None:
                continue
            query = Query(equal={"vm_id": vm.id, "run_epoch": report.run_epoch, "host_id": actor.host.id})
            permits = await self._desk.memory.select(Permit, query)
            if permits and permits[0].state == PermitState.ENDED and self._desk.membership.owns(actor.host.uuid):
                await self._stop(actor, vm, report)

    async def _stop(self, actor: HostActor, vm: Vm, report: VmReport) -> None:
        host = actor.host
        text = (
            f"run {report.run_epoch} of VM {vm.name} is still there on host {host.name} although it was ended: stopped"
        )
        try:
            await self._desk.memory.commit(
                [OwnedBy(host.id, actor.epoch), self._desk.journal.alert("ALERT.HA.STALE.RUN", text, text, host)]
            )
            view = self._desk.inventory.host_view(host)
            stop = self._desk.hypervisor(host).stop_vm
            await self._desk.pool("agent").call(30.0, stop, view, vm.uuid, report.run_epoch, False, 30.0)
        except HoldfastError as problem:
            log.error("%s - but it failed: %s", text, problem)

    # --- VMs ---------------------------------------------------------------------------------------------------

    async def _lost(self, uuid: str, report: VmReport) -> None:
        """The host says that a VM ended there."""
        actor = self._hosts.actors.get(uuid)
        if actor is None:
            return
        vms = await self._desk.memory.select(Vm, Query(equal={"uuid": report.vm_uuid}, limit=1))
        if not vms:
            return
        query = Query(equal={"vm_id": vms[0].id, "run_epoch": report.run_epoch, "state": PermitState.RUNNING})
        permits = await self._desk.memory.select(Permit, query)
        if permits and permits[0].host_id == actor.host.id:
            await self._end(actor, vms[0], permits[0], report)

    async def _end(self, actor: HostActor, vm: Vm, permit: Permit, report: VmReport) -> None:
        """End one run on the host's word: first make it final there, then write it down."""
        host = actor.host
        if not self._desk.membership.owns(host.uuid):
            return
        try:
            stop = self._desk.hypervisor(host).stop_vm
            view = self._desk.inventory.host_view(host)
            await self._desk.pool("agent").call(10.0, stop, view, vm.uuid, permit.run_epoch, False, 10.0)
            await end_run(self._desk, host, actor.epoch, vm, permit, report)
        except Conflict as problem:
            log.info("VM %s: somebody else was first: %s", vm.name, problem)
        except HoldfastError as problem:
            log.warning("VM %s: its end on host %s could not be confirmed: %s", vm.name, host.name, problem)
        else:
            self._kick_restarts()
