"""What a host waits for right now, in sentences an operator can act on; and what led to where it is.

Pure: reads the record, decides nothing. The sentences give counts and seconds (rounded to 0.1 s), and the smallest
change that would end the wait.
"""

from collections.abc import Sequence
from math import inf

from holdfast.engine.brake import Domain, full, held, limit
from holdfast.engine.evidence_record import evidence_from_json, evidence_json, story
from holdfast.engine.incident import Fence, HostHa, Stage
from holdfast.engine.policy import HostPolicy
from holdfast.engine.verdict import is_shown_only
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAEvent, HAState, Opinion

__all__ = ["evidence_from_json", "evidence_json", "story", "waiting_for"]

_PROVEN_WHEN_PREPARED = {
    HAEvent.DECLARED_DEAD: "an admin declared it dead",
    HAEvent.LEASE_EXPIRED: "its lease ran out under an armed watchdog",
}

_UNSEEN = "its agent to answer: it is silent, and its VMs are not restarted elsewhere while its HA is off"


def waiting_for(host: HostHa, now: float, policy: HostPolicy, domains: Sequence[Domain] = ()) -> tuple[str, ...]:
    """What the host waits for at `now` (the owner's monotonic seconds); empty for a quiet, healthy host.

    `domains` are its failure domains as the census has them now; without them the brake is told as last seen.
    """
    match host.state:
        case HAState.SUSPECT | HAState.CHECKING | HAState.DEGRADED:
            return _watched(host, now, policy, domains)
        case HAState.RECOVERING:
            return (*_brake(host, policy, domains), _recovering(host, now, policy))
        case HAState.RECOVERED:
            left = _seconds(host.activity_due - now)
            return (f"the host to answer within {left}; after that it is looked at afresh",)
        case HAState.FENCING if host.fence is not None:
            return _fencing(host, host.fence, now, policy, domains)
        case HAState.FENCED:
            return (_fenced(host),)
        case HAState.INELIGIBLE:
            said = (f"the provider to say that HA can work: {host.reason or 'it gave no reason'}",)
            return (*said, f"{_UNSEEN}; declareHostDead proves it dead") if host.silent else said
        case HAState.DISABLED if host.silent:
            return (f"{_UNSEEN}; with its HA enabled it is watched, and fenced if it is dead",)
        case HAState.AVAILABLE if host.silent:
            return ("its management link is silent: the suspicion begins with the next tick",)
    return ()


# --- a suspicion -----------------------------------------------------------------------------------------------------


def _watched(host: HostHa, now: float, policy: HostPolicy, domains: Sequence[Domain]) -> tuple[str, ...]:
    said = []
    if host.state is HAState.DEGRADED:
        left = _seconds(host.since + policy.degraded_max - now)
        said.append(f"its VMs still write, so it is left alone; it is suspected afresh in {left}")
    if not host.silent:
        said.append("its management link to fall silent: so far this server has not found it so, and condemns nobody")
    if policy.power_check:
        said.append(_off_readings(host, now, policy))
    said += [_pool(piece, now, policy) for piece in host.activity_evidence if piece.kind is Kind.HEARTBEAT]
    said += [_disks(piece, now) for piece in host.activity_evidence if piece.kind is Kind.ACTIVITY]
    said.append(_samples(host, now, policy))
    said += _brake(host, policy, domains)
    said.append(_lease(host, now, policy))
    said.append("one beat of its agent returns it to service at once; declareHostDead proves it dead")
    return tuple(said)


def _off_readings(host: HostHa, now: float, policy: HostPolicy) -> str:
    following = _when(host.health_busy, host.health_due, now)
    text = f"{host.samples.off_run} of {policy.off_needed} OFF readings; the next {following}"
    chassis = [piece for piece in host.health_evidence if piece.kind is Kind.POWER]
    if not chassis:
        return f"{text} (no BMC has answered in this suspicion)" if host.health_evidence else text
    not_off = [piece for piece in chassis if piece.read_at(now) is not Opinion.DEAD]
    if not not_off:
        return text
    return f"{text} ({not_off[0].source} {_read(not_off[0], now)}{_because(not_off[0].detail)})"


