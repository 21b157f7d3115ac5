"""S11: which hosts must have been told that host HA is off for them."""

from collections.abc import Sequence

from holdfast.hooks.store import Change, Delete, Insert, Query, Update
from holdfast.model import ClusterDetail, HaConfig, Host, ZoneDetail

from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.wellbeing import Wellbeing
from holdfast_simulator.world.network import DATABASE
from holdfast_simulator.world.world import World

_KNOWING = 12.0
"""Seconds that a poll of the tables and two tries of telling the agent take."""
_SWITCH = "resourceHAEnabled"
_SWITCHES = (HaConfig, ClusterDetail, ZoneDetail, Host)
_TELLING = frozenset({"enabled", "resource_id", "resource_type", "removed", "cluster_id", "data_center_id", "uuid"})
"""Of those records, what says whether host HA is on; of details, every value does. Most updates change neither."""
_THERE = Query(equal={"removed": None})


class ToldOff:
    """Sampled each second: a host whose HA has been off for long, while every server heard its agent, must know."""

    def __init__(self, world: World, store: MemoryStore, wellbeing: Wellbeing, servers: tuple[str, ...]) -> None:
        self._world = world
        self._store = store
        self._wellbeing = wellbeing
        self._servers = servers
        self._off_since: dict[str, float] = {}
        self.must_know: set[str] = set()
        """Uuids of hosts that must never reset themselves."""
        self._see()
        self._look()

    def note(self, changes: Sequence[Change]) -> None:
        """A batch was stored: see whose HA is off now."""
        if any(isinstance(change, (Insert, Update, Delete)) and _may_switch(change) for change in changes):
            self._see()

    def _see(self) -> None:
        now = self._world.time.now()
        off = {host.uuid for host in self._store.select(Host, _THERE) if self._is_off(host)}
        self._off_since = {uuid: self._off_since.get(uuid, now) for uuid in sorted(off)}
        self.must_know &= off

    def _look(self) -> None:
        now = self._world.time.now()
        if self._off_since and not self._wellbeing.any_cut_lately(DATABASE):
            for uuid, since in self._off_since.items():
                heard = min(self._wellbeing.heard_for(uuid, server) for server in self._servers)
                if min(heard, now - since) >= _KNOWING:
                    self.must_know.add(uuid)
        self._world.time.call_at(now + 1.0, self._look)

    def _is_off(self, host: Host) -> bool:
        rows = self._store.select(HaConfig, Query(equal={"resource_id": host.id, "resource_type": "Host"}))
        above: list[ClusterDetail | ZoneDetail] = [
            *self._store.select(ClusterDetail, Query(equal={"cluster_id": host.cluster_id, "name": _SWITCH})),
            *self._store.select(ZoneDetail, Query(equal={"dc_id": host.data_center_id, "name": _SWITCH})),
        ]
        return not (rows and rows[0].enabled) or any(row.value.lower() == "false" for row in above)


def _may_switch(change: Insert | Update | Delete) -> bool:
    record = type(change.row) if isinstance(change, Insert) else change.record
    if isinstance(change, Update) and record in (HaConfig, Host):
        return not _TELLING.isdisjoint(change.values)
    return record in _SWITCHES
