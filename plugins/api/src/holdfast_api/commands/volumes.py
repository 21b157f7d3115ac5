"""Volumes, as clients look for them: the root disks of VMs."""

from typing import Any

from holdfast.hooks.store import Query
from holdfast.model import Vm, VmState

from holdfast_api.call import Call, Listing
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.responses.volumes import volume_uuid

_KEPT = tuple(state for state in VmState if state not in (VmState.DESTROYED, VmState.EXPUNGING))


@command(
    "listVolumes",
    "Lists volumes: each VM has its root disk.",
    kind="list",
    responds="volume",
    parameters=(
        Parameter("id", "string", "the UUID of the volume"),
        Parameter("name", "string", "name of the volume"),
        Parameter("type", "string", "ROOT; there are no others", words=("ROOT",)),
        Parameter("virtualmachineid", "uuid", "the volume of this VM", of="virtualmachine"),
        Parameter("zoneid", "uuid", "volumes in this zone", of="zone"),
        Parameter("podid", "uuid", "volumes in this pod", of="pod"),
        Parameter("hostid", "uuid", "volumes of VMs on this host", of="host"),
        Parameter("storageid", "uuid", "volumes in this storage pool", of="storagepool"),
    ),
)
def list_volumes(call: Call) -> Listing:
    """By the VM's name. Disks of destroyed VMs are given up and not shown."""
    if call.text("type", "ROOT") != "ROOT":
        return Listing((), 0)
    places = {"data_center_id": "zoneid", "pod_id": "podid", "host_id": "hostid", "pool_id": "storageid"}
    equal: dict[str, Any] = {"removed": None, **given(call, id="virtualmachineid", **places)}
    among: dict[str, Any] = {"state": _KEPT}
    named = [_named(call, name) for name in ("id", "name") if call.has(name)]
    if named:
        among["id"] = tuple(frozenset.intersection(*named))
    return select_page(call, Vm, equal=equal, among=among, search=("name", "display_name"), order=("name",))


def _named(call: Call, parameter: str) -> frozenset[int]:
    """Database ids of the VMs whose volume is so called."""
    wanted = call.text(parameter)
    if parameter == "name":
        number = wanted.removeprefix("ROOT-")
        return frozenset({int(number)} if number.isdecimal() and wanted != number else ())
    vms = call.store.select(Vm, Query(equal={"removed": None}))
    return frozenset(vm.id for vm in vms if volume_uuid(vm) == wanted.lower())
