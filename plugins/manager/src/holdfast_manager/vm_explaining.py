"""The live part of a VM's explanation: what it waits for at this moment, and where it stands among those that wait.

Called from the API's threads: it reads the store by itself, and of the loop only what may be read at any time.
"""

from typing import TYPE_CHECKING, Any

from holdfast.engine.restart_order import restart_order
from holdfast.hooks.store import Query, Store
from holdfast.model import HAState, Host, HostStatus, Permit, PermitState, Vm, VmState, Work, WorkStep
from holdfast.model.states import OPEN_STEPS

from holdfast_manager.restart_items import restart_item

if TYPE_CHECKING:
    from holdfast_manager.manager import Manager

_IN_ORDER = (HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED, None)
_REMEMBERED_SECONDS = 2.0
"""An order of 20,000 VMs takes a while to make, and operators ask about one VM after the other."""


class VmExplainer:
    """Explains VMs to whoever asks."""

    def __init__(self, manager: "Manager") -> None:
        self._manager = manager
        self._desk = manager.desk
        self._store: Store = manager.store
        self._order: tuple[float, dict[str, int]] = (-_REMEMBERED_SECONDS, {})

    def explain(self, uuid: str) -> dict[str, Any]:
        """What it waits for, its permits that are not ended, its restart with its attempts; {} if there is no such VM.

        Raises what the store raises.
        """
        found = self._store.select(Vm, Query(equal={"uuid": uuid}, limit=1))
        if not found:
            return {}
        vm = found[0]
        opened = self._store.select(
            Permit, Query(equal={"vm_id": vm.id}, unequal={"state": PermitState.ENDED}, order=("run_epoch",))
        )
        query = Query(equal={"instance_id": vm.id}, among={"step": OPEN_STEPS}, order=("-id",), limit=1)
        works = self._store.select(Work, query)
        told: dict[str, Any] = {"server": self._desk.name, "permits": [self._permit(one) for one in opened]}
        if works:
            told["restart"] = self._restart(works[0], vm)
        waits = [*self._restart_waits(vm, works[0], opened)] if works else []
        told["waitingfor"] = [*waits, *self._host_waits(vm, opened)]
        return told

    # --- facts -------------------------------------------------------------------------------------------------

    def _permit(self, permit: Permit) -> dict[str, Any]:
        host = self._desk.inventory.hosts.get(permit.host_id)
        state = self._desk.states.get(permit.host_id)
        return {
            "runepoch": permit.run_epoch, "state": permit.state, "proofkind": permit.proof_kind,
            "hostname": host.name if host else "a host that is gone", "hosthastate": state or "",
            "age": round(max(0.0, self._desk.clock.wall() - permit.created), 1),
        }  # fmt: skip

    def _restart(self, work: Work, vm: Vm) -> dict[str, Any]:
        settings = self._desk.inventory.settings
        told: dict[str, Any] = {
            "step": work.step, "reason": work.reason, "failedstarts": work.tried,
            "mostfailedstarts": settings.whole("vm.ha.migration.max.retries"), "waits": work.investigations,
            "nexttry": round(max(0.0, work.time_to_try - self._desk.clock.wall()), 1),
            "planner": self._who(work.host_id), "starter": self._who(work.target_host_id or 0),
        }  # fmt: skip
        if work.step == WorkStep.SCHEDULED:
            order = self._places()
            if vm.uuid in order:
                told["place"], told["of"] = order[vm.uuid] + 1, len(order)
        return told

    def _who(self, host_id: int) -> str:
        """Who acts for a host: this server, the one that the tables name, or nobody."""
        host = self._desk.inventory.hosts.get(host_id)
        if host is None:
            return ""
        if self._desk.membership.owns(host.uuid):
            return self._desk.name
        row = self._desk.inventory.ha.get(host_id)
        msid = row.mgmt_server_id if row else None
        members = self._desk.membership.members
        return next((name for name in members if self._manager.msid_of(name) == msid), "")

    def _places(self) -> dict[str, int]:
        """VM uuid -> how many of those that wait for a host come before it."""
        made, order = self._order
        now = self._desk.clock.monotonic()
        if now - made >= _REMEMBERED_SECONDS:
            works = self._store.select(Work, Query(equal={"step": WorkStep.SCHEDULED}))
            ids = sorted({work.instance_id for work in works})
            vms = self._store.select(Vm, Query(among={"id": ids})) if ids else []
            ranked = restart_order(restart_item(vm) for vm in vms).vm_uuids
            order = {uuid: number for number, uuid in enumerate(ranked)}
            self._order = now, order
        return order

    # --- what it waits for ---------------------------------------------------------------------------------------

    def _restart_waits(self, vm: Vm, work: Work, opened: list[Permit]) -> list[str]:
        target = self._desk.inventory.hosts.get(work.target_host_id or 0)
        where = target.name if target else "a host that is gone"
        if work.step == WorkStep.REVOKING:
            return [f"host {where} to say whether a run of it lives there: until then it starts nowhere else"]
        if work.step == WorkStep.RESTARTING:
            starter = self._who(work.target_host_id or 0)
            if not starter:
                return [f"a management server that watches host {where}, where it was permitted to start"]
            if self._manager.starting.waits_for_a_turn(work):
                most = self._desk.inventory.settings.whole("ha.starts.per.host")
                return [f"its turn on host {where}, which starts {most} VMs at once (ha.starts.per.host)"]
            return [f"its start on host {where} to be confirmed, by server {starter}"]
        if not self._who(work.host_id):
            return ["a management server that watches the host where it was lost: nobody plans its restart now"]
        if opened:
            return ["its earlier run to be accounted for"]
        ahead = work.time_to_try - self._desk.clock.wall()
        said = f": {vm.reason}" if vm.reason else ""
        if ahead > 0.05:
            return [f"the next look for a host, in {ahead:.1f} s at the latest{said}"]
        return [f"a host to be chosen, at the next plan{said}"]

    def _host_waits(self, vm: Vm, opened: list[Permit]) -> list[str]:
        """What the hosts of its open runs wait for: that is what stands between it and a start elsewhere."""
        said = []
        for permit in opened:
            host = self._desk.inventory.hosts.get(permit.host_id)
            if host is None:
                said.append(f"run {permit.run_epoch} is on a host that is gone from the tables")
                continue
            state = self._desk.states.get(host.id)
            if state in _IN_ORDER and not self._is_silent(host):
                continue
            said += self._host_in_doubt(host, state, permit)
        if vm.state == VmState.MIGRATING and len(opened) > 1:
            said.append("its move to end: both sides are asked before it starts anywhere else")
        return said

    def _is_silent(self, host: Host) -> bool:
        """Also one that host HA does not watch: what runs there is not found out then."""
        actor = self._manager.hosts.actors.get(host.uuid)
        return actor.record.silent if actor is not None else host.status == HostStatus.DISCONNECTED

    def _host_in_doubt(self, host: Host, state: HAState | None, permit: Permit) -> list[str]:
        is_now = f"host {host.name}, which is {state or 'new'}"
        said = [f"{is_now}, to answer or to be proven dead: run {permit.run_epoch} is there"]
        actor = self._manager.hosts.actors.get(host.uuid)
        if actor is None:
            who = self._who(host.id)
            return [*said, f"explainHostHA says more at server {who}" if who else "nobody watches that host now"]
        return said + [f"host {host.name}: {sentence}" for sentence in actor.waiting_for()]
