"""The alert for a silent host on which VMs may run while its HA is off: nobody finds out, nobody restarts them.

One for as long as that lasts. It is closed when the host answers, or when host HA sees to it again.
"""

from typing import TYPE_CHECKING

from holdfast.engine.incident import Decision, Moved
from holdfast.hooks.store import Change
from holdfast.model import Alert, HAState, Host

from holdfast_manager.census import UNWATCHED
from holdfast_manager.desk import Desk
from holdfast_manager.runs_of_hosts import RunsOfHosts
from holdfast_manager.shared_reads import SharedReads

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor

ALERT = "ALERT.HA.UNWATCHED"


class UnwatchedAlert:
    """Rows for batches about hosts. Event loop only."""

    def __init__(self, desk: Desk, runs: RunsOfHosts) -> None:
        self._desk = desk
        self._runs = runs
        still_open = {"name": ALERT, "resolved": None}
        # Looked for with each host that is fenced, and those may be a rack.
        self._open: SharedReads[Alert] = SharedReads(desk, Alert, "resource_id", equal=still_open)

    async def together_with(self, actor: "HostActor", decisions: tuple[Decision, ...]) -> list[Change]:
        """What to store with these decisions. Raises what the store raises."""
        changes: list[Change] = []
        for move in decisions:
            if not isinstance(move, Moved) or move.source is move.target:
                continue
            if move.target is HAState.FENCED or (move.source in UNWATCHED - {None} and move.target not in UNWATCHED):
                changes += await self.closed(actor.host) if actor.record.silent else []
            elif move.target in UNWATCHED and not self.is_heard(actor.host):
                changes += await self.opened(actor.host, move.target, move.reason)
        return changes

    def is_heard(self, host: Host) -> bool:
        """Whether its agent was heard lately, or it was taken over too short a time ago to say."""
        link = self._desk.links.links.get(host.uuid)
        return link is None or self._desk.clock.monotonic() - link.heard_at < self._desk.silent_after()

    async def opened(self, host: Host, state: HAState | None, reason: str) -> list[Change]:
        """Its alert, if VMs may run there and there is none yet. Raises what the store raises."""
        count = len(await self._runs.permits(host.id))
        if not count or await self._open.of(host.uuid):
            return []
        way_out = (
            "declareHostDead lets them start elsewhere" if state is HAState.INELIGIBLE
            else "enable its HA (enableHAForHost): it is watched then, and fenced"
        )  # fmt: skip
        text = (
            f"host {host.name} does not answer, and host HA is {state or 'off'} for it ({reason}): whether its VMs "
            f"live, {count} in all, is not found out, and they are not restarted elsewhere. See to the host; if it is "
            f"dead, {way_out}"
        )
        return [self._desk.journal.alert(ALERT, f"host {host.name} is silent, and its HA is off", text, host)]

    async def closed(self, host: Host) -> list[Change]:
        """The end of its alert, if there is one. Raises what the store raises."""
        return [*self._desk.journal.closed(await self._open.of(host.uuid))]
