"""What the tables say of the cloud, as of the last poll: one immutable snapshot, replaced whole.

Rows changed by hand are honoured at the next poll. VMs are not here: there may be very many, and whoever needs them
asks the store for those of one host.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from holdfast import bmc_options
from holdfast.hooks.placement import HostRoom
from holdfast.hooks.store import Query, Store
from holdfast.model import (
    Cluster,
    ClusterDetail,
    Configuration,
    HaConfig,
    Host,
    HostDetail,
    HostTag,
    Oobm,
    Pod,
    ResourceState,
    Row,
    Secret,
    StoragePool,
    StoragePoolDetail,
    Zone,
    ZoneDetail,
)
from holdfast.model.states import HostStatus
from holdfast.model.views import BmcView, HostView, PoolView
from holdfast.settings import Settings

HA_SWITCH = "resourceHAEnabled"
OOBM_SWITCH = "outOfBandManagementEnabled"

_ALIVE = Query(equal={"removed": None}, order=("id",))
_ALL = Query()
_OF_HOSTS = Query(equal={"resource_type": "Host"})
_TABLES: tuple[tuple[type[Row], Query], ...] = (
    (Host, _ALIVE), (Cluster, _ALIVE), (StoragePool, _ALIVE), (ClusterDetail, _ALL), (ZoneDetail, _ALL),
    (StoragePoolDetail, _ALL), (HostTag, _ALL), (Oobm, _ALL), (Zone, _ALIVE), (Pod, _ALIVE), (HostDetail, _ALL),
    (HaConfig, _OF_HOSTS), (Configuration, _ALL),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inventory:
    """One snapshot. Dictionaries are by database id unless the name says otherwise."""

    zones: Mapping[int, Zone] = field(default_factory=dict)
    pods: Mapping[int, Pod] = field(default_factory=dict)
    clusters: Mapping[int, Cluster] = field(default_factory=dict)
    hosts: Mapping[int, Host] = field(default_factory=dict)
    hosts_by_uuid: Mapping[str, Host] = field(default_factory=dict)
    hosts_of_cluster: Mapping[int, tuple[Host, ...]] = field(default_factory=dict)
    tags: Mapping[int, frozenset[str]] = field(default_factory=dict)
    details: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    pools_of_cluster: Mapping[int, tuple[StoragePool, ...]] = field(default_factory=dict)
    pools: Mapping[int, StoragePool] = field(default_factory=dict)
    pool_details: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    cluster_details: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    zone_details: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    ha: Mapping[int, HaConfig] = field(default_factory=dict)
    oobm: Mapping[int, Oobm] = field(default_factory=dict)
    """Host id -> its first fence device."""
    fence_devices: Mapping[int, tuple[Oobm, ...]] = field(default_factory=dict)
    """Host id -> all of its fence devices, by level and index."""
    crowded: Mapping[tuple[str, str], tuple[Oobm, ...]] = field(default_factory=dict)
    """Address and port -> usable fence devices there, where they are of several hosts."""
    settings: Settings = field(default_factory=Settings)
    rows: tuple[list[Any], ...] = field(default=(), repr=False, compare=False)
    """What it was made of, table by table: as long as that stays the same, so does the snapshot."""
    _views: dict[int, tuple[Host, HostView]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _ha_pools: dict[int, tuple[PoolView, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def host_view(self, host: Host) -> HostView:
        """The host as drivers see it."""
        made = self._views.get(host.id)
        if made is None or made[0] is not host:
            made = self._views[host.id] = host, self._host_view(host)
        return made[1]

    def _host_view(self, host: Host) -> HostView:
        zone, pod, cluster = self.zones.get(host.data_center_id), self.pods.get(host.pod_id), self._cluster(host)
        return HostView(
            uuid=host.uuid, name=host.name, hypervisor=host.hypervisor_type, zone=zone.uuid if zone else "",
            pod=pod.uuid if pod else "", cluster=cluster.uuid if cluster else "", url=host.url,
            address=host.private_ip_address, status=host.status, resource_state=host.resource_state,
            details=MappingProxyType(dict(self.details.get(host.id, {}))),
        )  # fmt: skip

    def _cluster(self, host: Host) -> Cluster | None:
        return self.clusters.get(host.cluster_id)

    def bmc_view(self, host: Host, row: Oobm) -> BmcView:
        """One of the host's fence devices as drivers see it. `ConfigurationError` if its options cannot be read."""
        options, secrets = bmc_options.read(row)
        return BmcView(
            host_uuid=host.uuid, driver=row.driver, address=row.address, port=row.port, username=row.username,
            password=row.password or Secret(""), level=row.level, index=row.device_index, options=options,
            secrets=secrets,
        )  # fmt: skip

    def ha_pools(self, host: Host) -> tuple[PoolView, ...]:
        """Pools whose heartbeats speak of this host: those of its cluster or zone that have a driver and take part."""
        made = self._ha_pools.get(host.cluster_id)
        if made is None:
            made = self._ha_pools[host.cluster_id] = tuple(
                self.pool_view(pool)
                for pool in self.pools_of_cluster.get(host.cluster_id, ())
                if pool.heartbeat and pool.scope != "HOST" and self._takes_part(pool)
            )
        return made

    def pool_view(self, pool: StoragePool) -> PoolView:
        """The pool as drivers see it."""
        details = self.pool_details.get(pool.id, {})
        return PoolView(
            pool.uuid,
            pool.name,
            pool.pool_type,
            pool.heartbeat,
            pool.host_address,
            pool.port,
            pool.path,
            details,
            pool.scope,
        )

    def _takes_part(self, pool: StoragePool) -> bool:
        return self.settings.flag("kvm.ha.on.storage.heartbeat", pool=pool.id)

    def switch_off(self, host: Host, name: str) -> str:
        """Which switch above the host turns `name` off ("zone z1", "cluster c1"), or "" if none does."""
        zone, cluster = self.zones.get(host.data_center_id), self._cluster(host)
        if zone and self.zone_details.get(zone.id, {}).get(name, "").lower() == "false":
            return f"zone {zone.name}"
        if cluster and self.cluster_details.get(cluster.id, {}).get(name, "").lower() == "false":
            return f"cluster {cluster.name}"
        return ""

    def oobm_problem(self, host: Host) -> str:
        """Why out-of-band management cannot be used for the host, or ""."""
        off = self.switch_off(host, OOBM_SWITCH)
        if off:
            return f"out-of-band management is disabled for {off}"
        rows = self.fence_devices.get(host.id, ())
        if not any(row.driver for row in rows):
            return f"out-of-band management is not configured for host {host.name}"
        if not any(row.enabled for row in rows):
            return f"out-of-band management is disabled for host {host.name}"
        broken = {row.level: row for row in rows if not is_usable(row)}
        if all(row.level in broken for row in rows):
            row = next(iter(broken.values()))
            return (
                f"no fence level of host {host.name} is whole: device {row.device_index} of level {row.level} is "
                f"{'disabled' if row.driver else 'not configured'}"
            )
        return ""

    def room(self, host: Host) -> HostRoom:
        """The host as placement sees it, empty: whoever plans adds what runs there."""
        zone, pod, cluster = self.zones.get(host.data_center_id), self.pods.get(host.pod_id), self._cluster(host)
        enabled = host.resource_state == ResourceState.ENABLED
        closed = next((p for p in (zone, pod, cluster) if p is not None and p.allocation_state != "Enabled"), None)
        why_not = "" if enabled else f"resource state is {host.resource_state}"
        if closed is not None:
            why_not = f"allocation is disabled for {closed.name}"
        return HostRoom(
            uuid=host.uuid, name=host.name, zone=zone.uuid if zone else "", pod=pod.uuid if pod else "",
            cluster=cluster.uuid if cluster else "", hypervisor=host.hypervisor_type,
            up=host.status == HostStatus.UP, enabled=enabled and closed is None, why_not=why_not,
            total_cpu=int(host.cpus * host.speed * (cluster.cpu_overcommit_ratio if cluster else 1.0)),
            total_ram=int((host.ram >> 20) * (cluster.memory_overcommit_ratio if cluster else 1.0)),
            tags=self.tags.get(host.id, frozenset()),
        )  # fmt: skip


