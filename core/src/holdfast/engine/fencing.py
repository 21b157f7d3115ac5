"""Fencing one host: quarantine, roster, power off, read back, proof. And every way in which it may end otherwise.

Invariant kept here: a `Proven` is only ever decided (a) after as many consecutive OFF read-backs as the policy asks
for, all taken after the cut was answered, or (b) with a storage lease that ran out on every pool under an armed
watchdog, or (c) with an admin's declaration. In each case after `Prepared`: no VM can have been started there since.
"""

from math import inf

from holdfast.engine import verdict
from holdfast.engine.brake import Domain, alarm, held
from holdfast.engine.incident import (
    Alarm,
    AskActivity,
    CutDone,
    CutPower,
    Decision,
    Fence,
    HostHa,
    PowerOn,
    Prepare,
    Proven,
    ReadPower,
    Release,
    Samples,
    Stage,
    Step,
)
from holdfast.engine.movement import move
from holdfast.engine.policy import HostPolicy
from holdfast.model.evidence import Evidence, Proof, ProofKind
from holdfast.model.states import HAEvent, HAState, Opinion

_PROVES_BY_ITSELF = {HAEvent.DECLARED_DEAD: ProofKind.DECLARED_DEAD, HAEvent.LEASE_EXPIRED: ProofKind.LEASE_EXPIRED}


def next_due(host: HostHa) -> float:
    """When fencing wants its next tick."""
    fence = host.fence
    assert fence is not None
    due = host.activity_due if not host.activity_busy else inf
    if fence.stage in (Stage.READY, Stage.WAITING):
        return min(due, fence.next_at)
    if fence.stage is Stage.READING:
        return min(due, fence.attempt_ends, inf if host.action_busy else fence.next_at)
    if fence.stage in (Stage.CUTTING, Stage.LOOKING):
        return min(due, fence.attempt_ends)
    return due


def begin(host: HostHa, cause: HAEvent, now: float, reason: str, evidence: tuple[Evidence, ...]) -> Step:
    """Enter Fencing: first the quarantine and the roster, nothing else. Changes nothing where the table refuses."""
    moved, decisions = move(host._replace(fence=Fence(cause, reads=evidence)), cause, now, reason, evidence)
    if not decisions:
        return host, ()
    host = moved._replace(samples=Samples(), activity_due=now, held="")
    return host, (*decisions, Prepare(host.token))


