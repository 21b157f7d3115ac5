"""The planner: a host for each VM that has to start, and why that one and none of the others.

Pure. It keeps S9 by itself: never another zone, the VM's own cluster first, a VM with local storage on its host only.
Within these, the placement plugins decide: a host that one of them refuses is out, and of the others the best wins by
comparing scores plugin by plugin, in the listed order. An earlier scorer dominates the later ones; remaining ties go to
the first host name, then uuid.

Requests that the plugins cannot tell apart share one ranking of the hosts. After each placement only the host that was
chosen is judged again, so a plan costs about (kinds of requests x hosts looked at) + placements.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from holdfast.engine import planner_explanation
from holdfast.engine.planner_panel import Panel, Plugin, Refusal
from holdfast.engine.planner_ranking import Ranking
from holdfast.engine.reach import REACH_FIELDS, Area, areas, out_of_reach
from holdfast.engine.restart_order import RestartItem, RestartOrder, restart_order
from holdfast.errors import InvalidRequest
from holdfast.hooks.placement import HostRoom, Request

__all__ = ["Decision", "Look", "Plan", "Planner", "RestartItem", "RestartOrder", "restart_order"]

_OWN_FIELDS = frozenset({"vm_uuid", "excluded"})
_ALL_FIELDS = frozenset(field.name for field in fields(Request)) - _OWN_FIELDS


class Look(NamedTuple):
    """One area that was looked at: its ranking, how much of its journal was written by then, and what that came to.

    `standing` counts the hosts that the plugins did not refuse, `refused` those that each plugin refused.
    """

    area: Area
    ranking: Ranking
    until: int
    standing: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one VM. `host` is the chosen host's uuid, None if every host is refused.

    `scores` are the chosen host's, by plugin. `looks` and `late` are what the explanation is rendered from.
    """

    request: Request
    host: str | None
    scores: Mapping[str, float]
    looks: tuple[Look, ...]
    late: Mapping[str, Refusal]


class Planner:
    """Plans by an ordered list of (name, placement plugin). Holds no state between plans; may be used by several."""

    def __init__(self, filters_and_scorers: Sequence[tuple[str, Plugin]]) -> None:
        """`filters_and_scorers` in the order of the configuration, made with the settings in effect."""
        self._plugins = tuple(filters_and_scorers)

    def plan(self, requests: Iterable[Request], rooms: Iterable[HostRoom]) -> "Plan":
        """Place `requests` one after the other, in the given order. Neither argument is changed."""
        plan = self.begin(rooms)
        for request in requests:
            plan.place(request)
        return plan

    def begin(self, rooms: Iterable[HostRoom]) -> "Plan":
        """An empty plan over copies of `rooms`; `Plan.place` adds to it. Two rooms of one uuid: `InvalidRequest`."""
        return Plan(self._plugins, rooms)