def read_inventory(store: Store, before: Inventory | None = None) -> Inventory:
    """Read a snapshot. Blocks; called in a pool.

    Where no row has changed since `before`, that itself is returned: whatever was made of it holds on. Its settings
    are kept for as long as they say the same.
    """
    rows: tuple[list[Any], ...] = tuple(store.select(record, query) for record, query in _TABLES)
    if before is not None and rows == before.rows:
        return before
    return _snapshot(rows, before.settings if before is not None else Settings())


def _snapshot(rows: tuple[list[Any], ...], known: Settings) -> Inventory:
    (
        host_rows, cluster_rows, pools, of_clusters, of_zones, of_pools, tag_rows, devices, zones, pods, of_hosts, ha,
        configuration,
    ) = rows  # fmt: skip
    hosts: dict[int, Host] = {row.id: row for row in host_rows if row.type == "Routing"}
    clusters: dict[int, Cluster] = {row.id: row for row in cluster_rows}
    cluster_details = _grouped((r.cluster_id, r.name, r.value) for r in of_clusters)
    zone_details = _grouped((r.dc_id, r.name, r.value) for r in of_zones)
    pool_details = _grouped((r.pool_id, r.name, r.value) for r in of_pools)
    tags: dict[int, set[str]] = {}
    for tag in tag_rows:
        tags.setdefault(tag.host_id, set()).add(tag.tag)
    fence_devices = _fence_devices(devices)
    of_cluster: dict[int, list[Host]] = {}
    for host in hosts.values():
        of_cluster.setdefault(host.cluster_id, []).append(host)
    settings = _settings(configuration, cluster_details, zone_details, pool_details)
    return Inventory(
        zones={row.id: row for row in zones},
        pods={row.id: row for row in pods},
        clusters=clusters,
        hosts=hosts,
        hosts_by_uuid={row.uuid: row for row in hosts.values()},
        hosts_of_cluster={key: tuple(value) for key, value in of_cluster.items()},
        tags={key: frozenset(value) for key, value in tags.items()},
        details=_grouped((r.host_id, r.name, r.value) for r in of_hosts),
        pools={row.id: row for row in pools},
        pools_of_cluster={key: _pools_of(row, pools) for key, row in clusters.items()},
        pool_details=pool_details,
        cluster_details=cluster_details,
        zone_details=zone_details,
        ha={r.resource_id: r for r in ha},
        oobm={host_id: rows[0] for host_id, rows in fence_devices.items()},
        fence_devices=fence_devices,
        crowded=_crowded(hosts, fence_devices),
        # With settings that stay the same object go the values that were parsed, and the policies made of them.
        settings=known if settings.same_as(known) else settings,
        rows=rows,
    )


