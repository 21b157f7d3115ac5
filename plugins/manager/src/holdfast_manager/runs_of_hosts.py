"""What may be live on hosts. A rack in doubt asks a hundred times at once, so that is read for many hosts together."""

from collections.abc import Collection

from holdfast.model import Permit, PermitState, Vm, Work
from holdfast.model.states import OPEN_STEPS

from holdfast_manager.desk import Desk
from holdfast_manager.shared_reads import SharedReads


class RunsOfHosts:
    """Reads that begin after they were asked for. Event loop only. All raise what the store raises."""

    def __init__(self, desk: Desk) -> None:
        live = {"state": PermitState.ENDED}
        self._of_hosts: SharedReads[Permit] = SharedReads(desk, Permit, "host_id", live)
        self._of_vms: SharedReads[Permit] = SharedReads(desk, Permit, "vm_id", live)
        self._vms: SharedReads[Vm] = SharedReads(desk, Vm, "id")
        self._works: SharedReads[Work] = SharedReads(desk, Work, "instance_id", among={"step": OPEN_STEPS})

    async def permits(self, host_id: int) -> list[Permit]:
        """The host's permits that are not ended, by id."""
        return await self._of_hosts.of(host_id)

    async def permits_of(self, vm_ids: Collection[int]) -> list[Permit]:
        """The VMs' permits that are not ended, on whatever hosts."""
        return await self._of_vms.of_each(vm_ids)

    async def vms(self, vm_ids: Collection[int]) -> list[Vm]:
        """Those of the VMs that there are, by id."""
        return await self._vms.of_each(vm_ids)

    async def works(self, vm_ids: Collection[int]) -> list[Work]:
        """The VMs' open work; that of one VM by id."""
        return await self._works.of_each(vm_ids)
