"""The order in which VMs are restarted: system VMs, then priority, then dependencies, then size (design §4)."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import NamedTuple


class RestartItem(NamedTuple):
    """One VM to restart. `cpu` is MHz in all, `ram` MB; `priority`: higher is earlier.

    `depends_on` are uuids of VMs that must start before it; those that are not to be restarted do not count.
    """

    vm_uuid: str
    system: bool = False
    priority: int = 0
    depends_on: tuple[str, ...] = ()
    cpu: int = 0
    ram: int = 0
    cluster: str = ""


class RestartOrder(NamedTuple):
    """VM uuids, first to start first; and what was wrong with the dependencies, one sentence each."""

    vm_uuids: tuple[str, ...]
    warnings: tuple[str, ...]


_Rank = tuple[bool, int]
_Key = tuple[bool, int, int, int, str, str]


def restart_order(items: Iterable[RestartItem]) -> RestartOrder:
    """The order, the same for the same items in any order.

    A VM takes over the rank (system, priority) of the highest-ranked VM that depends on it: otherwise a priority given
    to one alone would start it before what it cannot work without. Within a rank the larger VM goes first (memory,
    then CPU), since small ones still fit into the room that is left. Then cluster and uuid; VMs that see the same
    hosts follow one another, which the planner is quick at. A cycle is broken at its first member by that order, and
    reported.
    """
    by_uuid = {item.vm_uuid: item for item in items}
    warnings = [f"VM {uuid} depends on itself; ignored" for uuid in sorted(by_uuid) if uuid in by_uuid[uuid].depends_on]
    waits_for = {
        uuid: {other for other in item.depends_on if other in by_uuid and other != uuid}
        for uuid, item in by_uuid.items()
    }
    queue = _Queue(by_uuid, waits_for)
    while len(queue.done) < len(by_uuid):
        if not queue.ready:
            warnings.append(queue.break_cycle())
        queue.start_next()
    return RestartOrder(tuple(queue.done), tuple(warnings))


class _Queue:
    """VMs that wait for none are `ready`, best first; each that starts may make others ready."""

    def __init__(self, items: Mapping[str, RestartItem], waits_for: dict[str, set[str]]) -> None:
        self.done: dict[str, None] = {}
        self._waits_for = waits_for
        self._needed_by: dict[str, list[str]] = {uuid: [] for uuid in items}
        for uuid, needs in waits_for.items():
            for other in needs:
                self._needed_by[other].append(uuid)
        ranks = _inherited_ranks(items, waits_for)
        self._key: dict[str, _Key] = {
            uuid: (not ranks[uuid][0], -ranks[uuid][1], -item.ram, -item.cpu, item.cluster, uuid)
            for uuid, item in items.items()
        }
        self.ready = [self._key[uuid] for uuid, needs in waits_for.items() if not needs]
        heapify(self.ready)
        self._in_order = sorted(items, key=self._key.__getitem__, reverse=True)

    def start_next(self) -> None:
        """Take the best of those that are ready."""
        uuid = heappop(self.ready)[-1]
        self.done[uuid] = None
        for waiting in self._needed_by[uuid]:
            needs = self._waits_for[waiting]
            if uuid in needs:
                needs.remove(uuid)
                if not needs:
                    heappush(self.ready, self._key[waiting])

    def break_cycle(self) -> str:
        """Make one member of a cycle ready although it waits; says which."""
        # Everything left waits for something left, so walking from any of them ends in a cycle.
        while self._in_order[-1] in self.done:
            self._in_order.pop()
        step = self._in_order[-1]
        path: dict[str, None] = {}
        while step not in path:
            path[step] = None
            step = min(self._waits_for[step], key=self._key.__getitem__)
        walked = list(path)
        cycle = walked[walked.index(step) :]
        first = min(cycle, key=self._key.__getitem__)
        self._waits_for[first].clear()
        heappush(self.ready, self._key[first])
        return f"dependencies run in a circle: {' → '.join([*cycle, cycle[0]])}; VM {first} starts first"


def _inherited_ranks(items: Mapping[str, RestartItem], waits_for: Mapping[str, set[str]]) -> dict[str, _Rank]:
    """Each VM's own rank or that of the highest-ranked VM that depends on it, directly or not."""
    ranks: dict[str, _Rank] = {uuid: (item.system, item.priority) for uuid, item in items.items()}
    # From the highest rank down, so that each VM is raised at most once.
    raised: set[str] = set()
    for uuid in sorted(items, key=lambda uuid: (*ranks[uuid], uuid), reverse=True):
        pending = [uuid]
        while pending:
            at = pending.pop()
            if at in raised:
                continue
            raised.add(at)
            for needed in waits_for[at]:
                if needed not in raised:
                    ranks[needed] = max(ranks[needed], ranks[at])
                    pending.append(needed)
    return ranks
