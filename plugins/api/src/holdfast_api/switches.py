"""The switches of host HA and out-of-band management: zone, cluster, host. One that is absent is on."""

from holdfast.hooks.store import Query
from holdfast.model import ClusterDetail, Host, Oobm, ZoneDetail

from holdfast_api.call import Call
from holdfast_api.faults import INTERNAL, ApiFault
from holdfast_api.rows import Places

HA = "resourceHAEnabled"
OOBM = "outOfBandManagementEnabled"


def is_on(text: str | None) -> bool:
    """How a switch's stored text reads."""
    return (text or "").strip().lower() != "false"


def switched_off(call: Call, host: Host, switch: str) -> str:
    """Which switch above the host is off, in words ("zone z1"), or ""."""
    zones = call.store.select(ZoneDetail, Query(equal={"dc_id": host.data_center_id, "name": switch}))
    clusters = call.store.select(ClusterDetail, Query(equal={"cluster_id": host.cluster_id, "name": switch}))
    places = Places(call.store, zones=[host.data_center_id], clusters=[host.cluster_id])
    if zones and not is_on(zones[0].value):
        return f"zone {places.zones[host.data_center_id].name}"
    if clusters and not is_on(clusters[0].value):
        return f"cluster {places.clusters[host.cluster_id].name}"
    return ""


def devices_of(call: Call, host: Host) -> list[Oobm]:
    """The host's fence devices, by level and index."""
    return call.store.select(Oobm, Query(equal={"host_id": host.id}, order=("level", "device_index")))


def configured_oobm(call: Call, host: Host) -> list[Oobm]:
    """The same; `ApiFault` 530 if none was configured, as CloudStack says it."""
    rows = devices_of(call, host)
    if not any(row.driver for row in rows):
        raise ApiFault(
            INTERNAL,
            f"out-of-band management of host {host.name} is not configured: call configureOutOfBandManagement first",
        )
    return rows


def usable_oobm(call: Call, host: Host) -> list[Oobm]:
    """The same; `ApiFault` 530 also if a switch is off, naming it."""
    rows = configured_oobm(call, host)
    above = switched_off(call, host, OOBM)
    if above:
        kind = above.partition(" ")[0].capitalize()
        raise ApiFault(
            INTERNAL,
            f"out-of-band management is disabled for {above}, so for host {host.name} too: "
            f"call enableOutOfBandManagementFor{kind}",
        )
    if not any(row.enabled for row in rows):
        raise ApiFault(
            INTERNAL,
            f"out-of-band management is disabled for host {host.name}: call enableOutOfBandManagementForHost",
        )
    return rows
