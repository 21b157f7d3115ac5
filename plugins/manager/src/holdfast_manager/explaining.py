"""The live part of an explanation: what this server knows of a host at this very moment."""

from typing import TYPE_CHECKING, Any

from holdfast.model import Evidence

from holdfast_manager.desk import Desk

if TYPE_CHECKING:
    from holdfast_manager.fence_readiness import FenceReadiness
    from holdfast_manager.hosts import Hosts


def explain_host(desk: Desk, hosts: "Hosts", readiness: "FenceReadiness", uuid: str) -> dict[str, Any]:
    """State, evidence with its age, what is waited for, and the brake; {} if the host is not this server's."""
    actor = hosts.actors.get(uuid)
    if actor is None:
        refused = hosts.refusals.words(uuid)
        return {"reason": refused, "waitingfor": [refused]} if refused else {}
    now = desk.clock.monotonic()
    record = actor.record
    link = desk.links.links.get(uuid)
    found: dict[str, Any] = {
        "state": record.state or "",
        "reason": record.reason,
        "since": round(now - record.since, 1),
        "waitingfor": list(actor.waiting_for()),
        "held": record.held,
        "owner": desk.name,
        "ownerepoch": actor.epoch,
        "leaseleft": round(desk.membership.seconds_left(), 1),
        "evidence": [_piece(e, now) for e in (*record.health_evidence, *record.activity_evidence)],
    }
    found["fencepaths"] = readiness.told(actor.host)
    if link is not None:
        found["lastbeat"] = round(now - link.heard_at, 1)
        found["watchdogarmed"] = link.armed
    if record.fence is not None:
        found["fence"] = {
            "stage": record.fence.stage, "cause": record.fence.cause, "attempt": record.fence.attempt,
            "offreads": record.fence.off_reads, "problem": record.fence.problem,
        }  # fmt: skip
    return found


def _piece(evidence: Evidence, now: float) -> dict[str, Any]:
    return {
        "kind": evidence.kind, "opinion": evidence.read_at(now), "source": evidence.source, "detail": evidence.detail,
        "age": round(now - evidence.at, 1),
    }  # fmt: skip
