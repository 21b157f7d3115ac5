"""What is written down of power readings: changes only, an event when a device falls silent, an alert once a day."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.errors import AuthenticationFailed, Conflict, HoldfastError
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Alert, Host, Moment, Oobm, PowerState
from holdfast.model.alerts import ALERT_TYPES

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.power")

_DAY = 86400.0
_AUTH = "ALERT.OOBM.AUTHERROR"
_LONGEST_PROBLEM = 250
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of asking one fence device: its state, or what went wrong."""

    host: Host
    row: Oobm
    state: PowerState
    problem: str = ""
    error: Exception | None = None


class PowerRecord:
    """Writes readings of fence devices into their rows."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._alerted: dict[int, float] = {}
        """Host id -> when its credentials were last told to be refused, by the wall clock."""

    async def write(self, readings: Sequence[Seen]) -> None:
        """Store what has changed, in one batch where that can be."""
        batches = []
        for seen in readings:
            refused = isinstance(seen.error, AuthenticationFailed)
            if refused and seen.row.id in self._desk.changing_passwords:
                continue  # it was asked with the old one
            changes = self._changes(seen)
            if refused:
                changes += await self._alert_if_known(seen.host)
            if changes:
                batches.append((seen, changes))
        if not batches:
            return
        try:
            await self._desk.memory.commit([change for _, changes in batches for change in changes])
        except Conflict:
            # One of the rows is gone or configured anew; the others are none the worse.
            for seen, changes in batches if len(batches) > 1 else ():
                await self._commit(seen, changes)
            if len(batches) == 1:
                self._untold(batches[0][1], batches[0][0].host)
        except HoldfastError as trouble:
            log.info("power states of %d fence devices were not stored: %s", len(batches), trouble)
            for seen, changes in batches:
                self._untold(changes, seen.host)

    async def alert_of_refused_credentials(self, host: Host) -> None:
        """The alert, unless it was given today, or a new password is on its way."""
        rows = self._desk.inventory.fence_devices.get(host.id, ())
        if any(row.id in self._desk.changing_passwords for row in rows):
            return
        changes = await self._alert(host)
        if changes:
            try:
                await self._desk.memory.commit(changes)
            except HoldfastError:
                self._untold(changes, host)
                raise

    def forget_alert(self, host_id: int) -> None:
        """Out-of-band management was switched: what was told before counts no more."""
        self._alerted[host_id] = _NEVER

    async def _commit(self, seen: Seen, changes: list[Change]) -> None:
        try:
            await self._desk.memory.commit(changes)
        except HoldfastError as trouble:
            log.info("power state of host %s was not stored: %s", seen.host.name, trouble)
            self._untold(changes, seen.host)

    def _untold(self, changes: Sequence[Change], host: Host) -> None:
        """These were not stored: an alert among them was not told, and the next reading tells it."""
        if any(isinstance(change, Insert) and isinstance(change.row, Alert) for change in changes):
            self._alerted.pop(host.id, None)

    async def _alert_if_known(self, host: Host) -> list[Change]:
        try:
            return await self._alert(host)
        except HoldfastError as trouble:
            log.info("whether host %s was told to refuse its credentials is not known: %s", host.name, trouble)
            return []

    def _changes(self, seen: Seen) -> list[Change]:
        problem, row = seen.problem[:_LONGEST_PROBLEM], seen.row
        if seen.state == row.power_state and problem == row.problem:
            return []
        values = {"power_state": seen.state, "problem": problem, "update_time": self._desk.journal.now()}
        # Not over a device that was configured meanwhile: it was another one that was asked.
        changes: list[Change] = [Update(Oobm, row.id, values, expect={"update_count": row.update_count})]
        if seen.state == PowerState.UNKNOWN and row.power_state != PowerState.UNKNOWN:
            text = f"power state of host {seen.host.name}: {row.power_state} -> Unknown: {problem or 'no plain answer'}"
            if (row.level, row.device_index) != (1, 0):
                text += f" (device {row.device_index} of level {row.level})"
            kind = "HOST.OOBM.POWERSTATE.TRANSITION"
            changes.append(self._desk.journal.event(kind, text, resource=seen.host.uuid, level="WARN"))
        return changes

    async def _alert(self, host: Host) -> list[Change]:
        now = self._desk.clock.wall()
        if host.id not in self._alerted:
            told = await self._told_before(host, now)
            self._alerted.setdefault(host.id, told)  # somebody else may have told it meanwhile
        if 0 <= now - self._alerted[host.id] < _DAY:
            return []
        self._alerted[host.id] = now
        text = f"the BMC of host {host.name} refuses the configured credentials: fencing it would fail"
        return [self._desk.journal.alert(_AUTH, text, text, host)]

    async def _told_before(self, host: Host, now: float) -> float:
        """When this or another server last told it, if that was today."""
        query = Query(
            equal={"type": ALERT_TYPES[_AUTH], "resource_id": host.uuid},
            above={"created": Moment(now - _DAY)}, order=("-created",), limit=1,
        )  # fmt: skip
        found = await self._desk.memory.select(Alert, query)
        return found[0].created if found else _NEVER
