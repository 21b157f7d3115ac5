"""Guest networks, as far as VMs need one."""

from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Network, Vm, Zone

from holdfast_api.addresses import check_address, check_cidr, check_netmask
from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.commands.zones import refuse_used
from holdfast_api.inventory_change import change_inventory, edit, fresh, refuse_taken, stored
from holdfast_api.network_offering import NETWORK_OFFERING_NAME, NETWORK_OFFERING_UUID
from holdfast_api.paging import given, pick_page, select_page
from holdfast_api.registry import Parameter, command

_GUEST_TYPES = ("Shared", "Isolated")


@command(
    "listNetworks",
    "Lists guest networks.",
    kind="list",
    responds="network",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of the network", of="network"),
        Parameter("name", "string", "name of the network", since="0.1"),
        Parameter("zoneid", "uuid", "networks of this zone", of="zone"),
        Parameter("type", "string", "Shared or Isolated", words=_GUEST_TYPES),
        Parameter("traffictype", "string", "Guest", words=("Guest",)),
        Parameter("issystem", "boolean", "true: the cloud's own, of which there are none"),
    ),
)
def list_networks(call: Call) -> Listing:
    """By name."""
    if call.flag("issystem"):
        return Listing((), 0)
    equal = given(call, id="id", name="name", data_center_id="zoneid", guest_type="type", traffic_type="traffictype")
    search = ("name", "display_text")
    return select_page(call, Network, equal={"removed": None, **equal}, search=search, order=("name",))


@command(
    "createNetwork",
    "Creates a guest network in a zone.",
    kind="sync",
    responds="network",
    parameters=(
        Parameter("name", "string", "name of the network", required=True),
        Parameter("displaytext", "string", "what it is; the name if not given"),
        Parameter("zoneid", "uuid", "the zone it lies in", required=True, of="zone"),
        Parameter("networkofferingid", "uuid", "the offering; there is one"),
        Parameter("gateway", "string", "gateway of the guests"),
        Parameter("netmask", "string", "netmask of the guests"),
        Parameter("startip", "string", "first address of the guests"),
        Parameter("endip", "string", "last address of the guests"),
        Parameter("vlan", "string", "VLAN", length=32),
    ),
)
def create_network(call: Call) -> Network:
    """A network's name is its own within the zone."""
    if call.has("networkofferingid") and call.text("networkofferingid") != NETWORK_OFFERING_UUID:
        raise InvalidRequest(
            f"parameter networkofferingid: there is no such offering; there is one, with the id {NETWORK_OFFERING_UUID}"
        )
    values = _values(call)

    def plan() -> list[Change]:
        zone = fresh(call, call.row("zoneid", Zone))
        name = call.text("name")
        refuse_taken(call, Network, "network", name, zone.id)
        network = Network(
            uuid=new_uuid(),
            name=name,
            display_text=call.text("displaytext", name),
            data_center_id=zone.id,
            created=call.now(),
            **values,
        )
        told = call.event(
            "NETWORK.CREATE", f"created network {name} in zone {zone.name}", resource=("Network", network.uuid)
        )
        return [Insert(network), Insert(told)]

    return stored(call, Network, change_inventory(call, plan)[0])


@command(
    "updateNetwork",
    "Changes what a network is called.",
    kind="sync",
    responds="network",
    parameters=(
        Parameter("id", "uuid", "the UUID of the network", required=True, of="network"),
        Parameter("name", "string", "a new name"),
        Parameter("displaytext", "string", "what it is"),
    ),
)
def update_network(call: Call) -> Network:
    """Addresses and VLAN stay: guests and bridges have them."""
    values = given(call, name="name", display_text="displaytext")

    def rename(network: Network, name: str) -> None:
        refuse_taken(call, Network, "network", name, network.data_center_id)

    return edit(call, Network, values, event=("NETWORK.UPDATE", "network", "Network"), rename=rename)


@command(
    "deleteNetwork",
    "Removes a network that no VM is on.",
    kind="sync",
    responds="success",
    parameters=(Parameter("id", "uuid", "the UUID of the network", required=True, of="network"),),
)
def delete_network(call: Call) -> Success:
    """Refused with 536 as long as VMs are on it."""

    def plan() -> list[Change]:
        network = fresh(call, call.row("id", Network))
        refuse_used(call, f"network {network.name}", "network_id", network.id, (Vm,))
        told = call.event("NETWORK.DELETE", f"removed network {network.name}", resource=("Network", network.uuid))
        return [Update(Network, network.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


@command(
    "listNetworkOfferings",
    "Lists network offerings: there is one.",
    kind="list",
    responds="networkoffering",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of the offering"),
        Parameter("name", "string", "name of the offering"),
        Parameter("state", "string", "Enabled or Disabled", words=("Enabled", "Disabled")),
        Parameter("guestiptype", "string", "Shared or Isolated", words=_GUEST_TYPES),
    ),
)
def list_network_offerings(call: Call) -> Listing:
    """Networks are bridges that the hosts share."""
    offering = {
        "id": NETWORK_OFFERING_UUID,
        "name": NETWORK_OFFERING_NAME,
        "displaytext": "A bridge that the hosts share",
        "guestiptype": "Shared",
        "traffictype": "Guest",
        "state": "Enabled",
        "availability": "Optional",
        "isdefault": True,
        "specifyvlan": True,
        "specifyipranges": True,
        "forvpc": False,
    }
    return pick_page(call, [offering], "id", "name", "state", "guestiptype", search="name")


def _values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if call.has("gateway"):
        found["gateway"] = check_address("gateway", call.text("gateway"))
    if call.has("netmask"):
        found["netmask"] = check_netmask("netmask", call.text("netmask"))
    for name in ("startip", "endip"):
        if call.has(name):
            check_address(name, call.text(name))
    if "gateway" in found and "netmask" in found and ":" not in found["gateway"]:
        found["cidr"] = check_cidr("netmask", f"{found['gateway']}/{found['netmask']}")
    if call.has("vlan"):
        found["vlan"] = call.text("vlan")
    return found
