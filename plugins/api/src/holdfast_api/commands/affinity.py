"""Affinity groups, as VMs name them: VMs of one group avoid each other's hosts."""

import uuid
from collections import defaultdict

from holdfast.hooks.store import Query
from holdfast.model import Vm

from holdfast_api.call import Call, Listing
from holdfast_api.paging import pick_page
from holdfast_api.registry import Parameter, command

_TYPE = "host anti-affinity"


@command(
    "listAffinityGroups",
    "Lists affinity groups: those that VMs are in. A group begins with its first VM and ends with its last.",
    kind="list",
    responds="affinitygroup",
    parameters=(
        Parameter("id", "string", "the UUID of the affinity group"),
        Parameter("name", "string", "name of the affinity group"),
        Parameter("type", "string", "host anti-affinity; there are no others"),
        Parameter("virtualmachineid", "uuid", "the group that this VM is in", of="virtualmachine"),
    ),
)
def list_affinity_groups(call: Call) -> Listing:
    """By name."""
    members: dict[str, list[Vm]] = defaultdict(list)
    for vm in call.store.select(Vm, Query(equal={"removed": None}, order=("name",))):
        if vm.affinity_group:
            members[vm.affinity_group].append(vm)
    wanted = call.row_or_none("virtualmachineid", Vm)
    groups = [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast:affinitygroup:{name}")),
            "name": name,
            "type": _TYPE,
            "virtualmachineIds": [member.uuid for member in found],
        }
        for name, found in sorted(members.items())
        if wanted is None or wanted.affinity_group == name
    ]
    return pick_page(call, groups, "id", "name", "type", search="name")


@command(
    "listAffinityGroupTypes",
    "Lists kinds of affinity groups: there is one.",
    kind="list",
    responds="affinityGroupType",
    access="user",
)
def list_affinity_group_types(call: Call) -> Listing:
    """What placement knows."""
    return Listing.of([{"type": _TYPE}], call.page)
