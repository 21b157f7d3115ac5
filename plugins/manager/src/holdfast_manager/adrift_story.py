"""What is told of hosts that no pool takes heartbeats of: an event for each turn, and one alert for an outage."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from holdfast.errors import HoldfastError
from holdfast.hooks.store import Change, Insert, Query
from holdfast.model import Alert, Host, Moment

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.grants")

_SAME_OUTAGE_SECONDS = 60.0
"""Hosts of other servers lose their storage with ours: an alert that another raised so lately is not raised again."""


class Turn(StrEnum):
    """How it stands with a host, in words."""

    GRANTED = (
        "no pool takes its heartbeats, and its neighbours have not reached the pools for a minute on end: it is "
        "granted life, as long as it is heard, and its watchdog does not reset it"
    )
    LEFT = (
        "no pool takes its heartbeats, but its neighbours reach the pools: it is granted nothing, and its watchdog "
        "resets it if VMs run on it that another host could run"
    )
    OVER = "its pools take its heartbeats again"


class AdriftStory:
    """Event loop only. Returns at once; what the store does not take is not told again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._alerted: set[int] = set()
        """Ids of clusters of whose present outage an alert was raised."""

    def tell(self, host: Host, turn: Turn) -> None:
        """It stands so with the host from now on."""
        level = logging.INFO if turn is Turn.OVER else logging.WARNING
        log.log(level, "host %s: %s", host.name, turn)
        event = self._desk.journal.event(
            "HA.STORAGE.ADRIFT", f"host {host.name}: {turn}",
            resource=host.uuid, level="INFO" if turn is Turn.OVER else "WARN",
        )  # fmt: skip
        first = turn is Turn.GRANTED and host.cluster_id not in self._alerted
        if first:
            self._alerted.add(host.cluster_id)
        self._desk.spawn(self._store(host, event, first))

    def still_away(self, clusters: Iterable[int]) -> None:
        """In all others the outage is over: should it come again, it is alerted again."""
        self._alerted &= set(clusters)

    async def _store(self, host: Host, event: Insert, alert: bool) -> None:
        memory = self._desk.memory
        try:
            changes: list[Change] = [event]
            if alert:
                row = self._alert(host)
                same = {"name": row.name, "subject": row.subject, "archived": False}
                lately = {"created": Moment(self._desk.clock.wall() - _SAME_OUTAGE_SECONDS)}
                if not await memory.select(Alert, Query(equal=same, above=lately, limit=1)):
                    changes.append(Insert(row))
            await memory.commit(changes)
        except HoldfastError as problem:
            log.info("what was to be told of host %s was not stored: %s", host.name, problem)

    def _alert(self, host: Host) -> Alert:
        cluster = self._desk.inventory.clusters.get(host.cluster_id)
        subject = f"the storage of cluster {cluster.name if cluster else host.cluster_id} answers none of its hosts"
        text = (
            f"{subject}: host {host.name} is the first that no pool takes heartbeats of. Mend the storage, or the way "
            "to it. Hosts that are heard do not reset themselves; VMs wait for their disks, and nothing is started"
        )
        made = self._desk.journal.alert("ALERT.HA.STORAGE.AWAY", subject, text).row
        assert isinstance(made, Alert)
        return replace(made, data_center_id=host.data_center_id, cluster_id=host.cluster_id)
