"""VMs: listVirtualMachines and updateVirtualMachine."""

from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Account, ServiceOffering, Template, Vm, VmState

from holdfast_api.call import Call, Listing
from holdfast_api.commands.offerings import PRIORITY
from holdfast_api.domains import ROOT_UUID
from holdfast_api.hypervisors import HYPERVISORS
from holdfast_api.inventory_change import change_inventory, fresh, stored
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.vm_names import check_vm_name, refuse_taken

_GONE = (VmState.DESTROYED, VmState.EXPUNGING)
_STATES = {str(state): (state,) for state in VmState}
_PRESENT = "Present"
_LISTED = (*_STATES, _PRESENT)


@command(
    "listVirtualMachines",
    "Lists VMs.",
    kind="list",
    responds="virtualmachine",
    parameters=(
        Parameter("id", "uuid", "the UUID of the VM", of="virtualmachine"),
        Parameter("ids", "list", "UUIDs of VMs", of="virtualmachine", length=0),
        Parameter("name", "string", "name of the VM"),
        Parameter(
            "state", "string", "VMs in this state; Present: all but destroyed ones", choices=_LISTED, words=_LISTED
        ),
        Parameter("hostid", "uuid", "VMs of this host", of="host"),
        Parameter("zoneid", "uuid", "VMs of this zone", of="zone"),
        Parameter("podid", "uuid", "VMs of this pod", of="pod"),
        Parameter("clusterid", "uuid", "VMs of this cluster", of="cluster"),
        Parameter("storageid", "uuid", "VMs whose disk is in this storage pool", of="storagepool"),
        Parameter("networkid", "uuid", "VMs on this network", of="network"),
        Parameter("templateid", "uuid", "VMs made from this template", of="template"),
        Parameter("serviceofferingid", "uuid", "VMs of this compute offering", of="serviceoffering"),
        Parameter("hypervisor", "string", "VMs of this hypervisor", words=HYPERVISORS),
        Parameter("haenable", "boolean", "by whether HA restarts them"),
        Parameter("account", "string", "VMs of this account"),
        Parameter("domainid", "uuid", "VMs of this domain; there is one"),
        Parameter("affinitygroup", "string", "VMs of this affinity group", since="0.1"),
    ),
)
def list_virtual_machines(call: Call) -> Listing:
    """By name."""
    equal: dict[str, Any] = given(
        call,
        id="id",
        name="name",
        host_id="hostid",
        data_center_id="zoneid",
        pod_id="podid",
        cluster_id="clusterid",
        pool_id="storageid",
        network_id="networkid",
        vm_template_id="templateid",
        service_offering_id="serviceofferingid",
        ha_enabled="haenable",
        affinity_group="affinitygroup",
    )
    among: dict[str, Any] = {}
    if call.has("ids"):
        among["id"] = tuple(row.id for row in call.rows("ids", Vm))
    if call.has("state"):
        wanted = call.text("state")
        among["state"] = _STATES.get(wanted) or tuple(state for state in VmState if state not in _GONE)
    among |= _elsewhere(call)
    if call.has("domainid") and call.text("domainid") != ROOT_UUID:
        return Listing((), 0)
    search = ("name", "display_name")
    return select_page(call, Vm, equal={"removed": None, **equal}, among=among, search=search, order=("name",))


def _elsewhere(call: Call) -> dict[str, Any]:
    """Filters on what other tables say."""
    found: dict[str, Any] = {}
    if call.has("hypervisor"):
        query = Query(equal={"hypervisor_type": call.text("hypervisor")})
        templates = tuple(row.id for row in call.store.select(Template, query))
        chosen = call.row_or_none("templateid", Template)
        found["vm_template_id"] = tuple(number for number in templates if chosen is None or number == chosen.id)
    if call.has("account"):
        query = Query(equal={"account_name": call.text("account"), "removed": None})
        found["account_id"] = tuple(row.id for row in call.store.select(Account, query))
    return found


@command(
    "updateVirtualMachine",
    "Changes what is recorded of a VM.",
    kind="sync",
    responds="virtualmachine",
    parameters=(
        Parameter("id", "uuid", "the UUID of the VM", required=True, of="virtualmachine"),
        Parameter("name", "string", "a new name"),
        Parameter("displayname", "string", "a new name to show"),
        Parameter("haenable", "boolean", "whether HA restarts it; its offering must offer HA"),
        PRIORITY,
        Parameter(
            "dependson",
            "list",
            "VMs to restart before it; empty for none",
            of="virtualmachine",
            length=0,
            since="0.1",
            allow_empty=True,
        ),
    ),
)
def update_virtual_machine(call: Call) -> Vm:
    """What is not given stays. It counts from the next restart on."""
    if call.has("name"):
        check_vm_name(call.text("name"))

    def plan() -> list[Change]:
        vm = fresh(call, call.row("id", Vm))
        values = _values(call, vm)
        if not values:
            return []
        changed = ", ".join(f"{key}={value}" for key, value in sorted(values.items()))
        told = call.event("VM.UPDATE", f"changed VM {vm.name}: {changed}", resource=("VirtualMachine", vm.uuid))
        return [Update(Vm, vm.id, values, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return stored(call, Vm, call.row("id", Vm).id)


def _values(call: Call, vm: Vm) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if call.has("name") and call.text("name") != vm.name:
        refuse_taken(call, call.text("name"), vm.data_center_id)
        values["name"] = call.text("name")
    if call.has("displayname"):
        values["display_name"] = call.text("displayname")
    if call.has("haenable"):
        offering = call.store.get(ServiceOffering, vm.service_offering_id)
        if call.flag("haenable") and (offering is None or not offering.ha_enabled):
            name = offering.name if offering else "which is gone"
            raise InvalidRequest(
                f"parameter haenable: VM {vm.name} has service offering {name}, which does not offer HA; make the VM "
                "from an offering with offerha=true"
            )
        values["ha_enabled"] = call.flag("haenable")
    if call.has("hapriority"):
        values["ha_priority"] = call.whole("hapriority")
    if call.has("dependson"):
        values["depends_on"] = ",".join(_dependencies(call, vm))
    return values


def _dependencies(call: Call, vm: Vm) -> list[str]:
    wanted = call.rows("dependson", Vm)
    for other in wanted:
        if other.data_center_id != vm.data_center_id:
            raise InvalidRequest(f"parameter dependson: VM {other.name} lies in another zone than VM {vm.name}")
    # A ring of dependencies would have each wait for the other for ever.
    known = {row.uuid: row for row in call.store.select(Vm, Query(equal={"removed": None}, unequal={"depends_on": ""}))}
    ahead, seen = [row.uuid for row in wanted], set[str]()
    while ahead:
        one = ahead.pop()
        if one == vm.uuid:
            raise InvalidRequest(
                f"parameter dependson: VM {vm.name} would depend on itself; leave out the VM that needs it"
            )
        if one not in seen:
            seen.add(one)
            ahead += known[one].depends_on.split(",") if one in known else []
    return [row.uuid for row in wanted]
