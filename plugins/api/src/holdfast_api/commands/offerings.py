"""Compute offerings: size of a VM, and whether HA restarts it (M2.1)."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import ServiceOffering, Vm

from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.inventory_change import change_inventory, edit, fresh, stored
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

PRIORITY = Parameter(
    "hapriority", "integer", "which VMs are restarted first: those with more", low=-1000, high=1000, since="0.1"
)


@command(
    "listServiceOfferings",
    "Lists compute offerings.",
    kind="list",
    responds="serviceoffering",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of the offering", of="serviceoffering"),
        Parameter("name", "string", "name of the offering"),
        Parameter("offerha", "boolean", "by whether HA restarts their VMs", since="0.1"),
        Parameter("issystem", "boolean", "true: offerings for system VMs, of which there are none"),
        Parameter("virtualmachineid", "uuid", "offerings that this VM could have", of="virtualmachine"),
    ),
)
def list_service_offerings(call: Call) -> Listing:
    """By name."""
    if call.flag("issystem"):
        return Listing((), 0)
    equal = {"removed": None, **given(call, id="id", name="name", ha_enabled="offerha")}
    return select_page(call, ServiceOffering, equal=equal, search=("name", "display_text"), order=("name",))


@command(
    "createServiceOffering",
    "Creates a compute offering.",
    kind="sync",
    responds="serviceoffering",
    parameters=(
        Parameter("name", "string", "name of the offering", required=True),
        Parameter("displaytext", "string", "what it is; the name if not given"),
        Parameter("cpunumber", "integer", "CPUs", required=True, low=1, high=1024),
        Parameter("cpuspeed", "integer", "MHz of one CPU", required=True, low=1, high=1_000_000),
        Parameter("memory", "integer", "MB of memory", required=True, low=1, high=100_000_000),
        Parameter("offerha", "boolean", "whether HA restarts its VMs"),
        PRIORITY,
        Parameter("hosttags", "string", "tag that a host must carry"),
        Parameter("storagetype", "string", "where disks are", choices=("shared", "local")),
    ),
)
def create_service_offering(call: Call) -> ServiceOffering:
    """A VM copies it when it is made: later changes of the offering are for later VMs."""
    tag = call.text("hosttags").strip()
    if "," in tag:
        raise InvalidRequest(f"parameter hosttags: {tag[:60]!r} is a list; an offering asks for one tag")
    if call.flag("offerha") and call.text("storagetype") == "local":
        raise InvalidRequest(
            "parameter offerha: VMs on local storage cannot be restarted elsewhere; say storagetype=shared or "
            "offerha=false"
        )

    def plan() -> list[Change]:
        offering = ServiceOffering(
            uuid=new_uuid(),
            name=call.text("name"),
            display_text=call.text("displaytext", call.text("name")),
            cpu=call.whole("cpunumber"),
            speed=call.whole("cpuspeed"),
            ram_size=call.whole("memory"),
            ha_enabled=call.flag("offerha"),
            ha_priority=call.whole("hapriority"),
            host_tag=tag,
            storage_type=call.text("storagetype", "shared"),
            created=call.now(),
        )
        text = f"created service offering {offering.name}{' with HA' if offering.ha_enabled else ''}"
        told = call.event("SERVICE.OFFERING.CREATE", text, resource=("ServiceOffering", offering.uuid))
        return [Insert(offering), Insert(told)]

    return stored(call, ServiceOffering, change_inventory(call, plan)[0])


@command(
    "updateServiceOffering",
    "Changes what a compute offering is called.",
    kind="sync",
    responds="serviceoffering",
    parameters=(
        Parameter("id", "uuid", "the UUID of the offering", required=True, of="serviceoffering"),
        Parameter("name", "string", "a new name"),
        Parameter("displaytext", "string", "what it is"),
    ),
)
def update_service_offering(call: Call) -> ServiceOffering:
    """Size and HA stay, as in CloudStack: the VMs made from it have them."""
    values = given(call, name="name", display_text="displaytext")
    return edit(call, ServiceOffering, values, event=("SERVICE.OFFERING.EDIT", "service offering", "ServiceOffering"))


@command(
    "deleteServiceOffering",
    "Removes a compute offering. VMs that have it keep it.",
    kind="sync",
    responds="success",
    parameters=(Parameter("id", "uuid", "the UUID of the offering", required=True, of="serviceoffering"),),
)
def delete_service_offering(call: Call) -> Success:
    """No new VM can have it."""

    def plan() -> list[Change]:
        offering = fresh(call, call.row("id", ServiceOffering))
        users = call.store.count(Vm, Query(equal={"service_offering_id": offering.id, "removed": None}))
        text = f"removed service offering {offering.name}, which {users} VMs have"
        told = call.event("SERVICE.OFFERING.DELETE", text, resource=("ServiceOffering", offering.uuid))
        gone = Update(ServiceOffering, offering.id, {"removed": call.now()}, expect={"removed": None})
        return [gone, Insert(told)]

    change_inventory(call, plan)
    return Success()
