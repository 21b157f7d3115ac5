"""Templates: images that VMs are made from."""

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query
from holdfast.model import Template, Zone

from holdfast_api.call import Call, Listing, new_uuid
from holdfast_api.hypervisors import check_hypervisor
from holdfast_api.inventory_change import change_inventory, fresh, stored
from holdfast_api.paging import given, select_page
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
        Parameter("hypervisor", "string", "templates for this hypervisor"),
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
        Parameter("ostypeid", "string", "operating system in it"),
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
        if call.store.count(Template, Query(equal={"name": name, "data_center_id": zone_id, "removed": None})):
            raise InvalidRequest(f"parameter name: there is a template {name!r} already; choose another name")
        template = Template(
            uuid=new_uuid(),
            name=name,
            display_text=call.text("displaytext", name),
            format=format_,
            hypervisor_type=hypervisor,
            url=call.text("url"),
            os_type=call.text("ostypeid"),
            data_center_id=zone_id,
            is_public=call.flag("ispublic", True),
            created=call.now(),
        )
        told = call.event("TEMPLATE.CREATE", f"registered template {name}", resource=("Template", template.uuid))
        return [Insert(template), Insert(told)]

    return Listing.of([stored(call, Template, change_inventory(call, plan)[0])])


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
