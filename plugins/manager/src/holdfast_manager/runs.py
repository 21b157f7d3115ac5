"""One run of one VM: permitted, started, and ended - never two at a time (S1).

Invariant kept here: a start is sent only after its permit was stored in a batch that also proves (a) that no permit of
an earlier run is open, (b) that the target takes starts, and (c) that this server still owns the host it acts for.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from holdfast.engine.permits import uncovered
from holdfast.errors import Conflict, DriverError, HoldfastError, InvalidRequest, Refused, Unsupported
from holdfast.hooks.store import Change, Insert, OwnedBy, Query, Update
from holdfast.model import (
    Host,
    Json,
    Network,
    Permit,
    PermitGrant,
    PermitState,
    Proof,
    ProofKind,
    ResourceState,
    Template,
    Vm,
    VmState,
)
from holdfast.model.rows import R
from holdfast.model.states import GuestState
from holdfast.model.views import DiskSpec, NicSpec, PoolView, VmSpec

from holdfast_manager.desk import Desk
from holdfast_manager.journal import as_json
from holdfast_manager.merging import side_by_side
from holdfast_manager.shared_reads import SharedReads
from holdfast_manager.vm_alerts import VmAlerts

log = logging.getLogger("holdfast.manager.runs")


@dataclass(frozen=True, slots=True)
class Placed:
    """A VM and the host that was chosen for its next run; `proof` is what ended the run before it, as JSON."""

    vm: Vm
    target: Host
    proof_kind: str
    proof: Json
    guard: Host
    """The host on whose behalf this server acts: the lost one for a restart, the target for an ordinary start."""


class Runs:
    """Stored permits, and the hypervisor calls that they allow."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.alerts = VmAlerts(desk)
        self._templates: dict[int, Template] = {}
        self._networks: dict[int, Network] = {}
        """What VMs are made of never changes, so each is read once."""
        self._vms: SharedReads[Vm] = SharedReads(desk, Vm, "id")
        self._open: SharedReads[Permit] = SharedReads(desk, Permit, "vm_id", {"state": PermitState.ENDED})

    # --- permits -----------------------------------------------------------------------------------------------

    async def open_permits(self, vm_ids: Sequence[int]) -> dict[int, list[Permit]]:
        """VM id -> its permits that are not ended."""
        query = Query(among={"vm_id": sorted(set(vm_ids))}, unequal={"state": PermitState.ENDED})
        found: dict[int, list[Permit]] = {}
        for permit in await self._desk.memory.select(Permit, query) if vm_ids else []:
            found.setdefault(permit.vm_id, []).append(permit)
        return found

    async def permit(self, placed: Sequence[Placed], *more: Change) -> dict[int, int]:
        """Store permits for all of `placed`, with `more`, in one batch; VM id -> run epoch.

        `Conflict` if anything moved meanwhile: plan again. `InvalidRequest` if an earlier run may still be live.
        """
        opened = await self.open_permits([place.vm.id for place in placed])
        for place in placed:
            blocking = uncovered(place.vm.uuid, opened.get(place.vm.id, []), (), {})
            if any(one.permit.run_epoch > place.vm.run_epoch for one in blocking):
                raise Conflict(f"VM {place.vm.name} was started by somebody else meanwhile")
            if blocking:
                run = blocking[0].permit
                host = self._desk.inventory.hosts.get(run.host_id)
                where = f"host {host.name}" if host else "a host that is gone"
                raise InvalidRequest(
                    f"VM {place.vm.name} is not started: its run {run.run_epoch} on {where} may still be live"
                )
        changes: list[Change] = []
        for guard in {place.guard.id: place.guard for place in placed}.values():
            changes.append(OwnedBy(guard.id, self._epoch(guard)))
        booking = await self._book(sorted({place.target.id for place in placed}))
        changes += booking
        for place in placed:
            changes += self._permit_changes(place)
        await self._desk.memory.commit(side_by_side([*changes, *more]))
        versions = {change.id: int(change.values["alloc_version"]) for change in booking}
        self._desk.usage.booked(versions, [(place.vm, place.target) for place in placed])
        return {place.vm.id: place.vm.run_epoch + 1 for place in placed}

    def _epoch(self, host: Host) -> int:
        epoch = self._desk.epoch(host)
        if not epoch:
            raise Conflict(f"this server does not own host {host.name} any more")
        return epoch

    async def _book(self, target_ids: Sequence[int]) -> list[Update]:
        """The targets must still take starts, and nobody else may have filled them since they were looked at."""
        fresh = await self._desk.memory.select(Host, Query(equal={"removed": None}, among={"id": target_ids}))
        gone = set(target_ids).difference(host.id for host in fresh)
        if gone:
            raise Conflict(f"hosts {sorted(gone)} are gone")
        return [
            Update(
                Host, host.id, {"alloc_version": host.alloc_version + 1},
                {"alloc_version": host.alloc_version, "resource_state": ResourceState.ENABLED},
            )
            for host in fresh
        ]  # fmt: skip

    def _permit_changes(self, place: Placed) -> list[Change]:
        vm, target, journal = place.vm, place.target, self._desk.journal
        epoch = vm.run_epoch + 1
        return [
            Update(
                Vm, vm.id,
                {"run_epoch": epoch, "state": VmState.STARTING, "host_id": target.id, "pod_id": target.pod_id,
                 "cluster_id": target.cluster_id, "reason": f"starting on host {target.name}",
                 "update_count": vm.update_count + 1, "update_time": journal.now()},
                {"run_epoch": vm.run_epoch, "update_count": vm.update_count},
            ),
            Insert(
                Permit(
                    vm_id=vm.id, run_epoch=epoch, host_id=target.id, owner_epoch=self._desk.epoch(place.guard),
                    proof_kind=place.proof_kind, proof=place.proof, created=journal.now(),
                )
            ),
        ]  # fmt: skip

    async def last_proof(self, vm: Vm) -> tuple[str, Json]:
        """What shows that no earlier run of the VM can write: nothing ever ran, or the end of its newest permit."""
        if vm.run_epoch == 0:
            return ProofKind.NEVER_RAN, Json("{}")
        query = Query(equal={"vm_id": vm.id, "run_epoch": vm.run_epoch}, limit=1)
        found = await self._desk.memory.select(Permit, query)
        if not found or found[0].state != PermitState.ENDED:
            raise InvalidRequest(f"VM {vm.name} is not started: its run {vm.run_epoch} may still be live")
        kind = ProofKind.AGENT_REPORT
        for known in ProofKind:
            if f'"kind":"{known}"' in found[0].ended_by:
                kind = known
        return kind, found[0].ended_by

    # --- calls -------------------------------------------------------------------------------------------------

    async def spec(self, vm: Vm) -> VmSpec:
        """The VM as its hypervisor needs it."""
        template = await self._once(self._templates, Template, vm.vm_template_id)
        network = await self._once(self._networks, Network, vm.network_id)
        pool = self._desk.inventory.pools.get(vm.pool_id or 0)
        return VmSpec(
            vm.uuid, vm.name, vm.instance_name, vm.cpu, vm.cpu_speed, vm.ram,
            template=template.uuid if template else "", pool=pool.uuid if pool else "",
            network=network.uuid if network else "", ha=vm.ha_enabled,
            disks=(root_disk(vm, self._desk.inventory.pool_view(pool), template),) if pool else (),
            nics=(NicSpec(mac_of(vm.uuid), network.name, network.vlan),) if network else (),
        )  # fmt: skip

    async def _once(self, seen: dict[int, R], record: type[R], row_id: int | None) -> R | None:
        if row_id is None:
            return None
        if row_id not in seen:
            found = await self._desk.memory.get(record, row_id)
            if found is None:
                return None
            seen[row_id] = found
        return seen[row_id]

    async def start(self, vm: Vm, target: Host, run_epoch: int) -> None:
        """Send the start. Idempotent.

        `StoreError`: it was not sent (`Conflict`: another run may be live). `Refused`: nothing runs. Any other error:
        it may, or may yet, run.
        """
        owner = self._epoch(target)
        opened = await self._open.of(vm.id)
        if [permit.run_epoch for permit in opened] != [run_epoch]:
            runs = ", ".join(str(permit.run_epoch) for permit in opened) or "none"
            raise Conflict(f"run {run_epoch} of VM {vm.name} is not started: its open runs are {runs}")
        grant = PermitGrant(vm.uuid, run_epoch, target.uuid, owner, Proof(ProofKind.NEVER_RAN, vm.uuid, 0.0))
        seconds = self._desk.inventory.settings.number("ha.vm.start.timeout")
        view, spec = self._desk.host_view(target), await self.spec(vm)
        start = self._desk.while_owned(target, self._desk.hypervisor(target).start_vm)
        await self._desk.pool("start").call(seconds, start, view, spec, grant, seconds)

    async def stop(self, vm: Vm, host: Host, run_epoch: int, graceful: bool = False) -> Proof:
        """End all runs up to `run_epoch` on the host for good; returning is proof. Idempotent."""
        self._epoch(host)
        seconds = self._desk.inventory.settings.number("ha.vm.start.timeout")
        view, stop = self._desk.host_view(host), self._desk.hypervisor(host).stop_vm
        stop = self._desk.while_owned(host, stop)
        await self._desk.pool("agent").call(seconds, stop, view, vm.uuid, run_epoch, graceful, seconds)
        return Proof(ProofKind.AGENT_REPORT, vm.uuid, self._desk.clock.monotonic(), (), run_epoch)

    async def is_running(self, vm: Vm, host: Host, run_epoch: int, paused_too: bool = True) -> bool:
        """Whether the host says that this very run is there."""
        view, driver = self._desk.host_view(host), self._desk.hypervisor(host)
        seen = await self._desk.pool("agent").call(5.0, driver.list_vms, view, 5.0)
        alive = (GuestState.RUNNING, GuestState.PAUSED) if paused_too else (GuestState.RUNNING,)
        return any(r.vm_uuid == vm.uuid and r.run_epoch == run_epoch and r.state in alive for r in seen)

    # --- writing down what came of it ---------------------------------------------------------------------------

    async def now_running(self, vm: Vm, permit: Permit, target: Host, *more: Change) -> None:
        """The run lives: permit and VM say so. Raises what the store raises."""
        await self._desk.memory.commit(
            [
                OwnedBy(target.id, self._epoch(target)),
                Update(Permit, permit.id, {"state": PermitState.RUNNING}, {"state": permit.state}),
                self._set(vm, {"state": VmState.RUNNING, "host_id": target.id, "reason": ""}),
                *more,
            ]
        )

    async def now_ended(self, vm: Vm, permit: Permit, host: Host, why: str, proof: str, *more: Change) -> None:
        """The run is over for good: permit and VM say so, and a new run may be permitted."""
        ended = {"state": PermitState.ENDED, "ended": self._desk.journal.now(), "ended_by": proof}
        await self._desk.memory.commit(
            [
                OwnedBy(host.id, self._epoch(host)),
                Update(Permit, permit.id, ended, {"state": permit.state}),
                self._set(vm, {"state": VmState.STOPPED, "host_id": None, "last_host_id": host.id, "reason": why}),
                *more,
            ]
        )

    async def back_to(self, vm: Vm, permit: Permit, other: Permit, host: Host, why: str, proof: str) -> None:
        """The run on `host` is over without having lived; the VM is where its other open run is."""
        ended = {"state": PermitState.ENDED, "ended": self._desk.journal.now(), "ended_by": proof}
        values: dict[str, object] = {"host_id": other.host_id, "reason": why}
        if other.state == PermitState.RUNNING:
            values["state"] = VmState.RUNNING
        await self._desk.memory.commit(
            [
                OwnedBy(host.id, self._epoch(host)),
                Update(Permit, permit.id, ended, {"state": permit.state}),
                self._set(vm, values),
            ]
        )

    def _set(self, vm: Vm, values: dict[str, object]) -> Update:
        stamped = {**values, "update_count": vm.update_count + 1, "update_time": self._desk.journal.now()}
        return Update(Vm, vm.id, stamped, {"update_count": vm.update_count, "run_epoch": vm.run_epoch})

    async def newest(self, vm_id: int) -> tuple[Vm, Permit | None]:
        """The VM as stored now, and the permit of its newest run that is not ended, else of its newest run."""
        there = await self._vms.of(vm_id)
        if not there:
            raise InvalidRequest(f"VM {vm_id} is gone")
        vm, opened = there[0], await self._open.of(vm_id)
        if opened:
            return vm, max(opened, key=lambda permit: permit.run_epoch)
        query = Query(equal={"vm_id": vm_id, "run_epoch": vm.run_epoch}, limit=1)
        found = await self._desk.memory.select(Permit, query)
        return vm, found[0] if found else None


def mac_of(vm_uuid: str) -> str:
    """The VM's hardware address: the same at every run, locally administered, and as good as unique."""
    digest = sha256(vm_uuid.encode()).hexdigest()
    return ":".join(["02", *(digest[start : start + 2] for start in range(0, 10, 2))])


def root_disk(vm: Vm, pool: PoolView, template: Template | None = None) -> DiskSpec:
    """The VM's disk; without its template, where it is but not what it is laid over."""
    name = vm.root_disk or vm.uuid
    if template is None:
        return DiskSpec(pool, name)
    return DiskSpec(pool, name, "qcow2", template.size, template.url, template.format.lower())


def refused(problem: HoldfastError) -> bool:
    """Whether a driver's error says for certain that nothing happened."""
    return isinstance(problem, (Refused, Unsupported)) and isinstance(problem, DriverError)


def host_report(host: Host, text: str, run_epoch: int) -> Json:
    """A host's own word, as it is stored with the permit that it ended."""
    return as_json({"kind": ProofKind.AGENT_REPORT, "subject": host.uuid, "evidence": text, "epoch": run_epoch})
