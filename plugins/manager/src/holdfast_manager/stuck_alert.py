"""The end of the alerts that a fence is stuck: when the host is proven dead, answers, or is let go.

The engine raises them, more than one for a fence that lasts; an incident remembers that there are any.
"""

from typing import TYPE_CHECKING

from holdfast.engine.incident import Alarm, Decision, Moved
from holdfast.hooks.store import Change
from holdfast.model import HAState

from holdfast_manager.desk import Desk
from holdfast_manager.open_alerts import open_alerts

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor

ALERT = "ALERT.HA.FENCE.STUCK"
KEPT = "stuck_alert"


class StuckAlert:
    """Rows for the batches of hosts. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def together_with(self, actor: "HostActor", decisions: tuple[Decision, ...]) -> list[Change]:
        """What to store with these decisions. Raises what the store raises."""
        changes: list[Change] = []
        for decision in decisions:
            if isinstance(decision, Alarm) and decision.name == ALERT:
                actor.keep[KEPT] = True
            elif isinstance(decision, Moved) and decision.target is not HAState.FENCING and KEPT in actor.keep:
                del actor.keep[KEPT]
                found = await open_alerts(self._desk, ALERT, resource_id=actor.host.uuid)
                changes += self._desk.journal.closed(found)
        return changes
