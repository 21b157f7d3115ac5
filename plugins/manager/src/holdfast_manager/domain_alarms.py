"""Alarms about a failure domain: one alert speaks for all of its hosts, for as long as what it says lasts.

Without this a rack that falls silent would bring a hundred alerts that all say the same.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.engine.brake import full
from holdfast.engine.incident import Alarm
from holdfast.errors import HoldfastError
from holdfast.hooks.store import Insert, Query
from holdfast.model import Alert, Host, Moment

from holdfast_manager.desk import Desk
from holdfast_manager.open_alerts import open_alerts

if TYPE_CHECKING:
    from holdfast_manager.actor import HostActor

log = logging.getLogger("holdfast.manager.alarms")

_BRAKE = "ALERT.HA.BRAKE"
_OF_HOSTS = {
    "ALERT.HA.FENCE.STUCK": "the fence of host {} does not get through",
    "ALERT.HA.FENCE.SURVIVED": "host {} answers although it was being fenced",
}
_SAME_INCIDENT_SECONDS = 60.0
"""Another server's hosts fall silent with ours: what it said so lately is not said again."""


class DomainAlarms:
    """Which domains were told of, and through which host each is looked at to see whether it is over."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._told: dict[str, HostActor] = {}

    async def news(self, actor: "HostActor", alarms: Sequence[Alarm]) -> list[Alarm]:
        """Those alarms that nobody has raised yet. They count as raised from now on: `forget` them if that fails."""
        found = []
        for alarm in alarms:
            if not alarm.domain:
                found.append(alarm)
            elif alarm.domain not in self._told:
                self._told[alarm.domain] = actor
                try:
                    said = await self._said_by_another(alarm)
                except HoldfastError:
                    self.forget([*found, alarm])
                    raise
                if not said:
                    found.append(alarm)
        return found

    def forget(self, alarms: Sequence[Alarm]) -> None:
        """They could not be stored."""
        for alarm in alarms:
            self._told.pop(alarm.domain, None)

    async def _said_by_another(self, alarm: Alarm) -> bool:
        lately = Moment(self._desk.clock.wall() - _SAME_INCIDENT_SECONDS)
        same = {"name": alarm.name, "subject": _subject(alarm), "archived": False, "resolved": None}
        return bool(await self._desk.memory.select(Alert, Query(equal=same, above={"created": lately}, limit=1)))

    def refresh(self) -> None:
        """Let go of what is over, and close its alert: should it come again, it is said again."""
        for name, actor in list(self._told.items()):
            domain = full(actor.domains(), actor.policy())
            if domain is None or domain.name != name:
                del self._told[name]
                self._desk.spawn(self._close(name, actor))

    async def _close(self, domain: str, actor: "HostActor") -> None:
        try:
            found = await open_alerts(self._desk, _BRAKE, subject=f"{_BRAKE}: {domain}")
            if found:
                await self._desk.memory.commit(self._desk.journal.closed(found))
        except HoldfastError as problem:
            log.info("the alert about %s is closed later: %s", domain, problem)
            self._told.setdefault(domain, actor)

    def row(self, host: Host, alarm: Alarm) -> Insert:
        """The alert to store."""
        if not alarm.domain:
            subject = _OF_HOSTS.get(alarm.name, alarm.name + ": host {}").format(host.name)
            return self._desk.journal.alert(alarm.name, subject, alarm.text, host)
        made = self._desk.journal.alert(alarm.name, _subject(alarm), alarm.text)
        assert isinstance(made.row, Alert)
        cluster = host.cluster_id if alarm.domain.startswith("cluster ") else None
        return Insert(replace(made.row, data_center_id=host.data_center_id, cluster_id=cluster))


def _subject(alarm: Alarm) -> str:
    return f"{alarm.name}: {alarm.domain}"