class Plan:
    """Decisions by VM uuid, and the room that is left after them. Not thread-safe.

    `rooms` (by host uuid) are the plan's own copies. Change them only through `place`.
    """

    def __init__(self, plugins: Sequence[tuple[str, Plugin]], rooms: Iterable[HostRoom]) -> None:
        self.decisions: dict[str, Decision] = {}
        self.rooms: dict[str, HostRoom] = {}
        self._panel = Panel(plugins)
        self._hosts: dict[Area, list[HostRoom]] = defaultdict(list)
        self._changes: dict[Area, list[str]] = defaultdict(list)
        self._rankings: dict[tuple[Area, str, Any], Ranking] = {}
        self._bare_requests: dict[Any, Request] = {}
        told_apart = _ALL_FIELDS if self._panel.reads is None else self._panel.reads & _ALL_FIELDS
        self._origin_matters = "cluster" in told_apart
        self._kind_of = attrgetter(*sorted((told_apart | set(REACH_FIELDS)) - {"cluster"}))
        self._all_of = attrgetter(*sorted(_ALL_FIELDS))
        for room in rooms:
            self._add(replace(room, groups=dict(room.groups)))

    @property
    def problems(self) -> tuple[str, ...]:
        """Plugins that failed while planning, one sentence each: to be raised as alerts."""
        return tuple(self._panel.problems.values())

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Uuids of the VMs that no host can take, in the order in which they were asked for."""
        return tuple(uuid for uuid, decision in self.decisions.items() if decision.host is None)

    def place(self, request: Request) -> Decision:
        """Choose a host for one more VM and book its room there.

        A VM that found none may be asked for again, on other terms; one that has its place already: `InvalidRequest`.
        """
        known = self.decisions.get(request.vm_uuid)
        if known is not None and known.host is not None:
            raise InvalidRequest(f"VM {request.vm_uuid} is in the plan already; a VM is placed once (S1)")
        decision = self._decide(request)
        self.decisions[request.vm_uuid] = decision
        if decision.host is not None:
            self._book(request, self.rooms[decision.host])
        return decision

    def explanation(self, vm_uuid: str, names_per_reason: int | None = None) -> dict[str, Any]:
        """Why that host, and why none of the others, as it was when the VM was placed; ready for JSON.

        It takes time with every host of the zone: made for those who ask. `brief` is for each VM of a large plan.
        `names_per_reason` bounds the host names listed for one reason; the counts are always of all of them.
        """
        return planner_explanation.render(self.decisions[vm_uuid], self.rooms, self._panel.names, names_per_reason)

    def brief(self, vm_uuid: str) -> dict[str, Any]:
        """What was chosen and how many hosts each plugin refused; ready for JSON, in a time that does not grow."""
        return planner_explanation.brief(self.decisions[vm_uuid], self.rooms)

    def summary(self, vm_uuid: str, name: str = "") -> str:
        """The explanation in one sentence with the first reasons, for messages and alerts; `name` is what people call
        the VM."""
        told = self.explanation(vm_uuid, planner_explanation.NAMES_IN_A_SENTENCE)
        return planner_explanation.sentence({**told, "vm": name or vm_uuid})

    def _add(self, room: HostRoom) -> None:
        if room.uuid in self.rooms:
            raise InvalidRequest(f"host {room.uuid} ({room.name}) is listed twice; list each candidate once")
        self.rooms[room.uuid] = room
        for area in _areas_of(room):
            self._hosts[area].append(room)

    def _decide(self, request: Request) -> Decision:
        looks: list[Look] = []
        late: dict[str, Refusal] = {}
        looked_at = ""
        for area in areas(request):
            ranking = self._ranking(request, area)
            chosen = ranking.choose(partial(self._passes, request, looked_at, late))
            looks.append(Look(area, ranking, len(ranking.journal), ranking.standing, ranking.refused))
            if chosen is not None:
                return Decision(request, chosen.uuid, ranking.scores_of(chosen), tuple(looks), late)
            looked_at = request.cluster
        return Decision(request, None, {}, tuple(looks), late)

    def _passes(self, request: Request, looked_at: str, late: dict[str, Refusal], host: HostRoom) -> bool:
        """The rest of the questions, about a host that ranks first: those whose answer is this VM's alone."""
        if host.uuid in request.excluded or (looked_at and host.cluster == looked_at):
            return False
        refusal = self._panel.late_refusal(self._bare(request), host) if self._panel.has_late else None
        if refusal is not None:
            late[host.uuid] = refusal
        return refusal is None

    def _ranking(self, request: Request, area: Area) -> Ranking:
        cluster = request.cluster if area.kind != "zone" or self._origin_matters else ""
        key = (area, cluster, self._kind_of(request))
        ranking = self._rankings.get(key)
        if ranking is None:
            shape = replace(request, vm_uuid="", excluded={}, cluster=cluster)
            hosts = [host for host in self._hosts.get(area, ()) if not out_of_reach(request, host)]
            ranking = self._rankings[key] = Ranking(self._panel, shape, hosts, self._changes[area])
        return ranking

    def _bare(self, request: Request) -> Request:
        key = self._all_of(request)
        bare = self._bare_requests.get(key)
        if bare is None:
            bare = self._bare_requests[key] = replace(request, vm_uuid="", excluded={})
        return bare

    def _book(self, request: Request, room: HostRoom) -> None:
        room.used_cpu += request.cpu
        room.used_ram += request.ram
        room.vm_count += 1
        if request.affinity_group:
            room.groups[request.affinity_group] = room.groups.get(request.affinity_group, 0) + 1
        for area in _areas_of(room):
            self._changes[area].append(room.uuid)


def _areas_of(room: HostRoom) -> tuple[Area, Area, Area]:
    return Area("host", room.uuid), Area("cluster", room.cluster), Area("zone", room.zone)
