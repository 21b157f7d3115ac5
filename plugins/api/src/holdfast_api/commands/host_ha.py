"""Host HA: providers, and the switches of zone, cluster and host (M3.1)."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Query
from holdfast.model import Cluster, HaConfig, Host, Zone

from holdfast_api.call import Call, JobRequest, Listing
from holdfast_api.faults import INTERNAL, ApiFault
from holdfast_api.hypervisors import HYPERVISORS
from holdfast_api.ordering import host_job, place_job
from holdfast_api.providers import installed_providers
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.host_ha import ha_by_host, ha_now
from holdfast_api.rows import by_id

_HYPERVISORS = (*HYPERVISORS, "Unknown")
_HOST = Parameter("hostid", "uuid", "the UUID of the host", required=True, of="host")
_CLUSTER = Parameter("clusterid", "uuid", "the UUID of the cluster", required=True, of="cluster")
_INCLUDE = Parameter("includehost", "boolean", "also switch each host of the cluster", since="0.1")
_ZONE = Parameter("zoneid", "uuid", "the UUID of the zone", required=True, of="zone")


@command(
    "configureHAForHost",
    "Says which HA provider looks after a host.",
    kind="async",
    responds="hostha",
    since="4.11.0",
    parameters=(
        _HOST,
        Parameter("provider", "string", "name of the HA provider, such as kvmhaprovider", required=True),
    ),
)
def configure_for_host(call: Call) -> JobRequest:
    """The provider must be made for the host's hypervisor. Letter case does not matter."""
    host, wanted = call.row("hostid", Host), call.text("provider").strip().lower()
    providers = installed_providers(call)
    provider = next((one for one in providers if wanted in (one.name.lower(), one.display_name.lower())), None)
    if provider is None:
        names = ", ".join(one.name for one in providers) or "(none)"
        raise ApiFault(INTERNAL, f"there is no HA provider {call.text('provider')[:60]!r}; there are {names}")
    if provider.hypervisor != host.hypervisor_type:
        raise InvalidRequest(
            f"parameter provider: {provider.name} is made for {provider.hypervisor}, and host {host.name} runs "
            f"{host.hypervisor_type}"
        )
    what = f"have host {host.name} looked after by HA provider {provider.name}"
    return host_job(call, "HA.RESOURCE.CONFIGURE", what, host, hostid=host.id, provider=provider.name)


def _switch_host(call: Call, enable: bool) -> JobRequest:
    host = call.row("hostid", Host)
    row = ha_by_host(call, [host.id]).get(host.id)
    if enable and (row is None or not row.provider):
        raise InvalidRequest(f"host {host.name} has no HA provider yet: call configureHAForHost first")
    word = "enable" if enable else "disable"
    return host_job(call, f"HA.RESOURCE.{word.upper()}", f"{word} HA of host {host.name}", host, hostid=host.id)


@command(
    "enableHAForHost", "Enables HA of a host.", kind="async", responds="hostha", since="4.11.0", parameters=(_HOST,)
)
def enable_for_host(call: Call) -> JobRequest:
    """It needs a provider. Zone and cluster must be on as well for HA to work."""
    return _switch_host(call, enable=True)


@command(
    "disableHAForHost", "Disables HA of a host.", kind="async", responds="hostha", since="4.11.0", parameters=(_HOST,)
)
def disable_for_host(call: Call) -> JobRequest:
    """Nothing fences the host from then on."""
    return _switch_host(call, enable=False)


def _switch_cluster(call: Call, enable: bool) -> JobRequest:
    cluster, hosts = call.row("clusterid", Cluster), call.flag("includehost")
    word = "enable" if enable else "disable"
    what = f"{word} host HA in cluster {cluster.name}{' and of each of its hosts' if hosts else ''}"
    about = ("Cluster", cluster.uuid)
    return place_job(call, f"HA.RESOURCE.{word.upper()}", what, about, clusterid=cluster.id, includehost=hosts)


@command(
    "enableHAForCluster",
    "Turns on a cluster's switch of host HA.",
    kind="async",
    responds="success",
    since="4.11.0",
    parameters=(_CLUSTER, _INCLUDE),
)
def enable_for_cluster(call: Call) -> JobRequest:
    """With `includehost` hosts without a provider get the one of their hypervisor."""
    if call.flag("includehost"):
        cluster = call.row("clusterid", Cluster)
        if not any(one.hypervisor == cluster.hypervisor_type for one in installed_providers(call)):
            raise ApiFault(
                INTERNAL,
                f"no HA provider is installed for the {cluster.hypervisor_type} hosts of cluster {cluster.name}",
            )
    return _switch_cluster(call, enable=True)


@command(
    "disableHAForCluster",
    "Turns off host HA in a cluster.",
    kind="async",
    responds="success",
    since="4.11.0",
    parameters=(_CLUSTER, _INCLUDE),
)
def disable_for_cluster(call: Call) -> JobRequest:
    """The hosts keep their own switches unless `includehost` is given."""
    return _switch_cluster(call, enable=False)


def _switch_zone(call: Call, enable: bool) -> JobRequest:
    zone = call.row("zoneid", Zone)
    word = "enable" if enable else "disable"
    what = f"{word} host HA in zone {zone.name}"
    return place_job(call, f"HA.RESOURCE.{word.upper()}", what, ("Zone", zone.uuid), zoneid=zone.id)


@command(
    "enableHAForZone",
    "Turns on a zone's switch of host HA.",
    kind="async",
    responds="success",
    since="4.11.0",
    parameters=(_ZONE,),
)
def enable_for_zone(call: Call) -> JobRequest:
    """Clusters and hosts keep their own."""
    return _switch_zone(call, enable=True)


@command(
    "disableHAForZone",
    "Turns off host HA in a zone.",
    kind="async",
    responds="success",
    since="4.11.0",
    parameters=(_ZONE,),
)
def disable_for_zone(call: Call) -> JobRequest:
    """Clusters and hosts keep their own switches."""
    return _switch_zone(call, enable=False)


@command(
    "listHostHAResources",
    "Lists hosts that host HA was configured for.",
    kind="list",
    responds="hostha",
    paged=False,
    since="4.11.0",
    parameters=(Parameter("hostid", "uuid", "the UUID of one host", of="host"),),
)
def list_host_ha_resources(call: Call) -> Listing:
    """Not paged, as in CloudStack."""
    host = call.row_or_none("hostid", Host)
    equal = {"resource_type": "Host"} | ({"resource_id": host.id} if host else {})
    rows = call.store.select(HaConfig, Query(equal=equal, order=("id",)))
    hosts = by_id(call.store, Host, (row.resource_id for row in rows))
    shown = [(row, hosts.get(row.resource_id)) for row in rows]
    return Listing.of(
        [ha_now(call, row, one, one.uuid) for row, one in shown if one is not None and one.removed is None]
    )


@command(
    "listHostHAProviders",
    "Lists the HA providers that are installed for a hypervisor.",
    kind="list",
    responds="haprovider",
    paged=False,
    since="4.11.0",
    parameters=(Parameter("hypervisor", "string", "the hypervisor", required=True, choices=_HYPERVISORS),),
)
def list_host_ha_providers(call: Call) -> Listing:
    """Spelled as CloudStack's classes; configureHAForHost takes any letter case."""
    wanted = call.text("hypervisor")
    return Listing.of(
        [{"haprovider": one.display_name} for one in installed_providers(call) if one.hypervisor == wanted]
    )
