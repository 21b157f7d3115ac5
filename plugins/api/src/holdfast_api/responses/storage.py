"""Storage pools."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.model import StoragePool

from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.responses.zones import CLUSTER_REF, POD_REF, ZONE_REF
from holdfast_api.rows import Places
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

STORAGE_PROVIDER = "DefaultPrimary"
"""The one storage provider there is, by the name that CloudStack gives it."""


def _pools(call: "Call", pools: Sequence[StoragePool]) -> list[Answer]:
    places = Places(
        call.store,
        zones=(pool.data_center_id for pool in pools),
        pods=(pool.pod_id for pool in pools),
        clusters=(pool.cluster_id for pool in pools),
    )
    return [
        {
            "id": pool.uuid,
            "name": pool.name,
            **places.answer(zone=pool.data_center_id, pod=pool.pod_id, cluster=pool.cluster_id),
            "created": moment_text(pool.created),
            "type": pool.pool_type,
            "ipaddress": pool.host_address,
            "port": pool.port or None,
            "path": pool.path,
            "scope": pool.scope,
            "state": pool.status,
            "tags": pool.tags or None,
            "disksizetotal": pool.capacity_bytes,
            "disksizeused": pool.used_bytes,
            "disksizeallocated": pool.used_bytes,
            "provider": STORAGE_PROVIDER,
            "heartbeat": pool.heartbeat or None,
            "hypervisor": _hypervisor(places, pool),
        }
        for pool in pools
    ]


def _hypervisor(places: Places, pool: StoragePool) -> str | None:
    cluster = places.clusters.get(pool.cluster_id or 0)
    return cluster.hypervisor_type if cluster else None


STORAGE_POOL = ResponseObject(
    name="storagepool",
    fields=(
        Field("id", "string", "the UUID of the storage pool"),
        Field("name", "string", "name of the storage pool"),
        *ZONE_REF,
        *POD_REF,
        *CLUSTER_REF,
        Field("created", "date", "when it was made"),
        Field("type", "string", "NetworkFilesystem, IscsiLUN, Filesystem …"),
        Field("ipaddress", "string", "address of the storage server"),
        Field("port", "integer", "port of the storage server, where it is not the usual one", since="0.1"),
        Field("path", "string", "what of the server's storage it is"),
        Field("scope", "string", "ZONE, CLUSTER, or HOST: local storage"),
        Field("state", "string", "Up, Disabled, Maintenance …"),
        Field("tags", "string", "tags of the storage pool"),
        Field("disksizetotal", "long", "bytes in all"),
        Field("disksizeused", "long", "bytes that are taken"),
        Field("disksizeallocated", "long", "bytes that are given out"),
        Field("provider", "string", "name of the storage provider"),
        Field(
            "heartbeat",
            "string",
            "driver of its storage heartbeat; missing if it takes no part in host HA",
            since="0.1",
        ),
        Field("hypervisor", "string", "hypervisor of the cluster it serves"),
    ),
    build=_pools,
    record=StoragePool,
)

DATA_STORE_PROVIDER = ResponseObject(
    name="dataStoreProvider",
    fields=(Field("name", "string", "name of the storage provider"), Field("type", "string", "primary")),
    build=as_given,
)
