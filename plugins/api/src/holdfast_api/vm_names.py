"""Names of VMs: host names of their guests, each its own within the zone."""

import re

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Query
from holdfast.model import Vm

from holdfast_api.call import Call

_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_vm_name(name: str) -> str:
    """The name, or `InvalidRequest` if no guest could have it as its host name."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"parameter name: {name[:70]!r} is no host name: up to 63 letters, digits and hyphens, the first a letter, "
            "the last no hyphen; displayname takes any text"
        )
    return name


def refuse_taken(call: Call, name: str, zone_id: int) -> None:
    """`InvalidRequest` if a VM of the zone has this name, letter case aside."""
    rows = call.store.select(
        Vm, Query(equal={"data_center_id": zone_id, "removed": None}, containing={name: ("name",)})
    )
    if any(row.name.lower() == name.lower() for row in rows):
        raise InvalidRequest(f"parameter name: the zone has a VM {name!r} already; choose another name")
