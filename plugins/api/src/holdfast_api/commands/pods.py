"""Pods: racks or rows of a zone."""

from typing import Any

from holdfast.hooks.store import Change, Insert, Update
from holdfast.model import Cluster, Host, Pod, Zone

from holdfast_api.addresses import check_address, check_netmask
from holdfast_api.call import Call, Listing, Success, new_uuid
from holdfast_api.commands.zones import STATES, refuse_used
from holdfast_api.inventory_change import change_inventory, edit, fresh, refuse_taken, stored
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

_COMMON = (
    Parameter("gateway", "string", "gateway of the management network"),
    Parameter("netmask", "string", "netmask of the management network"),
    Parameter("startip", "string", "first address for system VMs"),
    Parameter("endip", "string", "last address for system VMs"),
    Parameter("allocationstate", "string", "Disabled: it takes no new VMs", choices=STATES),
)


@command(
    "listPods",
    "Lists pods.",
    kind="list",
    responds="pod",
    parameters=(
        Parameter("id", "uuid", "the UUID of the pod", of="pod"),
        Parameter("name", "string", "name of the pod"),
        Parameter("zoneid", "uuid", "pods of this zone", of="zone"),
        Parameter("allocationstate", "string", "pods in this state", choices=STATES),
    ),
)
def list_pods(call: Call) -> Listing:
    """By name."""
    fields = {"id": "id", "name": "name", "data_center_id": "zoneid", "allocation_state": "allocationstate"}
    return select_page(call, Pod, equal={"removed": None, **given(call, **fields)}, search=("name",), order=("name",))


@command(
    "createPod",
    "Creates a pod in a zone.",
    kind="sync",
    responds="pod",
    parameters=(
        Parameter("name", "string", "name of the pod", required=True),
        Parameter("zoneid", "uuid", "the zone it lies in", required=True, of="zone"),
        *_COMMON,
    ),
)
def create_pod(call: Call) -> Pod:
    """A pod's name is its own within the zone."""
    values = _values(call)

    def plan() -> list[Change]:
        zone = fresh(call, call.row("zoneid", Zone))
        name = call.text("name")
        refuse_taken(call, Pod, "pod", name, zone.id)
        pod = Pod(uuid=new_uuid(), name=name, data_center_id=zone.id, created=call.now(), **values)
        told = call.event("POD.CREATE", f"created pod {name} in zone {zone.name}", resource=("Pod", pod.uuid))
        return [Insert(pod), Insert(told)]

    return stored(call, Pod, change_inventory(call, plan)[0])


@command(
    "updatePod",
    "Changes a pod.",
    kind="sync",
    responds="pod",
    parameters=(
        Parameter("id", "uuid", "the UUID of the pod", required=True, of="pod"),
        Parameter("name", "string", "a new name"),
        *_COMMON,
    ),
)
def update_pod(call: Call) -> Pod:
    """What is not given stays."""
    values = _values(call)
    if call.has("name"):
        values["name"] = call.text("name")

    def rename(pod: Pod, name: str) -> None:
        refuse_taken(call, Pod, "pod", name, pod.data_center_id)

    return edit(call, Pod, values, event=("POD.EDIT", "pod", "Pod"), rename=rename)


@command(
    "deletePod",
    "Removes a pod that is empty.",
    kind="sync",
    responds="success",
    parameters=(Parameter("id", "uuid", "the UUID of the pod", required=True, of="pod"),),
)
def delete_pod(call: Call) -> Success:
    """Refused with 536 as long as it has clusters or hosts."""

    def plan() -> list[Change]:
        pod = fresh(call, call.row("id", Pod))
        refuse_used(call, f"pod {pod.name}", "pod_id", pod.id, (Cluster, Host))
        told = call.event("POD.DELETE", f"removed pod {pod.name}", resource=("Pod", pod.uuid))
        return [Update(Pod, pod.id, {"removed": call.now()}, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return Success()


def _values(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in (("gateway", "gateway"), ("startip", "start_ip"), ("endip", "end_ip")):
        if call.has(name):
            found[field] = check_address(name, call.text(name))
    if call.has("netmask"):
        found["netmask"] = check_netmask("netmask", call.text("netmask"))
    if call.has("allocationstate"):
        found["allocation_state"] = call.text("allocationstate")
    return found
