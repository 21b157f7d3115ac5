"""Zones, pods and clusters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.model import Cluster, ClusterDetail, Pod, Zone, ZoneDetail

from holdfast_api.dedicated_hosts import zone_warnings
from holdfast_api.fields import Answer, Field, ResponseObject
from holdfast_api.rows import Places, details

if TYPE_CHECKING:
    from holdfast_api.call import Call

ZONE_REF = (
    Field("zoneid", "string", "the UUID of the zone"),
    Field("zonename", "string", "name of the zone"),
)
POD_REF = (
    Field("podid", "string", "the UUID of the pod"),
    Field("podname", "string", "name of the pod"),
)
CLUSTER_REF = (
    Field("clusterid", "string", "the UUID of the cluster"),
    Field("clustername", "string", "name of the cluster"),
)


def _zones(call: "Call", zones: Sequence[Zone]) -> list[Answer]:
    found = details(call.store, ZoneDetail, [zone.id for zone in zones])
    warnings = zone_warnings(call, [zone.id for zone in zones])
    return [
        {
            "id": zone.uuid,
            "name": zone.name,
            "networktype": zone.networktype,
            "dns1": zone.dns1 or None,
            "dns2": zone.dns2 or None,
            "internaldns1": zone.internal_dns1 or None,
            "internaldns2": zone.internal_dns2 or None,
            "guestcidraddress": zone.guest_network_cidr or None,
            "allocationstate": zone.allocation_state,
            "localstorageenabled": True,
            "securitygroupsenabled": False,
            "resourcedetails": found.get(zone.id) or None,
            "tags": [],
            "hawarnings": [warnings[zone.id]] if zone.id in warnings else [],
        }
        for zone in zones
    ]


ZONE = ResponseObject(
    name="zone",
    fields=(
        Field("id", "string", "the UUID of the zone"),
        Field("name", "string", "name of the zone"),
        Field("networktype", "string", "Basic or Advanced"),
        Field("dns1", "string", "first name server of guests"),
        Field("dns2", "string", "second name server of guests"),
        Field("internaldns1", "string", "first name server of the cloud's own machines"),
        Field("internaldns2", "string", "second name server of the cloud's own machines"),
        Field("guestcidraddress", "string", "addresses of guests"),
        Field("allocationstate", "string", "Enabled, or Disabled: it takes no new VMs"),
        Field("localstorageenabled", "boolean", "whether VMs may have local storage"),
        Field("securitygroupsenabled", "boolean", "whether security groups are offered"),
        Field("resourcedetails", "map", "settings and switches of the zone"),
        Field("tags", "list", "tags of the zone"),
        Field("hawarnings", "list", "why HA would not restart VMs of this zone", since="0.1"),
    ),
    build=_zones,
    record=Zone,
)


def _pods(call: "Call", pods: Sequence[Pod]) -> list[Answer]:
    places = Places(call.store, zones=(pod.data_center_id for pod in pods))
    return [
        {
            "id": pod.uuid,
            "name": pod.name,
            **places.answer(zone=pod.data_center_id),
            "gateway": pod.gateway or None,
            "netmask": pod.netmask or None,
            "startip": [pod.start_ip] if pod.start_ip else None,
            "endip": [pod.end_ip] if pod.end_ip else None,
            "allocationstate": pod.allocation_state,
        }
        for pod in pods
    ]


POD = ResponseObject(
    name="pod",
    fields=(
        Field("id", "string", "the UUID of the pod"),
        Field("name", "string", "name of the pod"),
        *ZONE_REF,
        Field("gateway", "string", "gateway of the management network"),
        Field("netmask", "string", "netmask of the management network"),
        Field("startip", "list", "first addresses of the ranges for system VMs"),
        Field("endip", "list", "last addresses of the ranges for system VMs"),
        Field("allocationstate", "string", "Enabled, or Disabled: it takes no new VMs"),
    ),
    build=_pods,
    record=Pod,
)


def _clusters(call: "Call", clusters: Sequence[Cluster]) -> list[Answer]:
    found = details(call.store, ClusterDetail, [cluster.id for cluster in clusters])
    places = Places(
        call.store,
        zones=(cluster.data_center_id for cluster in clusters),
        pods=(cluster.pod_id for cluster in clusters),
    )
    return [
        {
            "id": cluster.uuid,
            "name": cluster.name,
            **places.answer(zone=cluster.data_center_id, pod=cluster.pod_id),
            "hypervisortype": cluster.hypervisor_type,
            "clustertype": cluster.cluster_type,
            "allocationstate": cluster.allocation_state,
            "managedstate": cluster.managed_state,
            "cpuovercommitratio": str(cluster.cpu_overcommit_ratio),
            "memoryovercommitratio": str(cluster.memory_overcommit_ratio),
            "resourcedetails": found.get(cluster.id) or None,
        }
        for cluster in clusters
    ]


CLUSTER = ResponseObject(
    name="cluster",
    fields=(
        Field("id", "string", "the UUID of the cluster"),
        Field("name", "string", "name of the cluster"),
        *ZONE_REF,
        *POD_REF,
        Field("hypervisortype", "string", "hypervisor of its hosts"),
        Field("clustertype", "string", "CloudManaged"),
        Field("allocationstate", "string", "Enabled, or Disabled: it takes no new VMs"),
        Field("managedstate", "string", "Managed"),
        Field("cpuovercommitratio", "string", "CPU that may be given out for each MHz there is"),
        Field("memoryovercommitratio", "string", "memory that may be given out for each byte there is"),
        Field("resourcedetails", "map", "settings and switches of the cluster, resourceHAEnabled among them"),
    ),
    build=_clusters,
    record=Cluster,
)