def prepared(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    """The host takes no starts any more and its VMs are written down: cut, or take the proof that is already there."""
    fence = _of(host)
    if fence.cause in _PROVES_BY_ITSELF:
        return prove(host, _PROVES_BY_ITSELF[fence.cause], now, fence.reads, policy)
    # A fence that was taken up from another owner listens until `next_at`; its earlier attempts count as over by then.
    stage = Stage.WAITING if fence.attempt else Stage.READY
    host = host._replace(fence=fence._replace(stage=stage, next_at=max(now, fence.next_at)))
    return tick(host, now, policy, domains)


def tick(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    """What is due while fencing: a cut, a read-back, the end of an attempt; and always the other proofs beside it."""
    fence = _of(host)
    decisions: tuple[Decision, ...] = ()
    if fence.stage in (Stage.READY, Stage.WAITING) and now >= fence.next_at:
        host, decisions = _cut(host, now, policy, domains)
    elif fence.stage is Stage.LOOKING and now >= fence.attempt_ends:
        host, decisions = _unwitnessed(host, now, policy, "the BMC was not read in time")
    elif fence.stage in (Stage.CUTTING, Stage.READING) and now >= fence.attempt_ends:
        host, decisions = _attempt_failed(host, now, policy, fence.problem or "OFF was not read back in time")
    elif fence.stage is Stage.READING and not host.action_busy and now >= fence.next_at:
        host, decisions = host._replace(action_busy=True), (ReadPower(host.token),)
    if not host.activity_busy and now >= host.activity_due:
        host, decisions = host._replace(activity_busy=True), (*decisions, AskActivity(host.token))
    return host, decisions


def _cut(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    fence = _of(host)
    brake = "" if fence.cause is HAEvent.POWER_OFF_CONFIRMED else held(domains, policy)
    if brake:
        # Looked at again each interval: the brake lets go by itself when the others come back or are proven off.
        alarms: tuple[Decision, ...] = () if host.held else (alarm(domains, policy),)
        return host._replace(held=brake, fence=fence._replace(next_at=now + policy.activity_interval)), alarms
    if not _witnessed(host, now, policy):
        fence = fence._replace(stage=Stage.LOOKING, next_at=inf, attempt_ends=now + policy.fence_timeout)
        return host._replace(fence=fence, action_busy=True), (ReadPower(host.token),)
    return _send_cut(host, now, policy)


def _witnessed(host: HostHa, now: float, policy: HostPolicy) -> bool:
    """Whether the cut still rests on a witness: the one that began this fence a moment ago, or every pool dead now.

    A retry, a fence that waited for the store or for the brake, and one that was taken over do not: the host may have
    come back meanwhile, where only its link is still cut (S4).
    """
    if not _of(host).attempt and now - host.since < policy.stale_after:
        return True
    return verdict.activity(host.activity_evidence, now).opinion is Opinion.DEAD


def _unwitnessed(host: HostHa, now: float, policy: HostPolicy, why: str) -> Step:
    """No fresh sign of death: the cut is not sent, and it is looked again later."""
    seen = "; ".join(e.detail for e in host.activity_evidence if e.detail) or "no storage heartbeat could be read"
    text = f"power is not cut without a fresh sign of death: {seen}; {why}"
    stage = Stage.WAITING if _of(host).attempt else Stage.READY
    fence = _of(host)._replace(stage=stage, next_at=now + policy.fence_retry, attempt_ends=inf)
    alarms: tuple[Decision, ...] = () if host.held else (Alarm("ALERT.HA.FENCE.STUCK", text),)
    return host._replace(fence=fence, held=text, action_busy=False, token=host.token + 1, activity_busy=False), alarms


def _send_cut(host: HostHa, now: float, policy: HostPolicy) -> Step:
    fence = _of(host)
    decisions: tuple[Decision, ...] = ()
    if fence.attempt:
        reason = fence.problem or f"what came of attempt {fence.attempt} is not known"
        host, decisions = move(host, HAEvent.RETRY_FENCING, now, reason, fence.reads)
    attempt = fence.attempt + 1
    fence = fence._replace(
        stage=Stage.CUTTING, attempt=attempt, accepted=False, off_reads=0, read_alive=False, reads=(),
        attempt_ends=now + policy.fence_timeout, next_at=inf,
    )  # fmt: skip
    host = host._replace(fence=fence, held="", action_busy=True, token=host.token + 1, activity_busy=False)
    return host, (*decisions, CutPower(host.token, attempt))


def cut_done(host: HostHa, seen: CutDone, now: float) -> Step:
    """Whatever the BMC said, read the power back: "already off" is success, and "accepted" proves nothing (S3)."""
    fence = _of(host)._replace(
        stage=Stage.READING, accepted=seen.accepted, problem="" if seen.accepted else seen.detail, next_at=now
    )
    return host._replace(fence=fence, action_busy=True), (ReadPower(host.token),)


def power_read(host: HostHa, evidence: Evidence, now: float, policy: HostPolicy) -> Step:
    """One read-back. Only consecutive OFF answers count. Before a cut, one OFF answer is the witness it needs."""
    fence = _of(host)
    if fence.stage is Stage.LOOKING:
        if evidence.read_at(now) is Opinion.DEAD:
            return _send_cut(host, now, policy)
        return _unwitnessed(host, now, policy, evidence.detail or "the chassis is not off")
    host = host._replace(action_busy=False)
    opinion = evidence.read_at(now)
    if opinion is Opinion.DEAD:
        fence = fence._replace(off_reads=fence.off_reads + 1, reads=(*fence.reads, evidence), read_alive=False)
        if fence.off_reads >= policy.fence_off_needed:
            return prove(host._replace(fence=fence), ProofKind.CHASSIS_OFF, now, fence.reads, policy)
    else:
        fence = fence._replace(off_reads=0, reads=(), read_alive=opinion is Opinion.ALIVE)
        if not fence.accepted:
            problem = fence.problem or evidence.detail
            return _attempt_failed(host._replace(fence=fence), now, policy, problem)
        fence = fence._replace(problem=f"OFF was accepted, but: {evidence.detail or 'the chassis is not off'}")
    host = host._replace(fence=fence._replace(next_at=now + policy.power_interval))
    return host, ()


def _attempt_failed(host: HostHa, now: float, policy: HostPolicy, problem: str) -> Step:
    """Try again later, ever more slowly; say so loudly once the attempts that a healthy BMC needs are used up (S10)."""
    fence = _of(host)
    wait = min(policy.fence_retry * 2 ** min(fence.attempt - 1, 16), policy.fence_retry_max)
    fence = fence._replace(
        stage=Stage.WAITING, next_at=now + wait, attempt_ends=inf, problem=problem, off_reads=0, reads=()
    )
    # A new generation: a read-back that comes in now belongs to an attempt that is over.
    reason = f"fence attempt {fence.attempt} failed: {problem}"
    host = host._replace(fence=fence, action_busy=False, token=host.token + 1, activity_busy=False, reason=reason)
    # Said again after as many more: the process that made the last of them may have died before it could say so.
    if fence.attempt % policy.fence_max_attempts == 0:
        text = (
            f"{fence.attempt} fence attempts failed ({problem}). The VMs wait for a proof of death: slow attempts go "
            "on; a lease that runs out under an armed watchdog, or declareHostDead, proves it too"
        )
        return host, (Alarm("ALERT.HA.FENCE.STUCK", text),)
    return host, ()


def survived(host: HostHa, now: float, evidence: tuple[Evidence, ...], reason: str) -> Step:
    """The host proves alive while it is being fenced.

    Before the first cut that ends the fence. Once a cut was sent its outcome is open until the attempt is over; only
    then, and only if nothing read OFF, the host is let go.
    """
    fence = _of(host)
    is_open = fence.attempt and fence.stage not in (Stage.WAITING, Stage.LOOKING)
    if fence.cause is HAEvent.DECLARED_DEAD or is_open:
        return host, ()
    text = reason if not fence.attempt else f"the host answers after {fence.attempt} fence attempts: {reason}"
    alarms: tuple[Decision, ...] = (Alarm("ALERT.HA.FENCE.SURVIVED", text),) if fence.attempt else ()
    host, decisions = move(host, HAEvent.HEALTH_CHECK_PASSED, now, text, evidence)
    host = host._replace(samples=Samples(), recoveries=0, held="")
    return host, (*decisions, Release(text), *alarms)


def lease_expired(host: HostHa, now: float, evidence: tuple[Evidence, ...], policy: HostPolicy) -> Step:
    """The storage lease ran out under an armed watchdog: proof, once the host is prepared. The brake holds no proof."""
    reason = "storage lease, watchdog and margin have run out on every pool and since any owner's last grant"
    if host.state is not HAState.FENCING:
        return begin(host, HAEvent.LEASE_EXPIRED, now, reason, evidence)
    if _of(host).stage is Stage.PREPARING:
        return _better_cause(host, HAEvent.LEASE_EXPIRED, now, reason, evidence)
    return prove(host, ProofKind.LEASE_EXPIRED, now, evidence, policy)


def declared(host: HostHa, now: float, evidence: Evidence, policy: HostPolicy) -> Step:
    """An admin's word: proof, once the host is prepared. It is refused by the table where the host is not in doubt."""
    if host.state is not HAState.FENCING:
        return begin(host, HAEvent.DECLARED_DEAD, now, evidence.detail, (evidence,))
    if _of(host).stage is Stage.PREPARING:
        return _better_cause(host, HAEvent.DECLARED_DEAD, now, evidence.detail, (evidence,))
    return prove(host, ProofKind.DECLARED_DEAD, now, (evidence,), policy)


def _better_cause(host: HostHa, cause: HAEvent, now: float, reason: str, evidence: tuple[Evidence, ...]) -> Step:
    """A proof arrived while the host is prepared: written down at once, used when it is. An admin's word stands."""
    fence = _of(host)
    if fence.cause in (cause, HAEvent.DECLARED_DEAD):
        return host, ()
    return move(host._replace(fence=fence._replace(cause=cause, reads=evidence)), cause, now, reason, evidence)


def prove(host: HostHa, kind: ProofKind, now: float, evidence: tuple[Evidence, ...], policy: HostPolicy) -> Step:
    """Complete the proof: Fenced, and its VMs may start elsewhere."""
    # The fence is over whoever asks later: counters go back to zero, as operators know it from CloudStack.
    host = host._replace(samples=Samples(), recoveries=0)
    host, decisions = move(host, HAEvent.FENCED, now, f"proof of death: {kind}", evidence)
    proof = Proof(kind, host.uuid, now, evidence)
    host = host._replace(maintenance=True, held="")
    more: tuple[Decision, ...] = (PowerOn(),) if policy.power_on_after_fence and kind is ProofKind.CHASSIS_OFF else ()
    assert host.state is HAState.FENCED
    return host, (*decisions, Proven(proof), *more)


def _of(host: HostHa) -> Fence:
    assert host.fence is not None, "a host that is being fenced has a fence record"
    return host.fence
