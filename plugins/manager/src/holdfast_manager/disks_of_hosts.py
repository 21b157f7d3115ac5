"""Which disks a host in doubt may be writing: those that neighbours are asked to watch."""

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.model import Host

from holdfast_manager.desk import Desk
from holdfast_manager.runs import root_disk
from holdfast_manager.runs_of_hosts import RunsOfHosts

_KEPT_SECONDS = 5.0
"""A suspect host is looked at twice a second; what its permits say changes far less often."""
_MOST_PER_POOL = 64
"""A look costs one request for each disk. Where so many VMs run, some of these write."""


@dataclass(frozen=True, slots=True)
class _Known:
    at: float
    disks: Mapping[str, tuple[str, ...]]


class DisksOfHosts:
    """Asks the store, now and then. Event loop only."""

    def __init__(self, desk: Desk, runs: RunsOfHosts) -> None:
        self._desk = desk
        self._runs = runs
        self._known: dict[int, _Known] = {}

    async def of(self, host: Host) -> Mapping[str, tuple[str, ...]]:
        """Pool uuid -> names of disks there. Raises what the store raises.

        A VM that may run on a second host as well, in the middle of a migration, is left out: its disk would speak for
        the wrong one.
        """
        now = self._desk.clock.monotonic()
        known = self._known.get(host.id)
        if known is None or now - known.at > _KEPT_SECONDS:
            known = _Known(now, await self._read(host))
            self._keep(host.id, known)
        return known.disks

    def _keep(self, host_id: int, known: _Known) -> None:
        """The newest comes last, so whatever is too old is found at the front."""
        self._known.pop(host_id, None)
        self._known[host_id] = known
        while known.at - self._known[oldest := next(iter(self._known))].at > _KEPT_SECONDS:
            del self._known[oldest]

    async def _read(self, host: Host) -> Mapping[str, tuple[str, ...]]:
        if not self._desk.inventory.ha_pools(host):
            return {}  # there is nobody to ask about them
        vm_ids = {permit.vm_id for permit in await self._runs.permits(host.id)}
        elsewhere = {permit.vm_id for permit in await self._runs.permits_of(vm_ids) if permit.host_id != host.id}
        found: dict[str, list[str]] = {}
        for vm in await self._runs.vms(vm_ids):
            pool = self._desk.inventory.pools.get(vm.pool_id or 0)
            if pool is not None and vm.id not in elsewhere:
                found.setdefault(pool.uuid, []).append(root_disk(vm, self._desk.inventory.pool_view(pool)).file)
        return {uuid: tuple(names[:_MOST_PER_POOL]) for uuid, names in found.items()}
