"""What becomes of an incident whose `ha_config` row was removed, or replaced, by hand.

The row holds where the host's quarantine came from. As long as this server still knows it, the incident moves into the
new row, and ends as any other: a row with HA off releases the host. Otherwise an alert says how to return it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holdfast.engine.resumption import memory
from holdfast.hooks.store import Change, Insert
from holdfast.model import HaConfig, Host, ResourceState

from holdfast_manager.desk import Desk
from holdfast_manager.journal import as_json

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor


async def rows_for_missing(desk: Desk, host: Host, row: HaConfig, actor: "HostActor | None") -> list[Change]:
    """What to store for a host that has no row: `row`, with what is still known. Raises what the store raises."""
    known = carried_over(row, actor)
    stored = await desk.memory.get(Host, host.id)
    if known or stored is None or stored.resource_state != ResourceState.MAINTENANCE:
        return [Insert(replace(row, **known))]
    text = (
        f"host {host.name} is in Maintenance, and its ha_config row, which says whether a fence put it there, was "
        "removed. Its VMs are not restarted while host HA is off for it. Look after the host; then "
        "cancelHostMaintenance returns it to service, and configureHAForHost and enableHAForHost watch it again"
    )
    subject = f"host {host.name} stays quarantined: its ha_config row was removed"
    return [Insert(replace(row, reason=text)), desk.journal.alert("ALERT.HA.QUARANTINE", subject, text, host)]


def carried_over(row: HaConfig, actor: "HostActor | None") -> dict[str, Any]:
    """The columns by which the fence that `actor` knows of goes on in `row`, if that is another row; else nothing."""
    if actor is None or row.id == actor.row.id or actor.record.fence is None:
        return {}
    kept = {**memory(actor.record), **actor.keep}
    return {
        "ha_state": actor.stored_state, "incident": as_json(kept),
        "reason": "its ha_config row was removed by hand while it was being fenced",
    }  # fmt: skip
