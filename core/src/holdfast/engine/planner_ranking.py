"""A ranking: the hosts of one area, best first, for all requests of one shape; kept up to date host by host."""

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

from holdfast.engine.planner_panel import Panel, Refusal, Scores
from holdfast.hooks.placement import HostRoom, Request

Entry = tuple[Scores, str, str]
"""Scores, host name, host uuid: ties go to the first name, then the first uuid."""


class Ranking:
    """The hosts of one area as requests of one shape see them.

    `changes` is the log of the area: uuids of hosts that were given a VM. Before each choice only the hosts that were
    logged since the last one are judged again. `journal` keeps every judgement in order, so that what was known at any
    earlier moment is its first so many entries.
    """

    __slots__ = (
        "_changes", "_heap", "_members", "_panel", "_refused", "_refused_by", "_seen", "_shape", "_standing", "journal",
    )  # fmt: skip

    def __init__(self, panel: Panel, shape: Request, hosts: Sequence[HostRoom], changes: Sequence[str]) -> None:
        self.journal: list[tuple[str, Refusal | Scores]] = []
        self._panel = panel
        self._shape = shape
        self._members = {host.uuid: host for host in hosts}
        self._changes = changes
        self._seen = len(changes)
        self._standing: dict[str, Scores] = {}
        self._refused_by: dict[str, str] = {}
        self._refused: dict[str, int] = {}
        self._heap: list[Entry] = []
        self._judge(hosts)

    @property
    def standing(self) -> int:
        """How many hosts nobody refuses."""
        return len(self._standing)

    @property
    def refused(self) -> Mapping[str, int]:
        """How many hosts each plugin refuses, as a copy."""
        return {by: count for by, count in self._refused.items() if count}

    def choose(self, passes: Callable[[HostRoom], bool]) -> HostRoom | None:
        """The best host that nobody refuses and that `passes`, or None. `passes` is asked in the order of merit."""
        if self._seen < len(self._changes):
            news = dict.fromkeys(self._changes[self._seen :])
            self._seen = len(self._changes)
            self._judge([self._members[uuid] for uuid in news if uuid in self._members])
        heap, passed_over, chosen = self._heap, [], None
        while heap:
            scores, _, uuid = heap[0]
            if self._standing.get(uuid) is not scores:  # judged again since: a newer entry stands for it, or none
                heappop(heap)
                continue
            if passes(self._members[uuid]):
                chosen = self._members[uuid]
                break
            passed_over.append(heappop(heap))
        for entry in passed_over:
            heappush(heap, entry)
        return chosen

    def scores_of(self, host: HostRoom) -> Mapping[str, float]:
        """What each plugin gave a host that stands, by plugin."""
        return by_plugin(self._panel.names, self._standing[host.uuid])

    def _judge(self, hosts: Sequence[HostRoom]) -> None:
        verdicts = self._panel.judge(self._shape, hosts)
        self.journal += verdicts
        for uuid, verdict in verdicts:
            before = self._refused_by.pop(uuid, None)
            if before is not None:
                self._refused[before] -= 1
            if isinstance(verdict, Refusal):
                self._standing.pop(uuid, None)
                self._refused_by[uuid] = verdict.by
                self._refused[verdict.by] = self._refused.get(verdict.by, 0) + 1
            else:
                self._standing[uuid] = verdict
                heappush(self._heap, (verdict, self._members[uuid].name, uuid))


def by_plugin(names: Sequence[str], scores: Scores) -> Mapping[str, float]:
    """The scores as given, by plugin; those that gave 0 or have no preference are left out."""
    return {name: -score for name, score in zip(names, scores, strict=True) if score}
