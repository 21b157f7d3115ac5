"""Storage pools, and the heartbeats that tell a dead host from an unreachable one (M3.3)."""

from dataclasses import dataclass

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Cluster, Host, Pod, StoragePool, StoragePoolDetail, Vm, Zone
from holdfast.settings import CATALOGUE

from holdfast_api.addresses import Url, read_url
from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.hypervisors import SIMULATOR, check_hypervisor
from holdfast_api.inventory_change import change_inventory, edit, fresh, refuse_taken, stored
from holdfast_api.lun_choice import DETAIL, read_luns
from holdfast_api.paging import given, pick_page, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.storage import STORAGE_PROVIDER

SCOPES = ("ZONE", "CLUSTER", "HOST")
_TYPES = {
    "nfs": "NetworkFilesystem",
    "iscsi": "IscsiLUN",
    "sim": "NetworkFilesystem",
    "sharedmountpoint": "SharedMountPoint",
    "rbd": "RBD",
    "file": "Filesystem",
}
_BEATS = {"nfs": "nfs", "iscsi": "iscsi", "sim": "simulator"}
_NO_HEARTBEAT = "none"
_ON_AGENTS = ("nfs", "iscsi")


@command(
    "listStoragePools",
    "Lists storage pools.",
    kind="list",
    responds="storagepool",
    parameters=(
        Parameter("id", "uuid", "the UUID of the storage pool", of="storagepool"),
        Parameter("name", "string", "name of the storage pool"),
        Parameter("zoneid", "uuid", "storage pools of this zone", of="zone"),
        Parameter("podid", "uuid", "storage pools of this pod", of="pod"),
        Parameter("clusterid", "uuid", "storage pools of this cluster", of="cluster"),
        Parameter("ipaddress", "string", "address of the storage server"),
        Parameter("path", "string", "what of the server's storage it is", length=1024),
        Parameter("scope", "string", "storage pools of this scope", choices=SCOPES, words=SCOPES),
        Parameter("status", "string", "storage pools in this state", words=("Up", "Disabled", "Maintenance")),
    ),
)
def list_storage_pools(call: Call) -> Listing:
    """By name."""
    fields = {"data_center_id": "zoneid", "pod_id": "podid", "cluster_id": "clusterid", "host_address": "ipaddress"}
    equal = given(call, id="id", name="name", path="path", scope="scope", status="status", **fields)
    return select_page(call, StoragePool, equal={"removed": None, **equal}, search=("name",), order=("name",))


@command(
    "createStoragePool",
    "Makes primary storage known.",
    kind="sync",
    responds="storagepool",
    parameters=(
        Parameter("name", "string", "name of the storage pool", required=True),
        Parameter("url", "string", "nfs://host/path, iscsi://host/iqn/lun, sim://pool", required=True, length=2048),
        Parameter("zoneid", "uuid", "the zone it serves", required=True, of="zone"),
        Parameter("podid", "uuid", "the pod it serves", of="pod"),
        Parameter("clusterid", "uuid", "the cluster it serves; without, it serves the zone", of="cluster"),
        Parameter("scope", "string", "what it serves: ZONE, CLUSTER, or HOST (local storage)"),
        Parameter("hypervisor", "string", "hypervisor of a zone-wide pool"),
        Parameter("provider", "string", "name of the storage provider; there is one"),
        Parameter("tags", "string", "tags of the storage pool"),
        Parameter("capacitybytes", "long", "bytes in all", low=0),
        Parameter(
            "heartbeat", "string", "driver of its storage heartbeat, or none; by the URL if not given", since="0.1"
        ),
        Parameter("details", "map", "details of the storage pool; luns=2-20 names the LUNs that VMs may have"),
    ),
)
def create_storage_pool(call: Call) -> StoragePool:
    """The heartbeat's driver follows from the URL, and on clusters of simulated hosts is the simulator's."""
    url = read_url("url", call.text("url"), tuple(_TYPES)) if not _is_local(call) else _local(call)
    simulated = call.has("hypervisor") and check_hypervisor(call) == SIMULATOR
    heartbeat = _ordered_heartbeat(call)
    pairs = call.parameters.get("details", {})
    settings = sorted(set(pairs) & set(CATALOGUE))
    if DETAIL in pairs:
        read_luns(pairs[DETAIL])
    if settings:
        raise InvalidRequest(
            f"parameter details: {settings[0]} is a setting; updateConfiguration with storageid sets it"
        )

    def plan() -> list[Change]:
        place = _place(call)
        _refuse_taken(call, place.zone, url)
        simulator = simulated or (place.cluster is not None and place.cluster.hypervisor_type == SIMULATOR)
        beat = "simulator" if simulator else _BEATS.get(url.scheme, "")
        pool = StoragePool(
            uuid=new_uuid(),
            name=call.text("name"),
            pool_type=_TYPES[url.scheme],
            scope=place.scope,
            host_address=url.host,
            port=url.port,
            path=url.path,
            data_center_id=place.zone.id,
            pod_id=place.cluster.pod_id if place.cluster else None,
            cluster_id=place.cluster.id if place.cluster else None,
            capacity_bytes=call.whole("capacitybytes"),
            tags=call.text("tags"),
            heartbeat="" if place.scope == "HOST" else beat if heartbeat is None else heartbeat,
            created=call.now(),
        )
        text = f"created storage pool {pool.name} ({pool.pool_type}, {pool.scope}) in zone {place.zone.name}"
        told = call.event("STORAGE.POOL.CREATE", text, resource=("StoragePool", pool.uuid))
        return [Insert(pool), Insert(told)]

    made = stored(call, StoragePool, change_inventory(call, plan)[0])
    if pairs:
        call.store.commit([Insert(StoragePoolDetail(pool_id=made.id, name=k, value=v)) for k, v in pairs.items()])
        call.context.bell.ring("inventory")
    return made


