"""Reading rows many at once, for answers that cost a fixed number of reads."""

from collections.abc import Iterable
from typing import Any

from holdfast.hooks.store import Query, Store
from holdfast.model import Cluster, ClusterDetail, Host, HostDetail, HostTag, Pod, StoragePoolDetail, Zone, ZoneDetail

from holdfast_api.call import R

_CHUNK = 500
"""Ids asked for at once: databases bound how many values a statement may carry."""


def by_id(store: Store, record: type[R], ids: Iterable[int | None]) -> dict[int, R]:
    """Rows by id, removed ones too; ids that are None or unknown are left out."""
    return {row.id: row for row in among(store, record, "id", ids)}


def among(store: Store, record: type[R], field: str, ids: Iterable[int | None]) -> list[R]:
    """Rows whose `field` is one of `ids`, by id."""
    wanted = sorted({number for number in ids if number is not None})
    found: list[R] = []
    for start in range(0, len(wanted), _CHUNK):
        part = tuple(wanted[start : start + _CHUNK])
        found += store.select(record, Query(among={field: part}, order=("id",)))
    return found


class Places:
    """Zones, pods, clusters and hosts that some rows lie in."""

    def __init__(
        self,
        store: Store,
        *,
        zones: Iterable[int | None] = (),
        pods: Iterable[int | None] = (),
        clusters: Iterable[int | None] = (),
        hosts: Iterable[int | None] = (),
    ) -> None:
        """Reads each kind once."""
        self.zones = by_id(store, Zone, zones)
        self.pods = by_id(store, Pod, pods)
        self.clusters = by_id(store, Cluster, clusters)
        self.hosts = by_id(store, Host, hosts)

    def answer(self, *, zone: int | None = None, pod: int | None = None, cluster: int | None = None) -> dict[str, str]:
        """The fields zoneid, zonename and so on, as far as they are known."""
        found: dict[str, str] = {}
        for kind, row in (
            ("zone", self.zones.get(zone or 0)),
            ("pod", self.pods.get(pod or 0)),
            ("cluster", self.clusters.get(cluster or 0)),
        ):
            if row is not None:
                found |= {f"{kind}id": row.uuid, f"{kind}name": row.name}
        return found


def details(
    store: Store, record: type[ZoneDetail | ClusterDetail | HostDetail | StoragePoolDetail], ids: Iterable[int]
) -> dict[int, dict[str, str]]:
    """Details by the id of what they belong to."""
    owner: dict[Any, str] = {
        ZoneDetail: "dc_id",
        ClusterDetail: "cluster_id",
        HostDetail: "host_id",
        StoragePoolDetail: "pool_id",
    }
    found: dict[int, dict[str, str]] = {}
    for row in among(store, record, owner[record], ids):
        found.setdefault(getattr(row, owner[record]), {})[row.name] = row.value
    return found


def tags_of(store: Store, hosts: Iterable[int]) -> dict[int, list[str]]:
    """Host id → its tags, sorted."""
    found: dict[int, list[str]] = {}
    for row in among(store, HostTag, "host_id", hosts):
        found.setdefault(row.host_id, []).append(row.tag)
    return {host: sorted(tags) for host, tags in found.items()}