def _fence_devices(rows: list[Oobm]) -> dict[int, tuple[Oobm, ...]]:
    found: dict[int, tuple[Oobm, ...]] = {}
    for row in sorted(rows, key=lambda row: (row.level, row.device_index)):
        found[row.host_id] = (*found.get(row.host_id, ()), row)
    return found


def _crowded(
    hosts: Mapping[int, Host], fence_devices: Mapping[int, tuple[Oobm, ...]]
) -> dict[tuple[str, str], tuple[Oobm, ...]]:
    found: dict[tuple[str, str], list[Oobm]] = {}
    for host_id in hosts.keys() & fence_devices.keys():
        for row in fence_devices[host_id]:
            if is_usable(row):
                found.setdefault(place_of(row), []).append(row)
    return {place: tuple(rows) for place, rows in found.items() if len({row.host_id for row in rows}) > 1}


def place_of(row: Oobm) -> tuple[str, str]:
    """Address and port, however they were written."""
    port = row.port.strip()
    address = row.address.strip().lower().removeprefix("[").removesuffix("]")
    return address, port.lstrip("0") if port.isascii() and port.isdigit() else port.lower()


def is_usable(row: Oobm) -> bool:
    """Whether a fence device may be asked at all, its host's switches aside."""
    return row.enabled and bool(row.driver)


def _pools_of(cluster: Cluster, pools: list[StoragePool]) -> tuple[StoragePool, ...]:
    return tuple(
        pool
        for pool in pools
        if pool.cluster_id == cluster.id
        or (pool.cluster_id is None and pool.scope == "ZONE" and pool.data_center_id == cluster.data_center_id)
    )


def _grouped(triples: object) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for key, name, value in triples:  # type: ignore[attr-defined]
        found.setdefault(key, {})[name] = value
    return found


def _settings(
    rows: list[Configuration],
    clusters: Mapping[int, Mapping[str, str]],
    zones: Mapping[int, Mapping[str, str]],
    pools: Mapping[int, Mapping[str, str]],
) -> Settings:
    scoped: dict[tuple[str, int], Mapping[str, str]] = {}
    for scope, found in (("Cluster", clusters), ("Zone", zones), ("StoragePool", pools)):
        scoped.update({(scope, key): value for key, value in found.items()})
    return Settings({row.name: row.value for row in rows}, scoped)
