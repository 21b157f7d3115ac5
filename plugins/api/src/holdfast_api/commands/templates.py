"""Templates: images that VMs are made from."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Template, Vm, Zone

from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.commands.zones import refuse_used
from holdfast_api.hypervisors import HYPERVISORS, check_hypervisor
from holdfast_api.inventory_change import change_inventory, edit, fresh, stored
from holdfast_api.os_types import OS_TYPES, described
from holdfast_api.paging import given, pick_page, select_page
from holdfast_api.registry import Parameter, command

_FILTERS = ("featured", "self", "selfexecutable", "sharedexecutable", "executable", "community", "all")
_FORMATS = ("QCOW2", "RAW", "VHD", "VHDX", "OVA", "VMDK", "ISO", "DIR")


@command(
    "listTemplates",
    "Lists templates.",
    kind="list",
    responds="template",
    access="user",
    parameters=(
        Parameter(
            "templatefilter", "string", "which ones; all of these show all templates", required=True, choices=_FILTERS
        ),
        Parameter("id", "uuid", "the UUID of the template", of="template"),
        Parameter("ids", "list", "UUIDs of templates", of="template", length=0),
        Parameter("name", "string", "name of the template"),
        Parameter("zoneid", "uuid", "templates of this zone, and those of every zone", of="zone"),
        Parameter("hypervisor", "string", "templates for this hypervisor", words=HYPERVISORS),
    ),
)
def list_templates(call: Call) -> Listing:
    """By name. There is one domain and no sharing, so that the filters do not differ."""
    equal = {"removed": None, **given(call, id="id", name="name", hypervisor_type="hypervisor")}
    among = {"id": tuple(row.id for row in call.rows("ids", Template))} if call.has("ids") else {}
    if call.has("zoneid"):
        zone = call.row("zoneid", Zone)
        # Two conditions on one field, of which the store has no "or": the templates are few.
        rows = call.store.select(Template, Query(equal={"removed": None}))
        here = {row.id for row in rows if row.data_center_id in (None, zone.id)}
        among = {"id": tuple(sorted(here & set(among["id"]) if "id" in among else here))}
    return select_page(call, Template, equal=equal, among=among, search=("name", "display_text"), order=("name",))


@command(
    "registerTemplate",
    "Makes an image known. Answers with a list of one, as CloudStack does.",
    kind="list",
    paged=False,
    changes=True,
    responds="template",
    parameters=(
        Parameter("name", "string", "name of the template", required=True),
        Parameter("displaytext", "string", "what it is; the name if not given", length=4096),
        Parameter("format", "string", "format of the image, such as QCOW2", required=True),
        Parameter("hypervisor", "string", "hypervisor it is made for", required=True),
        Parameter("url", "string", "where the image is", required=True, length=2048),
        Parameter("zoneid", "string", "the zone it is for; without, or -1, it is for every zone"),
        Parameter("zoneids", "list", "the zone it is for", of="zone"),
        Parameter("ostypeid", "string", "operating system in it: an id that listOsTypes shows, or words of your own"),
        Parameter("ispublic", "boolean", "whether every account may use it"),
    ),
)
def register_template(call: Call) -> Listing:
    """A template's name is its own within its zone."""
    hypervisor, format_ = check_hypervisor(call), call.text("format").upper()
    if format_ not in _FORMATS:
        raise InvalidRequest(
            f"parameter format: {call.text('format')[:60]!r} is not accepted; allowed is {', '.join(_FORMATS)}"
        )

    def plan() -> list[Change]:
        zone = _zone(call)
        zone_id = zone.id if zone else None
        name = call.text("name")
        _refuse_taken(call, name, zone_id)
        template = Template(
            uuid=new_uuid(),
            name=name,
            display_text=call.text("displaytext", name),
            format=format_,
            hypervisor_type=hypervisor,
            url=call.text("url"),
            os_type=described(call.text("ostypeid")),
            data_center_id=zone_id,
            is_public=call.flag("ispublic", True),
            created=call.now(),
        )
        told = call.event("TEMPLATE.CREATE", f"registered template {name}", resource=("Template", template.uuid))
        return [Insert(template), Insert(told)]

    return Listing.of([stored(call, Template, change_inventory(call, plan)[0])])


@command(
    "updateTemplate",
    "Changes what a template is called.",
    kind="sync",
    responds="template",
    parameters=(
        Parameter("id", "uuid", "the UUID of the template", required=True, of="template"),
        Parameter("name", "string", "a new name"),
        Parameter("displaytext", "string", "what it is", length=4096),
        Parameter("ostypeid", "string", "operating system in it: an id that listOsTypes shows, or words of your own"),
    ),
)
def update_template(call: Call) -> Template:
    """The image stays: VMs are made from it."""
    values = given(call, name="name", display_text="displaytext", os_type="ostypeid")
    if "os_type" in values:
        values["os_type"] = described(values["os_type"])

    def rename(template: Template, name: str) -> None:
        _refuse_taken(call, name, template.data_center_id)

    return edit(call, Template, values, event=("TEMPLATE.UPDATE", "template", "Template"), rename=rename)


@command(
    "deleteTemplate",
    "Forgets a template that no VM was made from. The image stays where it is.",
    kind="sync",
    responds="success",
    parameters=(
        Parameter("id", "uuid", "the UUID of the template", required=True, of="template"),
        Parameter("zoneid", "uuid", "the zone it is for; makes no difference", of="zone"),
    ),
)
def delete_template(call: Call) -> Success:
    """Refused with 536 as long as a VM is there whose disk was made from it."""

    def plan() -> list[Change]:
        template = fresh(call, call.row("id", Template))
        refuse_used(call, f"template {template.name}", "vm_template_id", template.id, (Vm,))
        told = call.event("TEMPLATE.DELETE", f"removed template {template.name}", resource=("Template", template.uuid))
        return [Update(Template, template.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


@command(
    "listOsTypes",
    "Lists operating systems that a template may say it holds.",
    kind="list",
    responds="ostype",
    access="user",
    parameters=(
        Parameter("id", "string", "the UUID of the operating system"),
        Parameter("description", "string", "its description"),
    ),
)
def list_os_types(call: Call) -> Listing:
    """By description."""
    rows = [{"id": one.id, "description": one.description} for one in OS_TYPES]
    return pick_page(call, rows, "id", "description", search="description")


def _refuse_taken(call: Call, name: str, zone_id: int | None) -> None:
    if call.store.count(Template, Query(equal={"name": name, "data_center_id": zone_id, "removed": None})):
        raise InvalidRequest(f"parameter name: there is a template {name!r} already; choose another name")


def _zone(call: Call) -> Zone | None:
    zones = call.rows("zoneids", Zone)
    if len(zones) > 1:
        raise InvalidRequest("parameter zoneids: give one zone, or leave it out: the template is for every zone then")
    if zones:
        return fresh(call, zones[0])
    text = call.text("zoneid", "-1").strip().lower()
    if text == "-1":
        return None
    found = call.store.select(Zone, Query(equal={"uuid": text, "removed": None}))
    if not found:
        raise InvalidRequest(f"parameter zoneid: there is no zone {text[:60]!r}; listZones shows the ids there are")
    return found[0]
