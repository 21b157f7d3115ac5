"""Fence devices that two hosts claim: one of them is a mistake, and what such a device reads says nothing of either.

Believing it would fence the wrong host, and take its OFF for the proof that the other one is dead.
"""

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Host, Oobm

from holdfast_manager.inventory import Inventory, place_of


def claimed_twice(inventory: Inventory, host: Host, row: Oobm, driver: Callable[[str, str], Any]) -> str:
    """Which other host's device `row` of `host` is too, in words, with what to do; "" if it is this host's alone.

    Only where the driver says what names a machine (`OobmDriver.MACHINE_OPTIONS`). `driver` finds one by its point and
    name. Blocks no longer than that.
    """
    rivals = [other for other in inventory.crowded.get(place_of(row), ()) if other.host_id != row.host_id]
    if not rivals:
        return ""
    machine = _machine(inventory, host, row, driver)
    for other in rivals if machine is not None else ():
        rival = inventory.hosts[other.host_id]
        if _machine(inventory, rival, other, driver) == machine:
            return (
                f"host {rival.name} has the same device ({other.driver} {other.address}:{other.port}), and it can "
                "switch only one of them: it is not believed, and nothing is sent to it, until one of the two is "
                "configured rightly or disabled"
            )
    return ""


def _machine(inventory: Inventory, host: Host, row: Oobm, driver: Callable[[str, str], Any]) -> object:
    """What names the machine that the device switches, None where the driver does not say."""
    try:
        found = driver("oobm", row.driver)
        names = getattr(found, "MACHINE_OPTIONS", None)
        options: Mapping[str, str] = inventory.bmc_view(host, row).options
    except HoldfastError:
        return None  # nothing is read or switched through a driver that is broken
    if names is None:
        return None
    return type(found), tuple(options.get(name, "").strip().lower() for name in names)