def _read(piece: Evidence, now: float) -> str:
    if piece.opinion is Opinion.UNKNOWN:
        return "gives no reading"
    word = "ON" if piece.opinion is Opinion.ALIVE else "OFF"
    return f"reads {word}" if piece.is_fresh(now) else f"read {word} {_seconds(now - piece.at)} ago, too old to count"


def _pool(piece: Evidence, now: float, policy: HostPolicy) -> str:
    name = piece.pool or piece.source
    silent = piece.lasting + max(0.0, now - piece.at)
    match piece.read_at(now):
        case Opinion.DEAD:
            return f"storage pool {name} silent for {_seconds(silent)}, counts as dead"
        case Opinion.ALIVE:
            return (
                f"storage pool {name} silent for {_seconds(silent)}, counts as dead at {_seconds(policy.stale_after)}"
            )
    return f"an answer about storage pool {name}{_because(piece.detail)}: unknown counts as neither alive nor dead"


def _disks(piece: Evidence, now: float) -> str:
    name = piece.pool or piece.source
    match piece.read_at(now):
        case Opinion.ALIVE:
            return f"disks of its VMs on pool {name} change{_because(piece.detail)}: it is not fenced for being silent"
        case Opinion.DEAD:
            return f"disks of its VMs on pool {name} count as dead{_because(piece.detail)}"
    if is_shown_only(piece):
        return f"nothing about disks on pool {name}, for whether they change is unknown{_because(piece.detail)}"
    return f"an answer about disks on pool {name}{_because(piece.detail)}: unknown counts as neither alive nor dead"


def _samples(host: HostHa, now: float, policy: HostPolicy) -> str:
    following = f"the next {_when(host.activity_busy, host.activity_due, now)}"
    if host.samples.alive_run and host.state is not HAState.DEGRADED:
        return (
            f"{host.samples.alive_run} of {policy.alive_needed} samples in a row that show writing, after which it is "
            f"left alone as Degraded; {following}"
        )
    run, needed = host.samples.dead_run, policy.dead_needed
    so_far = f"{run} of {needed} samples" if run < needed else f"{run} samples, {needed} were needed,"
    text = f"{so_far} in a row in which every pool says dead; {following}"
    return text if host.activity_evidence else f"{text} (no pool has been read in this suspicion)"


def _brake(host: HostHa, policy: HostPolicy, domains: Sequence[Domain]) -> list[str]:
    reason = held(tuple(domains), policy) if domains else host.held
    if not reason:
        return []
    over = full(tuple(domains), policy)
    ends = (
        f"; it lets go when {over.silent - limit(over.total, policy)} of them answer or are proven dead" if over else ""
    )
    return [f"held by the brake: {reason}{ends}; {policy.off_needed} OFF readings of this host pass it"]


def _lease(host: HostHa, now: float, policy: HostPolicy) -> str:
    needed = max(policy.dead_by_lease_after, host.lease.needs)
    text = f"a lease proof needs {_seconds(needed)} of silence on every pool under an armed watchdog"
    if not host.armed:
        return f"{text} (not armed)"
    beats = [piece for piece in host.activity_evidence if piece.kind is Kind.HEARTBEAT]
    if not beats:
        return f"{text} (armed; no pool has been read)"
    waiting = [piece.pool or piece.source for piece in beats if piece.read_at(now) is not Opinion.DEAD]
    if waiting:
        return f"{text} (armed; pool {', '.join(waiting)} is not silent)"
    unseen = sorted(host.lease.pools - {piece.pool for piece in beats})
    if unseen:
        return f"{text} (armed; it also beats on {', '.join(unseen)}, which nobody looks at any more)"
    shortest = min(piece.lasting + now - piece.at for piece in beats)
    grants = [piece for piece in host.activity_evidence if piece.kind is Kind.GRANT]
    ungranted = min((piece.lasting + now - piece.at for piece in grants), default=0.0)
    if ungranted < shortest:
        left = _seconds(needed - ungranted)
        return f"{text} (armed; an owner may have granted it life {_seconds(ungranted)} ago, {left} to go)"
    return f"{text} (armed; {_seconds(shortest)} so far, {_seconds(needed - shortest)} to go)"


