"""Renders the decisions of a plan for people: rendered when asked for, from what the plan keeps anyway."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.engine.planner_panel import Refusal, Scores
from holdfast.engine.planner_ranking import by_plugin
from holdfast.engine.reach import out_of_reach
from holdfast.hooks.placement import HostRoom

if TYPE_CHECKING:
    from holdfast.engine.planner import Decision

REACH = "reach"
"""Who refuses the hosts that zone, storage or caller rule out."""

EXCLUDED = "excluded"
"""Who refuses the hosts that the request names as not to be chosen."""

NAMES_IN_A_SENTENCE = 3
_REASONS_IN_A_SENTENCE = 6
_RUNNERS_UP = 5


def render(
    decision: "Decision", rooms: Mapping[str, HostRoom], names: Sequence[str], names_per_reason: int | None
) -> dict[str, Any]:
    """The whole explanation of one decision; see `Plan.explanation`."""
    verdicts = dict(_verdicts(decision, rooms))
    refusals = {uuid: verdict for uuid, verdict in verdicts.items() if isinstance(verdict, Refusal)}
    standing = {uuid: verdict for uuid, verdict in verdicts.items() if not isinstance(verdict, Refusal)}
    request = decision.request
    return {
        "vm": request.vm_uuid,
        "purpose": request.purpose,
        "needs": {"cpu_mhz": request.cpu, "memory_mb": request.ram},
        "chosen": None if decision.host is None else _host(rooms[decision.host]),
        "looked_at": [str(look.area) for look in decision.looks],
        "score": _rounded(decision.scores),
        "candidates": len(standing),
        "runners_up": _runners_up(decision, standing, rooms, names),
        "refusals": _grouped(refusals, rooms, names_per_reason),
        "not_asked": len(rooms) - len(verdicts),
    }


def brief(decision: "Decision", rooms: Mapping[str, HostRoom]) -> dict[str, Any]:
    """The counts of one decision, area by area in the order looked at; see `Plan.brief`."""
    return {
        "vm": decision.request.vm_uuid,
        "chosen": None if decision.host is None else _host(rooms[decision.host]),
        "score": _rounded(decision.scores),
        "looked_at": [
            {"area": str(area), "not_refused": standing, "refused": dict(refused)}
            for area, _, _, standing, refused in decision.looks
        ],
        "passed_over": len(decision.late) + sum(uuid in rooms for uuid in decision.request.excluded),
    }


def sentence(explanation: Mapping[str, Any]) -> str:
    """One sentence out of a rendered explanation."""
    vm, chosen = explanation["vm"], explanation["chosen"]
    if chosen:
        parts = ", ".join(f"{name} {value:g}" for name, value in explanation["score"].items()) or "no preferences"
        others = explanation["candidates"] - 1
        return f"VM {vm} goes to host {chosen['name']} ({parts}), the best of {others + 1} that can take it"
    refusals = explanation["refusals"]
    if not refusals:
        return f"no host can take VM {vm}: there is no host at all; add hosts to its zone"
    reasons = [_reason(group) for group in refusals[:_REASONS_IN_A_SENTENCE]]
    left = len(refusals) - len(reasons)
    return f"no host can take VM {vm}: " + "; ".join(reasons) + (f"; and {left} more reasons" if left else "")


def _verdicts(decision: "Decision", rooms: Mapping[str, HostRoom]) -> Iterator[tuple[str, Refusal | Scores]]:
    """Host uuid and verdict; where a host comes twice, the later one counts."""
    request = decision.request
    for uuid, room in rooms.items():
        reason = out_of_reach(request, room)
        if reason:
            yield uuid, Refusal(REACH, reason)
    own_cluster = ""
    for look in decision.looks:
        for uuid, verdict in look.ranking.journal[: look.until]:
            if not own_cluster or rooms[uuid].cluster != own_cluster:
                yield uuid, verdict
        own_cluster = request.cluster
    yield from decision.late.items()
    for uuid, reason in request.excluded.items():
        if uuid in rooms:
            yield uuid, Refusal(EXCLUDED, reason or "the request excludes it")


def _runners_up(
    decision: "Decision", standing: Mapping[str, Scores], rooms: Mapping[str, HostRoom], names: Sequence[str]
) -> list[dict[str, Any]]:
    ranked = sorted((scores, rooms[uuid].name, uuid) for uuid, scores in standing.items() if uuid != decision.host)
    return [
        {**_host(rooms[uuid]), "score": _rounded(by_plugin(names, scores))} for scores, _, uuid in ranked[:_RUNNERS_UP]
    ]


def _grouped(
    refusals: Mapping[str, Refusal], rooms: Mapping[str, HostRoom], names_per_reason: int | None
) -> list[dict[str, Any]]:
    """Refusals by plugin and reason, the reason that meets most hosts first."""
    groups: dict[Refusal, list[str]] = {}
    for uuid, refusal in refusals.items():
        groups.setdefault(refusal, []).append(rooms[uuid].name)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"by": by, "reason": reason, "count": len(hosts), "hosts": sorted(hosts)[:names_per_reason]}
        for (by, reason), hosts in ordered
    ]


def _reason(group: Mapping[str, Any]) -> str:
    names = ", ".join(group["hosts"])
    left = group["count"] - len(group["hosts"])
    return f"{names}{f' and {left} more' if left else ''}: {group['reason']} ({group['by']})"


def _host(room: HostRoom) -> dict[str, Any]:
    return {"host": room.uuid, "name": room.name, "cluster": room.cluster}


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in scores.items()}
