"""The cloud's own servers, and the hypervisors it can drive."""

from holdfast.model import ManagementServer

from holdfast_api.call import Call, Listing
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

_NAMES = {"kvm": "KVM", "simulator": "Simulator"}
"""CloudStack's spelling of the hypervisors whose drivers have another."""


@command(
    "listManagementServers",
    "Lists management servers.",
    kind="list",
    responds="managementserver",
    since="4.17.0",
    parameters=(
        Parameter("id", "uuid", "the UUID of a management server", of="managementserver"),
        Parameter("name", "string", "name of a management server"),
        Parameter("peers", "boolean", "also show how each sees the others"),
    ),
)
def list_management_servers(call: Call) -> Listing:
    """Those that are not removed."""
    equal = {"removed": None, **given(call, id="id", name="name")}
    return select_page(call, ManagementServer, equal=equal, search=("name",), order=("name",))


@command(
    "listHypervisors",
    "Lists the hypervisors that drivers are installed for.",
    kind="list",
    responds="hypervisor",
    access="user",
    parameters=(Parameter("zoneid", "uuid", "the zone; all zones can have all of them", of="zone"),),
)
def list_hypervisors(call: Call) -> Listing:
    """As CloudStack spells them."""
    names = sorted(_NAMES.get(name, name) for name in call.context.plugins.names("hypervisor"))
    return Listing.of([{"name": name} for name in names if call.keyword.lower() in name.lower()], call.page)


@command(
    "listDatabaseNodes",
    "Lists the database servers with their replication, as last seen by the service `replication`.",
    kind="list",
    responds="databasenode",
    since="0.1",
    parameters=(Parameter("state", "string", "Up, Warning, Broken or Unreachable"),),
)
def list_database_nodes(call: Call) -> Listing:
    """None if that service does not run in this process."""
    nodes = call.context.live.get("replication.nodes", list)()
    state, keyword = call.text("state"), call.keyword.lower()
    found = [node for node in nodes if state in ("", node["state"]) and keyword in node["name"].lower()]
    return Listing.of(found, call.page)