# --- recovery and fencing --------------------------------------------------------------------------------------------


def _recovering(host: HostHa, now: float, policy: HostPolicy) -> str:
    if host.action_busy:
        return f"recovery attempt {host.recoveries} of {policy.recovery_attempts} to end"
    due = _when(False, host.activity_due, now)
    if host.recoveries < policy.recovery_attempts:
        return f"recovery attempt {host.recoveries + 1} of {policy.recovery_attempts} {due}{_because(host.reason)}"
    return f"fencing to begin {due}: no recovery attempt is left"


def _fencing(host: HostHa, fence: Fence, now: float, policy: HostPolicy, domains: Sequence[Domain]) -> tuple[str, ...]:
    said: list[str] = []
    cuts_next = fence.stage in (Stage.READY, Stage.WAITING)
    if cuts_next and fence.cause is not HAEvent.POWER_OFF_CONFIRMED:
        said += _brake(host, policy, domains)
    said.append(_stage(host, fence, now, policy))
    if fence.cause not in _PROVEN_WHEN_PREPARED:
        said.append(_lease(host, now, policy))
        if fence.stage is not Stage.PREPARING:
            said.append("declareHostDead proves it dead at once")
    between = not fence.attempt or fence.stage in (Stage.WAITING, Stage.LOOKING)
    if fence.cause is not HAEvent.DECLARED_DEAD and between:
        said.append("one beat of its agent ends the fence")
    return tuple(said)


def _stage(host: HostHa, fence: Fence, now: float, policy: HostPolicy) -> str:
    failure = f"; last failure: {fence.problem}" if fence.problem else ""
    ends = f"attempt {fence.attempt} ends in {_seconds(fence.attempt_ends - now)}"
    match fence.stage:
        case Stage.PREPARING:
            proof = _PROVEN_WHEN_PREPARED.get(fence.cause)
            then = f"then the proof is complete: {proof}" if proof else "then its power is cut"
            return f"its quarantine and the list of its VMs to be stored; {then}{failure}"
        case Stage.LOOKING:
            return f"a fresh sign of death before its power is cut: chassis OFF, or every storage pool dead{failure}"
        case Stage.CUTTING:
            return f"the BMC's answer to the power cut; {ends}{failure}"
        case Stage.READING:
            following = _when(host.action_busy, fence.next_at, now)
            return (
                f"{fence.off_reads} of {policy.fence_off_needed} OFF read-backs; the next {following}; {ends}{failure}"
            )
    return f"fence attempt {fence.attempt + 1} {_when(False, fence.next_at, now)}{failure}"


def _fenced(host: HostHa) -> str:
    if not host.maintenance:
        return "its agent to answer; then it returns to service"
    if not host.silent and host.reason.startswith("the host answers again"):
        return "the host answers again: cancel its maintenance to return it"
    return "its agent to answer; then cancel its maintenance to return it"


# --- wording ---------------------------------------------------------------------------------------------------------


def _seconds(amount: float) -> str:
    return "no set time" if amount == inf else f"{max(0.0, amount):.1f} s"


def _when(busy: bool, due: float, now: float) -> str:
    if busy:
        return "is under way"
    return "is not scheduled" if due == inf else f"in {_seconds(due - now)}"


def _because(detail: str) -> str:
    return f": {detail}" if detail else ""
