"""Asking the planner: rooms from the tables, requests from VMs, and plugins made with the settings in effect."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from holdfast.adapter import adapt
from holdfast.engine.dedicated import untagged_zones
from holdfast.engine.planner import Plan, Planner
from holdfast.hooks.placement import HostRoom, Purpose, Request
from holdfast.hooks.points import POINTS
from holdfast.model import Host, Vm

from holdfast_manager.desk import Desk


class Placing:
    """Plans on the inventory as it is now and on the VMs that the store has."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def planner(self) -> Planner:
        """A planner with the configured plugins, made with the settings in effect."""
        inventory = self._desk.inventory
        ha_tag = inventory.settings.text("ha.tag").strip()
        by_zone: dict[str, dict[str, frozenset[str]]] = {}
        for host in inventory.hosts.values():
            zone = inventory.zones.get(host.data_center_id)
            if zone is not None:
                by_zone.setdefault(zone.uuid, {})[host.name] = inventory.tags.get(host.id, frozenset())
        given = {"ha_tag": ha_tag, "untagged_zones": untagged_zones(ha_tag, by_zone)}
        plugins = self._desk.plugins
        chosen = []
        for name in plugins.selected("placement") or ():
            settings = {**plugins.settings("placement", name), **given}
            driver = plugins.driver_class("placement", name)(settings)
            chosen.append((name, adapt(POINTS["placement"], driver, f'<placement "{name}">')))
        return Planner(chosen)

    async def rooms(self, zone_ids: Iterable[int]) -> list[HostRoom]:
        """All hosts of the zones with what runs, or may run, on them."""
        inventory = self._desk.inventory
        zones = sorted(set(zone_ids))
        rooms = {h.id: inventory.room(h) for h in inventory.hosts.values() if h.data_center_id in zones}
        for host_id, room in rooms.items():
            # Also one that was fenced since the tables were read: it would be the emptiest of all.
            if not self._desk.is_undoubted(inventory.hosts[host_id]):
                room.up, room.why_not = False, f"its HA state is {self._desk.states.get(host_id)}"
        for host_id, use in (await self._desk.usage.of(zones)).items():
            if (used := rooms.get(host_id)) is not None:
                used.used_cpu, used.used_ram, used.vm_count = use.cpu, use.ram, use.vms
                used.groups = use.groups.copy()
        return list(rooms.values())

    def request(
        self, vm: Vm, purpose: Purpose, excluded: Mapping[str, str], pinned: str = "", near: Host | None = None
    ) -> Request:
        """What has to be placed. `near` is the host whose cluster comes first."""
        inventory = self._desk.inventory
        zone = inventory.zones.get(vm.data_center_id)
        cluster = inventory.clusters.get((near.cluster_id if near else vm.cluster_id) or 0)
        pool = inventory.pools.get(vm.pool_id or 0)
        pool_cluster = inventory.clusters.get(pool.cluster_id or 0) if pool else None
        home = inventory.hosts.get(vm.last_host_id or 0) if pool and pool.scope == "HOST" else None
        return Request(
            vm_uuid=vm.uuid, purpose=purpose, zone=zone.uuid if zone else "", cluster=cluster.uuid if cluster else "",
            cpu=vm.cpu * vm.cpu_speed, ram=vm.ram, affinity_group=vm.affinity_group, pinned=pinned,
            host_tags=frozenset(t.strip() for t in vm.host_tag.split(",") if t.strip()),
            local_host=home.uuid if home else "", pool_cluster=pool_cluster.uuid if pool_cluster else "",
            hypervisor=cluster.hypervisor_type if cluster else "", excluded=excluded,
        )  # fmt: skip

    async def plan(
        self, requests: Sequence[Request], rooms: Sequence[HostRoom], homes: Mapping[str, str] = MappingProxyType({})
    ) -> Plan:
        """The plan, made off the event loop: leases have to be renewed meanwhile.

        `homes`: VM uuid -> the host that it goes to if that takes it. Where it does not, any other may.
        """
        return await self._desk.pool("plan").call(120.0, _plan, self.planner(), requests, rooms, homes)


def _plan(planner: Planner, requests: Sequence[Request], rooms: Sequence[HostRoom], homes: Mapping[str, str]) -> Plan:
    plan = planner.begin(rooms)
    for request in requests:
        home = homes.get(request.vm_uuid)
        if home is None or plan.place(replace(request, pinned=home)).host is None:
            plan.place(request)
    return plan