@command(
    "updateStoragePool",
    "Changes what is known of a storage pool. Its server and path stay.",
    kind="sync",
    responds="storagepool",
    parameters=(
        Parameter("id", "uuid", "the UUID of the storage pool", required=True, of="storagepool"),
        Parameter("name", "string", "a new name"),
        Parameter("tags", "string", "tags of the storage pool"),
        Parameter("capacitybytes", "long", "bytes in all", low=0),
    ),
)
def update_storage_pool(call: Call) -> StoragePool:
    """What is not given stays."""
    values = given(call, name="name", tags="tags", capacity_bytes="capacitybytes")

    def rename(pool: StoragePool, name: str) -> None:
        refuse_taken(call, StoragePool, "storage pool", name, pool.data_center_id)

    return edit(call, StoragePool, values, event=("STORAGE.POOL.EDIT", "storage pool", "StoragePool"), rename=rename)


@command(
    "deleteStoragePool",
    "Forgets a storage pool that no VM uses.",
    kind="sync",
    responds="success",
    parameters=(
        Parameter("id", "uuid", "the UUID of the storage pool", required=True, of="storagepool"),
        Parameter("forced", "boolean", "makes no difference: a pool in use stays"),
    ),
)
def delete_storage_pool(call: Call) -> Success:
    """Refused with 536 as long as a VM has its disk there."""

    def plan() -> list[Change]:
        pool = fresh(call, call.row("id", StoragePool))
        _refuse_disks(call, pool)
        told = call.event(
            "STORAGE.POOL.DELETE", f"removed storage pool {pool.name}", resource=("StoragePool", pool.uuid)
        )
        return [Update(StoragePool, pool.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


@command(
    "enableStorageMaintenance",
    "Takes a storage pool out of service, so that it can be removed: no new VM gets its disk there.",
    kind="sync",
    responds="storagepool",
    parameters=(Parameter("id", "uuid", "the UUID of the storage pool", required=True, of="storagepool"),),
)
def enable_storage_maintenance(call: Call) -> StoragePool:
    """Refused with 536 as long as a VM has its disk there: CloudStack would stop them all at this word."""
    event = ("MAINT.PREPARE.PS", "storage pool", "StoragePool")
    return edit(call, StoragePool, {"status": "Maintenance"}, event=event, check=lambda pool: _refuse_disks(call, pool))


@command(
    "cancelStorageMaintenance",
    "Puts a storage pool back into service.",
    kind="sync",
    responds="storagepool",
    parameters=(Parameter("id", "uuid", "the UUID of the storage pool", required=True, of="storagepool"),),
)
def cancel_storage_maintenance(call: Call) -> StoragePool:
    """New VMs may get their disks there again."""
    return edit(call, StoragePool, {"status": "Up"}, event=("MAINT.CANCEL.PS", "storage pool", "StoragePool"))


@command(
    "listStorageProviders",
    "Lists storage providers: there is one.",
    kind="list",
    responds="dataStoreProvider",
    parameters=(Parameter("type", "string", "primary; there are no others", words=("primary",)),),
)
def list_storage_providers(call: Call) -> Listing:
    """Ansible asks before it makes a pool."""
    return pick_page(call, [{"name": STORAGE_PROVIDER, "type": "primary"}], "type", search="name")


@dataclass(frozen=True, slots=True)
class _Place:
    zone: Zone
    cluster: Cluster | None
    scope: str


def _place(call: Call) -> _Place:
    zone = fresh(call, call.row("zoneid", Zone))
    cluster, pod = call.row_or_none("clusterid", Cluster), call.row_or_none("podid", Pod)
    scope = call.text("scope", "CLUSTER" if cluster else "ZONE").upper()
    if scope not in SCOPES:
        raise InvalidRequest(f"parameter scope: {scope[:60]!r} is not accepted; allowed is one of {', '.join(SCOPES)}")
    if scope != "ZONE" and cluster is None:
        raise InvalidRequest(f"parameter clusterid is missing: a storage pool of scope {scope} serves a cluster")
    if scope == "ZONE" and cluster is not None:
        raise InvalidRequest(
            "parameter clusterid: a storage pool of scope ZONE serves every cluster; leave one of them out"
        )
    if cluster is not None and cluster.data_center_id != zone.id:
        raise InvalidRequest(f"parameter clusterid: cluster {cluster.name} does not lie in zone {zone.name}")
    if pod is not None and (pod.data_center_id != zone.id or (cluster is not None and cluster.pod_id != pod.id)):
        raise InvalidRequest(f"parameter podid: pod {pod.name} is not where the zone and the cluster given are")
    return _Place(zone, None if cluster is None else fresh(call, cluster), scope)


def _refuse_disks(call: Call, pool: StoragePool) -> None:
    users = call.store.select(Vm, Query(equal={"pool_id": pool.id, "removed": None}, limit=1))
    if users:
        raise Conflict(f"storage pool {pool.name} holds the disk of VM {users[0].name}: destroy that VM first")


def _refuse_taken(call: Call, zone: Zone, url: Url) -> None:
    for field, name, value in (("name", "name", call.text("name")), ("path", "url", url.path)):
        same = {"data_center_id": zone.id, "removed": None, field: value}
        if field == "path":
            same["host_address"] = url.host
            if _is_local(call):
                continue
        if call.store.count(StoragePool, Query(equal=same)):
            raise InvalidRequest(f"parameter {name}: zone {zone.name} has a storage pool with this {name} already")


def _is_local(call: Call) -> bool:
    return call.text("url").lower().startswith("file:")


def _local(call: Call) -> Url:
    if call.text("scope").upper() != "HOST":
        raise InvalidRequest("parameter scope: file:// is local storage; its scope is HOST")
    path = call.text("url")[len("file:") :].lstrip("/")
    return Url("file", "localhost", 0, f"/{path}")


def _ordered_heartbeat(call: Call) -> str | None:
    if not call.has("heartbeat"):
        return None
    name = call.text("heartbeat").lower()
    # Those that live on the hosts need not be installed here.
    installed = sorted({*call.context.plugins.names("heartbeat"), *_ON_AGENTS})
    if name != _NO_HEARTBEAT and name not in installed:
        allowed = ", ".join((*installed, _NO_HEARTBEAT))
        raise InvalidRequest(f"parameter heartbeat: there is no driver {name[:60]!r}; allowed is one of {allowed}")
    return "" if name == _NO_HEARTBEAT else name


def pools_reaching(call: Call, zone_id: int, cluster_id: int | None = None) -> list[StoragePool]:
    """Pools that are Up and serve the cluster; without one, every pool of the zone. Most room first."""
    pools = call.store.select(StoragePool, Query(equal={"data_center_id": zone_id, "status": "Up", "removed": None}))
    reaching = [pool for pool in pools if cluster_id is None or pool.cluster_id in (None, cluster_id)]
    return sorted(reaching, key=lambda pool: (pool.used_bytes - pool.capacity_bytes, pool.id))


def has_hosts(call: Call, pool: StoragePool) -> bool:
    """Whether any host could use the pool."""
    where = {"cluster_id": pool.cluster_id} if pool.cluster_id is not None else {"data_center_id": pool.data_center_id}
    return call.store.count(Host, Query(equal={**where, "removed": None})) > 0
