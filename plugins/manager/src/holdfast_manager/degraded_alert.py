"""The alert for a host that is silent but whose VMs live: it is left alone, so somebody has to look at it.

One for each such time, however often it is suspected afresh meanwhile. It is closed when the host answers, or when
something else becomes of it.
"""

from typing import TYPE_CHECKING

from holdfast.engine.brake import held
from holdfast.engine.incident import Decision, Moved
from holdfast.hooks.store import Change
from holdfast.model import HAState

from holdfast_manager.desk import Desk
from holdfast_manager.open_alerts import open_alerts

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor

ALERT = "ALERT.HA.DEGRADED"
KEPT = "degraded_alert"
"""By this an incident remembers that the alert is open."""

_STILL_IN_DOUBT = frozenset({HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED})


class DegradedAlert:
    """Rows for the batches of hosts. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def together_with(self, actor: "HostActor", decisions: tuple[Decision, ...]) -> list[Change]:
        """What to store with these decisions."""
        changes: list[Change] = []
        for move in decisions:
            if not isinstance(move, Moved):
                continue
            # Where many are silent at once, the brake's one alert speaks for all of them.
            if move.target is HAState.DEGRADED and KEPT not in actor.keep and not held(actor.domains(), actor.policy()):
                changes.append(self._opened(actor, move.reason))
            elif move.target not in _STILL_IN_DOUBT and KEPT in actor.keep:
                del actor.keep[KEPT]
                found = await open_alerts(self._desk, ALERT, resource_id=actor.host.uuid)
                changes += self._desk.journal.closed(found)
        return changes

    def _opened(self, actor: "HostActor", reason: str) -> Change:
        name = actor.host.name
        text = (
            f"host {name} does not answer, but it lives: {reason}. It is left alone, and its VMs with it; they are not "
            "managed until its agent answers. See to its agent (systemctl status holdfast-agent) and to its network"
        )
        actor.keep[KEPT] = True
        return self._desk.journal.alert(ALERT, f"host {name} is degraded", text, actor.host)
