"""S9: a restart leaves its cluster only if no host there could have taken it."""

from collections.abc import Sequence

from holdfast.hooks.store import Change, Query, Update
from holdfast.model import HaConfig, HAState, Host, HostStatus, ResourceState, Vm, Work

from holdfast_simulator.memory_store import MemoryStore

_KNOWING = 10.0
"""Seconds for which a host must have been open before every server has to know: the tables are polled and read."""
_CALM = frozenset({HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED, None})


class ClusterFirst:
    """Remembers since when each host takes starts, as the tables have it, and judges restarts by it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._open_since: dict[int, float] = {}
        self.look(-_KNOWING)

    def note(self, changes: Sequence[Change], now: float) -> None:
        """A batch was stored."""
        if any(isinstance(change, Update) and change.record in (Host, HaConfig) for change in changes):
            self.look(now)

    def look(self, now: float) -> None:
        """See which hosts take starts."""
        states = {row.resource_id: row.ha_state for row in self._store.select(HaConfig, Query())}
        found = {
            host.id
            for host in self._store.select(Host, Query(equal={"removed": None}))
            if host.status == HostStatus.UP
            and host.resource_state == ResourceState.ENABLED
            and states.get(host.id) in _CALM
        }
        self._open_since = {host_id: self._open_since.get(host_id, now) for host_id in sorted(found)}

    def violation(self, work: Work, vm: Vm, target: Host, now: float) -> str:
        """What is wrong with restarting `vm` on `target`; "" if nothing is."""
        lost = self._store.get(Host, work.host_id)
        if lost is None or lost.cluster_id == target.cluster_id:
            return ""
        for host_id, since in self._open_since.items():
            host = self._store.get(Host, host_id)
            if host is None or host.cluster_id != lost.cluster_id or host.id == lost.id or now - since < _KNOWING:
                continue
            if str(host.id) not in _numbers(work.excluded) and self._has_room(host, vm):
                return (
                    f"{vm.uuid} was permitted on {target.name} in another cluster than {lost.name}, where it was lost, "
                    f"although {host.name} beside it has taken starts for {now - since:.1f} s and has room"
                )
        return ""

    def _has_room(self, host: Host, vm: Vm) -> bool:
        there = self._store.select(Vm, Query(equal={"host_id": host.id, "removed": None}))
        cpu = sum(one.cpu * one.cpu_speed for one in there) + vm.cpu * vm.cpu_speed
        ram = sum(one.ram for one in there) + vm.ram
        return cpu <= host.cpus * host.speed and ram <= host.ram >> 20


def _numbers(excluded: str) -> set[str]:
    return {part.strip(" []") for part in excluded.split(",")}
