"""addHost: makes a host known. A management server then attaches it."""

from dataclasses import dataclass

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Cluster, Host, HostTag, Pod, ResourceState, Zone

from holdfast_api.addresses import read_url
from holdfast_api.call import Call, Listing, new_uuid
from holdfast_api.host_tags import read_tags
from holdfast_api.hypervisors import SIMULATOR, check_hypervisor
from holdfast_api.inventory_change import change_inventory, fresh, stored
from holdfast_api.registry import Parameter, command

_ALLOCATION = {"enabled": ResourceState.ENABLED, "disabled": ResourceState.DISABLED}


@command(
    "addHost",
    "Adds a host to a cluster. Answers with a list of one, as CloudStack does.",
    kind="list",
    paged=False,
    changes=True,
    responds="host",
    parameters=(
        Parameter("zoneid", "uuid", "the zone it lies in", required=True, of="zone"),
        Parameter("podid", "uuid", "the pod it lies in", required=True, of="pod"),
        Parameter("clusterid", "uuid", "the cluster it joins; the pod's only one if not given", of="cluster"),
        Parameter("clustername", "string", "name of the cluster it joins, where clusterid is not given"),
        Parameter("hypervisor", "string", "its hypervisor: that of the cluster", required=True),
        Parameter(
            "url", "string", "http://address, or http://sim/name for a simulated host", required=True, length=1024
        ),
        Parameter("username", "string", "user to log in with"),
        Parameter("password", "string", "password to log in with", secret=True),
        Parameter("hosttags", "string", "its tags, separated by commas", length=1024),
        Parameter("allocationstate", "string", "Disabled: it takes no VMs yet"),
    ),
)
def add_host(call: Call) -> Listing:
    """It is Connecting until its agent has been heard; CPUs and memory are known then."""
    hypervisor = check_hypervisor(call)
    tags = read_tags(call.text("hosttags"))
    state = _resource_state(call)

    def plan() -> list[Change]:
        cluster = fresh(call, _cluster(call, hypervisor))
        if cluster.hypervisor_type != hypervisor:
            raise InvalidRequest(
                f"parameter hypervisor: cluster {cluster.name} has hosts of {cluster.hypervisor_type}, not {hypervisor}"
            )
        identity = _identity(call, hypervisor)
        _refuse_taken(call, identity)
        host = Host(
            uuid=new_uuid(),
            name=identity.name,
            hypervisor_type=hypervisor,
            private_ip_address=identity.address,
            url=identity.url,
            username=call.text("username"),
            password=call.secret("password"),
            data_center_id=cluster.data_center_id,
            pod_id=cluster.pod_id,
            cluster_id=cluster.id,
            # Without its tags a dedicated HA host must take no VM: it is opened together with them.
            resource_state=ResourceState.DISABLED if tags else state,
            created=call.now(),
        )
        told = call.event("HOST.ADD", f"added host {host.name} to cluster {cluster.name}", resource=("Host", host.uuid))
        return [Insert(host), Insert(told)]

    host_id = change_inventory(call, plan)[0]
    if tags:
        opened = Update(Host, host_id, {"resource_state": state}, expect={"removed": None})
        call.store.commit([*(Insert(HostTag(host_id=host_id, tag=tag)) for tag in tags), opened])
        call.context.bell.ring("inventory")
    return Listing.of([stored(call, Host, host_id)])


@dataclass(frozen=True, slots=True)
class _Identity:
    name: str
    address: str
    url: str


def _identity(call: Call, hypervisor: str) -> _Identity:
    url = read_url("url", call.text("url"), ("http", "https"))
    machine = url.path.strip("/")
    if hypervisor == SIMULATOR and machine:
        if "/" in machine:
            raise InvalidRequest(f"parameter url: a simulated host is http://sim/NAME; {machine!r} has more parts")
        return _Identity(machine, machine, f"{url.scheme}://{url.host}/{machine}")
    if machine:
        raise InvalidRequest(f"parameter url: {machine!r} after the address is not understood; write http://{url.host}")
    port = f":{url.port}" if url.port else ""
    shown = f"[{url.host}]" if ":" in url.host else url.host
    return _Identity(url.host, url.host, f"{url.scheme}://{shown}{port}")


def _resource_state(call: Call) -> ResourceState:
    text = call.text("allocationstate", "Enabled")
    found = _ALLOCATION.get(text.lower())
    if found is None:
        raise InvalidRequest(
            f"parameter allocationstate: {text[:60]!r} is not accepted; allowed is Enabled or Disabled"
        )
    return found


def _cluster(call: Call, hypervisor: str) -> Cluster:
    zone, pod = fresh(call, call.row("zoneid", Zone)), fresh(call, call.row("podid", Pod))
    if pod.data_center_id != zone.id:
        raise InvalidRequest(f"parameter podid: pod {pod.name} does not lie in zone {zone.name}")
    given = call.row_or_none("clusterid", Cluster)
    if given is not None:
        if given.pod_id != pod.id:
            raise InvalidRequest(f"parameter clusterid: cluster {given.name} does not lie in pod {pod.name}")
        return given
    clusters = call.store.select(Cluster, Query(equal={"pod_id": pod.id, "removed": None}, order=("id",)))
    if call.has("clustername"):
        name = call.text("clustername")
        clusters = [cluster for cluster in clusters if cluster.name == name]
        if not clusters:
            raise InvalidRequest(f"parameter clustername: pod {pod.name} has no cluster {name!r}; addCluster makes one")
        return clusters[0]
    fitting = [cluster for cluster in clusters if cluster.hypervisor_type == hypervisor]
    if len(fitting) != 1:
        raise InvalidRequest(
            f"parameter clusterid is missing: pod {pod.name} has {len(fitting)} clusters of {hypervisor}; "
            "listClusters shows them, addCluster makes one"
        )
    return fitting[0]


def _refuse_taken(call: Call, identity: _Identity) -> None:
    for field, value in (("name", identity.name), ("url", identity.url), ("private_ip_address", identity.address)):
        found = call.store.select(Host, Query(equal={field: value, "removed": None}, limit=1))
        if found:
            raise InvalidRequest(
                f"parameter url: host {found[0].name} ({found[0].uuid}) has this {field.replace('_', ' ')} already: "
                f"{value!r}; delete that host first, or correct the URL"
            )
