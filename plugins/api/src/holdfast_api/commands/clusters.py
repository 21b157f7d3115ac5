"""Clusters: hosts of one hypervisor that share storage."""

from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Cluster, Host, Pod, StoragePool, Zone

from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.commands.zones import STATES, refuse_used
from holdfast_api.hypervisors import HYPERVISORS, check_hypervisor
from holdfast_api.inventory_change import change_inventory, edit, fresh, refuse_taken, stored
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

_RATIOS = {"cpuovercommitratio": "cpu_overcommit_ratio", "memoryovercommitratio": "memory_overcommit_ratio"}
_COMMON = (
    Parameter("allocationstate", "string", "Disabled: it takes no new VMs", choices=STATES),
    Parameter("cpuovercommitratio", "float", "CPU to give out for each MHz there is", low=0.1, high=100),
    Parameter("memoryovercommitratio", "float", "memory to give out for each byte there is", low=0.1, high=100),
)


@command(
    "listClusters",
    "Lists clusters.",
    kind="list",
    responds="cluster",
    parameters=(
        Parameter("id", "uuid", "the UUID of the cluster", of="cluster"),
        Parameter("name", "string", "name of the cluster"),
        Parameter("zoneid", "uuid", "clusters of this zone", of="zone"),
        Parameter("podid", "uuid", "clusters of this pod", of="pod"),
        Parameter("hypervisor", "string", "clusters of this hypervisor", words=HYPERVISORS),
        Parameter("clustertype", "string", "CloudManaged"),
        Parameter("managedstate", "string", "Managed"),
        Parameter("allocationstate", "string", "clusters in this state", choices=STATES),
    ),
)
def list_clusters(call: Call) -> Listing:
    """By name."""
    equal = given(
        call,
        id="id",
        name="name",
        data_center_id="zoneid",
        pod_id="podid",
        hypervisor_type="hypervisor",
        cluster_type="clustertype",
        managed_state="managedstate",
        allocation_state="allocationstate",
    )
    return select_page(call, Cluster, equal={"removed": None, **equal}, search=("name",), order=("name",))


@command(
    "addCluster",
    "Adds a cluster to a pod. Answers with a list of one, as CloudStack does.",
    kind="list",
    paged=False,
    changes=True,
    responds="cluster",
    parameters=(
        Parameter("clustername", "string", "name of the cluster", required=True),
        Parameter("zoneid", "uuid", "the zone it lies in", required=True, of="zone"),
        Parameter("podid", "uuid", "the pod it lies in", required=True, of="pod"),
        Parameter("hypervisor", "string", "hypervisor of its hosts: KVM, Simulator", required=True),
        Parameter("clustertype", "string", "who manages it", required=True, choices=("CloudManaged",)),
        *_COMMON,
    ),
)
def add_cluster(call: Call) -> Listing:
    """A cluster's name is its own within the zone."""
    hypervisor = check_hypervisor(call)

    def plan() -> list[Change]:
        zone, pod = fresh(call, call.row("zoneid", Zone)), fresh(call, call.row("podid", Pod))
        if pod.data_center_id != zone.id:
            raise InvalidRequest(f"parameter podid: pod {pod.name} does not lie in zone {zone.name}")
        name = call.text("clustername")
        refuse_taken(call, Cluster, "cluster", name, zone.id, parameter="clustername")
        cluster = Cluster(
            uuid=new_uuid(),
            name=name,
            pod_id=pod.id,
            data_center_id=zone.id,
            hypervisor_type=hypervisor,
            created=call.now(),
            **_values(call),
        )
        text = f"added cluster {name} ({hypervisor}) to pod {pod.name}"
        return [Insert(cluster), Insert(call.event("CLUSTER.CREATE", text, resource=("Cluster", cluster.uuid)))]

    return Listing.of([stored(call, Cluster, change_inventory(call, plan)[0])])


@command(
    "updateCluster",
    "Changes a cluster.",
    kind="sync",
    responds="cluster",
    parameters=(
        Parameter("id", "uuid", "the UUID of the cluster", required=True, of="cluster"),
        Parameter("clustername", "string", "a new name"),
        *_COMMON,
    ),
)
def update_cluster(call: Call) -> Cluster:
    """What is not given stays. Overcommit counts for what is placed from now on; nothing that runs is moved."""
    values = _values(call)
    if call.has("clustername"):
        values["name"] = call.text("clustername")

    def rename(cluster: Cluster, name: str) -> None:
        refuse_taken(call, Cluster, "cluster", name, cluster.data_center_id, parameter="clustername")

    return edit(call, Cluster, values, event=("CLUSTER.EDIT", "cluster", "Cluster"), rename=rename)


@command(
    "deleteCluster",
    "Removes a cluster that is empty.",
    kind="sync",
    responds="success",
    parameters=(Parameter("id", "uuid", "the UUID of the cluster", required=True, of="cluster"),),
)
def delete_cluster(call: Call) -> Success:
    """Refused with 536 as long as it has hosts or storage pools."""

    def plan() -> list[Change]:
        cluster = fresh(call, call.row("id", Cluster))
        refuse_used(call, f"cluster {cluster.name}", "cluster_id", cluster.id, (Host, StoragePool))
        told = call.event("CLUSTER.DELETE", f"removed cluster {cluster.name}", resource=("Cluster", cluster.uuid))
        return [Update(Cluster, cluster.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


def _values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {field: call.parameters[name] for name, field in _RATIOS.items() if call.has(name)}
    if call.has("allocationstate"):
        found["allocation_state"] = call.text("allocationstate")
    return found
