"""Why a host is where it is, and what it waits for: exact sentences, made from the engine's own record."""

import json
from collections.abc import Sequence
from typing import Any

from holdfast.engine.brake import Domain
from holdfast.engine.incident import HostHa, Stage
from holdfast.engine.policy import HostPolicy
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAState, Opinion


def evidence_json(evidence: Sequence[Evidence]) -> str:
    """Evidence as it is stored with events, transitions and proofs."""
    return json.dumps(
        [
            {
                "kind": e.kind, "subject": e.subject, "opinion": e.opinion, "source": e.source, "at": round(e.at, 3),
                "detail": e.detail, "maxage": e.max_age, "pool": e.pool, "lasting": round(e.lasting, 3),
            }
            for e in evidence
        ],
        separators=(",", ":"),
    )  # fmt: skip


def evidence_from_json(text: str) -> tuple[Evidence, ...]:
    """What `evidence_json` wrote; a piece that cannot be read is left out."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return ()
    pieces = (_piece(item) for item in found if isinstance(item, dict)) if isinstance(found, list) else ()
    return tuple(piece for piece in pieces if piece is not None)


def _piece(item: dict[str, Any]) -> Evidence | None:
    try:
        return Evidence(
            Kind(item["kind"]), str(item["subject"]), Opinion(item["opinion"]), str(item["source"]), float(item["at"]),
            str(item.get("detail", "")), float(item.get("maxage", 60.0)), str(item.get("pool", "")),
            float(item.get("lasting", 0.0)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def waiting_for(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...] = ()) -> tuple[str, ...]:
    """What the host waits for now; empty for a quiet, healthy host."""
    if host.state in (HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED):
        return (*_held(host), *_of_a_suspicion(host, policy))
    if host.state is HAState.FENCING:
        return (*_held(host), *_of_a_fence(host, now, policy))
    if host.state is HAState.FENCED and host.maintenance:
        return ("an admin to cancel its maintenance (cancelHostMaintenance)",)
    return ()


def _held(host: HostHa) -> tuple[str, ...]:
    return (f"the brake to let go: {host.held}",) if host.held else ()


def _of_a_suspicion(host: HostHa, policy: HostPolicy) -> tuple[str, ...]:
    samples = host.samples
    return (
        f"a beat, which ends the suspicion; or {policy.off_needed - samples.off_run} more OFF readings of the chassis",
        f"or {max(0, policy.dead_needed - samples.dead_run)} more samples in which every storage pool says dead",
    )


def _of_a_fence(host: HostHa, now: float, policy: HostPolicy) -> tuple[str, ...]:
    fence = host.fence
    if fence is None:
        return ()
    if fence.stage is Stage.PREPARING:
        return ("the quarantine and the list of its VMs to be stored",)
    if fence.stage is Stage.WAITING:
        last = (
            f"fence attempt {fence.attempt + 1} in {max(0.0, fence.next_at - now):.1f} s; last failure: {fence.problem}"
        )
        return (last,)
    return (f"{policy.fence_off_needed - fence.off_reads} more OFF read-backs of fence attempt {fence.attempt}",)
