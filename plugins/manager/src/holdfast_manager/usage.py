"""What runs on each host, kept between plans: a cloud of 200,000 VMs is not read again for each batch of restarts.

`host.alloc_version` is raised by every batch that puts a VM on a host. So only hosts whose version is another than the
one known here are read again, and what this server itself permitted is added without reading. A host where this server
ended a run is read again; room that others free is seen at the next whole reading.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError
from holdfast.hooks.store import Query
from holdfast.model import Host, Vm
from holdfast.runtime import Clock

from holdfast_manager.memory import Memory

log = logging.getLogger("holdfast.manager.usage")

_KEPT_SECONDS = 5.0
_SHARE_OF_TIME = 20.0
"""A zone that takes long to read is read so much less often that it never takes more than 1/20 of the time."""
_AT_ONCE = 500
_READ_AGAIN = -1
"""The version of a host that has to be read again; no host has it."""


@dataclass(slots=True)
class HostUse:
    """What the VMs of one host take: MHz, MB, how many they are, and how many of each affinity group."""

    version: int
    cpu: int = 0
    ram: int = 0
    vms: int = 0
    groups: dict[str, int] = field(default_factory=dict)

    def add(self, vm: Vm) -> None:
        """One more VM."""
        self.cpu += vm.cpu * vm.cpu_speed
        self.ram += vm.ram
        self.vms += 1
        if vm.affinity_group:
            self.groups[vm.affinity_group] = self.groups.get(vm.affinity_group, 0) + 1

    def leaves_more_than(self, before: "HostUse") -> bool:
        """Whether some VM may find a place now that found none before."""
        if self.cpu < before.cpu or self.ram < before.ram or self.vms < before.vms:
            return True
        return any(self.groups.get(group, 0) < count for group, count in before.groups.items())


@dataclass(slots=True)
class _Zone:
    good_until: float
    uses: dict[int, HostUse]


class Usage:
    """By zone and host. Event loop only."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._zones: dict[int, _Zone] = {}
        self._reading: dict[int, asyncio.Lock] = {}
        self._forgotten: set[int] = set()
        """Hosts that were forgotten since some reading under way began."""
        self._underway = 0
        self.on_freed: Callable[[set[int]], None] = lambda host_ids: None
        """Called with the hosts that a reading found to have more room than was known, but for what was forgotten."""

    async def warm(self, zone_id: int) -> None:
        """Read the zone now, if that is due: a host of it may be lost soon, and its restarts should not wait for it."""
        if self._is_known(zone_id):
            return
        try:
            async with self._lock_of(zone_id):  # a rack's hosts ask for it all at once
                if not self._is_known(zone_id):
                    await self._read(zone_id)
        except HoldfastError as problem:
            log.info("what runs in zone %d could not be read beforehand: %s", zone_id, problem)

    def _is_known(self, zone_id: int) -> bool:
        known = self._zones.get(zone_id)
        return known is not None and self._clock.monotonic() < known.good_until

    async def of(self, zone_ids: Iterable[int]) -> Mapping[int, HostUse]:
        """Host id -> what runs, or may run, there now. Raises what the store raises."""
        found: dict[int, HostUse] = {}
        for zone_id in sorted(set(zone_ids)):
            found |= await self._of_zone(zone_id)
        return found

    async def _of_zone(self, zone_id: int) -> dict[int, HostUse]:
        async with self._lock_of(zone_id):
            return await self._read(zone_id)

    def _lock_of(self, zone_id: int) -> asyncio.Lock:
        return self._reading.setdefault(zone_id, asyncio.Lock())

    async def _read(self, zone_id: int) -> dict[int, HostUse]:
        began = self._clock.monotonic()
        # Hosts before VMs: a VM that came in between is counted, and its host's version tells that it is to be read.
        hosts = await self._memory.select(Host, Query(equal={"data_center_id": zone_id, "removed": None}))
        known = self._zones.get(zone_id)
        if known is None or began >= known.good_until:
            return await self._whole(zone_id, hosts, began)
        uses = known.uses
        stale = [host for host in hosts if host.id not in uses or uses[host.id].version != host.alloc_version]
        await self._refresh(uses, stale)
        return uses

    async def _whole(self, zone_id: int, hosts: Sequence[Host], began: float) -> dict[int, HostUse]:
        known = self._zones.get(zone_id)
        uses = dict(known.uses) if known is not None else {}
        await self._refresh(uses, hosts)
        for host_id in uses.keys() - {host.id for host in hosts}:
            del uses[host_id]
        now = self._clock.monotonic()
        self._zones[zone_id] = _Zone(now + max(_KEPT_SECONDS, (now - began) * _SHARE_OF_TIME), uses)
        return uses

    async def _refresh(self, uses: dict[int, HostUse], hosts: Sequence[Host]) -> None:
        """Read what runs on `hosts` into `uses`, and tell of those that have more room than was known."""
        if not self._underway:
            self._forgotten.clear()
        self._underway += 1
        try:
            fresh = await self._of_hosts(hosts)
        finally:
            self._underway -= 1
        freed = set()
        for host_id, use in fresh.items():
            before = uses.get(host_id)
            if before is not None and before.version != _READ_AGAIN and use.leaves_more_than(before):
                freed.add(host_id)
            if host_id in self._forgotten:
                use.version = _READ_AGAIN  # perhaps read before what it was forgotten for
        uses |= fresh
        if freed:
            self.on_freed(freed)

    async def _of_hosts(self, hosts: Sequence[Host]) -> dict[int, HostUse]:
        """Read in parts: one reading of 200,000 VMs would never end within the time that a reading has."""
        uses: dict[int, HostUse] = {}
        for start in range(0, len(hosts), _AT_ONCE):
            some = hosts[start : start + _AT_ONCE]
            there = await self._memory.select(Vm, Query(among={"host_id": sorted(host.id for host in some)}))
            uses |= _counted(some, there)
        return uses

    def forget(self, host: Host) -> None:
        """Its VMs changed otherwise: read it again when it is asked for."""
        self._forgotten.add(host.id)
        zone = self._zones.get(host.data_center_id)
        use = zone.uses.get(host.id) if zone is not None else None
        if use is not None:
            use.version = _READ_AGAIN

    def booked(self, versions: Mapping[int, int], placed: Sequence[tuple[Vm, Host]]) -> None:
        """This server stored runs of VMs; `versions` are the targets' new allocation versions, by host id.

        A host of which another version was known meanwhile is left as it is: it is read again.
        """
        by_host: dict[int, list[Vm]] = {}
        zone_of: dict[int, int] = {}
        for vm, host in placed:
            by_host.setdefault(host.id, []).append(vm)
            zone_of[host.id] = host.data_center_id
        for host_id, vms in by_host.items():
            zone = self._zones.get(zone_of[host_id])
            use = zone.uses.get(host_id) if zone else None
            if use is not None and use.version == versions[host_id] - 1:
                use.version = versions[host_id]
                for vm in vms:
                    use.add(vm)


def _counted(hosts: Sequence[Host], vms: Iterable[Vm]) -> dict[int, HostUse]:
    uses = {host.id: HostUse(host.alloc_version) for host in hosts}
    for vm in vms:
        use = uses.get(vm.host_id or 0)
        if use is not None and vm.removed is None:
            use.add(vm)
    return uses
