"""Zones: the areas that restarts never leave."""

from typing import Any

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Host, Network, Pod, Row, StoragePool, Vm, Zone

from holdfast_api.addresses import check_address, check_cidr
from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.inventory_change import change_inventory, edit, fresh, stored
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

STATES = ("Enabled", "Disabled")
_ADDRESSES = {"dns1": "dns1", "dns2": "dns2", "internaldns1": "internal_dns1", "internaldns2": "internal_dns2"}
_COMMON = (
    Parameter("dns2", "string", "second name server of guests"),
    Parameter("internaldns2", "string", "second name server of the cloud's own machines"),
    Parameter("guestcidraddress", "string", "addresses of guests, such as 10.1.1.0/24"),
    Parameter("allocationstate", "string", "Disabled: it takes no new VMs", choices=STATES),
)


@command(
    "listZones",
    "Lists zones.",
    kind="list",
    responds="zone",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of the zone", of="zone"),
        Parameter("ids", "list", "UUIDs of zones", of="zone", length=0),
        Parameter("name", "string", "name of the zone"),
        Parameter("networktype", "string", "Basic or Advanced"),
        Parameter("available", "boolean", "true: only zones that take new VMs"),
    ),
)
def list_zones(call: Call) -> Listing:
    """By name."""
    equal: dict[str, Any] = {"removed": None, **given(call, id="id", name="name", networktype="networktype")}
    if call.flag("available"):
        equal["allocation_state"] = "Enabled"
    among = {"id": tuple(row.id for row in call.rows("ids", Zone))} if call.has("ids") else {}
    return select_page(call, Zone, equal=equal, among=among, search=("name",), order=("name",))


@command(
    "createZone",
    "Creates a zone.",
    kind="sync",
    responds="zone",
    parameters=(
        Parameter("name", "string", "name of the zone", required=True),
        Parameter("dns1", "string", "first name server of guests"),
        Parameter("internaldns1", "string", "first name server of the cloud's own machines"),
        Parameter("networktype", "string", "kind of networks", choices=("Basic", "Advanced")),
        *_COMMON,
    ),
)
def create_zone(call: Call) -> Zone:
    """A zone's name is its own."""
    values = _values(call)

    def plan() -> list[Change]:
        _refuse_taken(call, call.text("name"))
        zone = Zone(
            uuid=new_uuid(),
            name=call.text("name"),
            networktype=call.text("networktype", "Advanced"),
            created=call.now(),
            **values,
        )
        told = call.event("ZONE.CREATE", f"created zone {zone.name}", resource=("Zone", zone.uuid))
        return [Insert(zone), Insert(told)]

    return stored(call, Zone, change_inventory(call, plan)[0])


@command(
    "updateZone",
    "Changes a zone.",
    kind="sync",
    responds="zone",
    parameters=(
        Parameter("id", "uuid", "the UUID of the zone", required=True, of="zone"),
        Parameter("name", "string", "a new name"),
        Parameter("dns1", "string", "first name server of guests"),
        Parameter("internaldns1", "string", "first name server of the cloud's own machines"),
        *_COMMON,
    ),
)
def update_zone(call: Call) -> Zone:
    """What is not given stays."""
    values = _values(call)
    if call.has("name"):
        values["name"] = call.text("name")

    def rename(_zone: Zone, name: str) -> None:
        _refuse_taken(call, name)

    return edit(call, Zone, values, event=("ZONE.EDIT", "zone", "Zone"), rename=rename)


@command(
    "deleteZone",
    "Removes a zone that is empty.",
    kind="sync",
    responds="success",
    parameters=(Parameter("id", "uuid", "the UUID of the zone", required=True, of="zone"),),
)
def delete_zone(call: Call) -> Success:
    """Refused with 536 as long as anything lies in it."""

    def plan() -> list[Change]:
        zone = fresh(call, call.row("id", Zone))
        refuse_used(call, f"zone {zone.name}", "data_center_id", zone.id, (Pod, Host, StoragePool, Vm, Network))
        told = call.event("ZONE.DELETE", f"removed zone {zone.name}", resource=("Zone", zone.uuid))
        return [Update(Zone, zone.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


def refuse_used(call: Call, what: str, field: str, row_id: int, records: tuple[type[Row], ...]) -> None:
    """`Conflict` if any row of `records` that is not removed still refers to it."""
    for record in records:
        count = call.store.count(record, Query(equal={field: row_id, "removed": None}))
        if count:
            word = {"StoragePool": "storage pool", "Vm": "VM"}.get(record.__name__, record.__name__.lower())
            raise Conflict(f"{what} still has {count} {word}{'' if count == 1 else 's'}: remove them first")


def _refuse_taken(call: Call, name: str) -> None:
    if call.store.count(Zone, Query(equal={"name": name, "removed": None})):
        raise InvalidRequest(f"parameter name: there is a zone {name!r} already; choose another name")


def _values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in _ADDRESSES.items():
        if call.has(name):
            found[field] = check_address(name, call.text(name))
    if call.has("guestcidraddress"):
        found["guest_network_cidr"] = check_cidr("guestcidraddress", call.text("guestcidraddress"))
    if call.has("allocationstate"):
        found["allocation_state"] = call.text("allocationstate")
    return found
