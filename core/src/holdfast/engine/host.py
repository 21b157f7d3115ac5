"""One step of one host: (record, observation, now) -> (record, decisions).

The only place where a host's HA state changes. A newcomer who asks "when does a host get fenced?" reads
`_confirm_off`, `_condemn` and the module `fencing`.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from holdfast.engine import fencing, verdict
from holdfast.engine.brake import Domain, alarm, held
from holdfast.engine.incident import (
    ActivitySeen,
    AskActivity,
    AskHealth,
    CutDone,
    Decision,
    Declared,
    HealthSeen,
    Heard,
    HostHa,
    Judged,
    Observation,
    PowerRead,
    Prepared,
    Recover,
    RecoverDone,
    Release,
    Samples,
    Silent,
    Stage,
    Step,
    Switched,
    Tick,
)
from holdfast.engine.movement import move
from holdfast.engine.policy import HostPolicy
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAEvent, HAState, Opinion

_WATCHED = frozenset({HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED})
_QUIET = frozenset({None, HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED})
_READ_IN = frozenset({Stage.READING, Stage.LOOKING})
_NOTHING: tuple[Decision, ...] = ()
_ANSWERS = "the host answers again; cancel its maintenance to return it to service"
_ANSWERED = "the host was fenced, answered again, and is silent again"


def step(
    host: HostHa, observation: Observation, now: float, policy: HostPolicy, domains: tuple[Domain, ...] = ()
) -> Step:
    """What follows from one observation. `domains` are the host's failure domains as the census has them now.

    Pure: the same arguments give the same answer. The cost does not depend on the number of hosts.
    """
    if type(observation) is Heard and host.state is HAState.AVAILABLE and not host.silent:
        if observation.armed is host.armed and observation.lease == host.lease:
            return host, _NOTHING
        return host._replace(armed=observation.armed, lease=observation.lease), _NOTHING
    return _HANDLERS[type(observation)](host, observation, now, policy, domains)


def next_due(host: HostHa) -> float:
    """When the host wants its next `Tick`, or infinity."""
    due = inf
    if _checks_health(host) and not host.health_busy:
        due = host.health_due
    if host.state in _WATCHED and not host.activity_busy:
        due = min(due, host.activity_due)
    if host.fence is not None:
        due = min(due, fencing.next_due(host))
    if host.state is HAState.AVAILABLE and host.silent:
        due = min(due, host.since)
    if host.state in (HAState.RECOVERING, HAState.RECOVERED) and not host.action_busy:
        due = min(due, host.activity_due)
    return due


def _checks_health(host: HostHa) -> bool:
    """Beats tell of a quiet host by themselves; a suspect one is looked at, and so is one whose provider polls."""
    return host.state in _WATCHED or (host.poll_every > 0 and host.state in (HAState.AVAILABLE, HAState.FENCED))


# --- link and health -----------------------------------------------------------------------------------------------


def _heard(host: HostHa, seen: Heard, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    host = host._replace(silent=False, armed=seen.armed, lease=seen.lease)
    return _alive(host, now, (), "the host's agent answers")


def _alive(host: HostHa, now: float, evidence: tuple[Evidence, ...], reason: str) -> Step:
    """The host is alive: end what is underway, unless power was cut and the outcome is still open."""
    if host.state is HAState.FENCING:
        return fencing.survived(host, now, evidence, reason)
    if host.state is HAState.FENCED and host.maintenance:
        return host._replace(reason=_ANSWERS), _NOTHING
    if host.state is HAState.AVAILABLE:
        return host._replace(samples=Samples(), recoveries=0, held="", reason=""), _NOTHING
    if host.state is HAState.FENCED:
        reason = f"{reason}; whether HA can work is found out next"
    host, decisions = move(host, HAEvent.HEALTH_CHECK_PASSED, now, reason, evidence)
    if decisions:
        host = host._replace(samples=Samples(), recoveries=0, held="")
    return host, decisions


def _silent(host: HostHa, seen: Silent, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if host.state in _QUIET:
        # Should it be watched from now on, and be silent still, that is what its suspicion rests on.
        host = host._replace(health_evidence=(seen.evidence,))
    return _failed(_hushed(host), now, (seen.evidence,))


def _hushed(host: HostHa) -> HostHa:
    reason = _ANSWERED if host.state is HAState.FENCED and host.reason == _ANSWERS else host.reason
    return host._replace(silent=True, reason=reason)


def _failed(host: HostHa, now: float, evidence: tuple[Evidence, ...]) -> Step:
    """A health check failed: from Available, begin to suspect and look in both directions at once."""
    if host.state is not HAState.AVAILABLE:
        return host, _NOTHING
    host, decisions = move(host, HAEvent.HEALTH_CHECK_FAILED, now, _sentence(evidence), evidence)
    host = host._replace(samples=Samples(), health_due=now, activity_due=now, health_evidence=evidence)
    return host, decisions


def _health_seen(host: HostHa, seen: HealthSeen, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.token != host.token or not host.health_busy:
        return host, _NOTHING
    found = verdict.health(seen.evidence, now)
    chassis, chassis_evidence = verdict.power(seen.evidence, now)
    host = host._replace(health_busy=False, health_evidence=seen.evidence)
    if found.opinion is Opinion.DEAD:
        host = _hushed(host)
    if found.opinion is Opinion.ALIVE:
        host = host._replace(health_due=now + (host.poll_every or policy.activity_interval), silent=False)
        return _alive(host, now, found.carried_by, _sentence(found.carried_by))
    samples = host.samples
    is_off = policy.power_check and chassis is Opinion.DEAD and found.opinion is Opinion.DEAD
    if is_off:
        recent = now - samples.off_at <= policy.power_max_interval
        samples = samples._replace(off_run=samples.off_run + 1 if recent else 1, off_at=now)
    else:
        samples = samples._replace(off_run=0)
    wait = policy.power_interval if is_off else (host.poll_every or policy.activity_interval)
    host = host._replace(samples=samples, health_due=now + wait)
    if samples.off_run >= policy.off_needed:
        return _confirm_off(host, now, found.carried_by + chassis_evidence)
    if found.opinion is Opinion.DEAD:
        return _then_tick(_failed(host, now, seen.evidence), now, policy, domains)
    return host, _NOTHING


def _confirm_off(host: HostHa, now: float, evidence: tuple[Evidence, ...]) -> Step:
    """Link silent and chassis OFF, several times in a row: fence at once. The brake does not hold this (S7)."""
    reason = f"link silent and chassis OFF {host.samples.off_run} times in a row"
    return fencing.begin(host, HAEvent.POWER_OFF_CONFIRMED, now, reason, evidence)


# --- activity ------------------------------------------------------------------------------------------------------


def _activity_seen(
    host: HostHa, seen: ActivitySeen, now: float, policy: HostPolicy, domains: tuple[Domain, ...]
) -> Step:
    if seen.token != host.token or not host.activity_busy:
        return host, _NOTHING
    found = verdict.activity(seen.evidence, now)
    host = host._replace(
        activity_busy=False,
        activity_due=now + policy.activity_interval,
        activity_evidence=seen.evidence,
        samples=_counted(host.samples, found.opinion),
    )
    if host.armed and host.silent and _lease_expired(host, seen.evidence, now, policy):
        return fencing.lease_expired(host, now, seen.evidence, policy)
    if host.state is HAState.FENCING:
        return host, _NOTHING
    # A server that has just taken over has not listened long enough to call the link silent (S4).
    if host.silent and host.samples.dead_run >= policy.dead_needed:
        return _condemn(host, now, found.carried_by, policy, domains)
    if host.state is not HAState.CHECKING:
        return host, _NOTHING
    if host.samples.alive_run >= policy.alive_needed:
        return move(host, HAEvent.UNDER_THRESHOLD, now, _sentence(found.carried_by), found.carried_by)
    of_pools = tuple(piece for piece in seen.evidence if piece.kind is not Kind.GRANT)
    return move(host, HAEvent.TOO_FEW_SAMPLES, now, _sentence(of_pools) or "no pool could be asked", seen.evidence)


def _lease_expired(host: HostHa, evidence: tuple[Evidence, ...], now: float, policy: HostPolicy) -> bool:
    """On the terms that the host keeps to: settings or pools that were changed since it fell silent are not its own."""
    seen = {piece.pool for piece in evidence if piece.kind is Kind.HEARTBEAT}
    needed = max(policy.dead_by_lease_after, host.lease.needs)
    return host.lease.pools <= seen and verdict.lease_expired(evidence, now, needed)


def _counted(samples: Samples, opinion: Opinion) -> Samples:
    """One more sample. UNKNOWN breaks both runs and never counts towards either (S2)."""
    dead = samples.dead_run + 1 if opinion is Opinion.DEAD else 0
    alive = samples.alive_run + 1 if opinion is Opinion.ALIVE else 0
    return samples._replace(taken=samples.taken + 1, dead_run=dead, alive_run=alive)


def _condemn(
    host: HostHa, now: float, evidence: tuple[Evidence, ...], policy: HostPolicy, domains: tuple[Domain, ...]
) -> Step:
    """Silent on the link and on every pool, often enough: recover or fence, unless the brake holds (S4, S7)."""
    brake = held(domains, policy)
    if brake:
        alarms: tuple[Decision, ...] = () if host.held else (alarm(domains, policy),)
        host = host._replace(held=brake)
        if host.state is not HAState.CHECKING:
            return host, alarms
        host, moved = move(host, HAEvent.TOO_FEW_SAMPLES, now, f"held by the brake: {brake}", evidence)
        return host, moved + alarms
    reason = f"every pool says dead, {host.samples.dead_run} times in a row: {_sentence(evidence)}"
    host, decisions = move(host._replace(held=""), HAEvent.OVER_THRESHOLD, now, reason, evidence)
    host = host._replace(samples=Samples(), activity_due=now)
    return _then_tick((host, decisions), now, policy, domains)


# --- switches ------------------------------------------------------------------------------------------------------


def _switched(host: HostHa, seen: Switched, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.on:
        if host.state not in (None, HAState.DISABLED):
            return host, _NOTHING
        return move(host, HAEvent.ENABLED, now, seen.reason or "host HA was enabled", ())
    quarantined = host.fence is not None
    was = host.state
    host, decisions = move(host, HAEvent.DISABLED, now, seen.reason or "host HA was disabled", ())
    host = host._replace(samples=Samples(), recoveries=0, held="", fence=None)
    if quarantined and was is HAState.FENCING:
        decisions += (Release("host HA was disabled before the host was proven dead"),)
    return host, decisions


def _judged(host: HostHa, seen: Judged, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    host = host._replace(maintenance=seen.maintenance)
    if seen.eligible:
        if host.state is not HAState.INELIGIBLE:
            return host, _NOTHING
        return move(host, HAEvent.ELIGIBLE, now, "the provider says that HA can work", ())
    if host.state is HAState.INELIGIBLE:
        return host._replace(reason=seen.reason), _NOTHING
    # An incident is not abandoned because its neighbours fell too: only an admin's act ends it, and never a fence.
    if host.state in _QUIET or (host.state in _WATCHED and seen.deliberate):
        host, decisions = move(host, HAEvent.INELIGIBLE, now, seen.reason, ())
        return host._replace(samples=Samples(), held=""), decisions
    return host, _NOTHING


def _declared(host: HostHa, seen: Declared, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    return fencing.declared(host, now, seen.evidence, policy)


# --- recovery ------------------------------------------------------------------------------------------------------


def _recover_done(host: HostHa, seen: RecoverDone, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.token != host.token or host.state is not HAState.RECOVERING or not host.action_busy:
        return host, _NOTHING
    host = host._replace(action_busy=False)
    if seen.accepted:
        host, decisions = move(host, HAEvent.RECOVERED, now, seen.detail or "the reset was accepted", ())
        return host._replace(activity_due=now + policy.recovery_wait), decisions
    if host.recoveries >= policy.recovery_attempts:
        return _then_tick((host._replace(activity_due=now, reason=seen.detail), ()), now, policy, domains)
    host, decisions = move(host, HAEvent.RETRY_RECOVERY, now, f"recovery failed: {seen.detail}", ())
    return host._replace(activity_due=now + policy.activity_interval), decisions


def _tick_recovering(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if host.action_busy or now < host.activity_due:
        return host, _NOTHING
    if host.recoveries >= policy.recovery_attempts:
        reason = (
            f"{host.recoveries} recovery attempts did not bring it back"
            if host.recoveries
            else "recovery first is not configured"
        )
        return fencing.begin(host, HAEvent.RECOVERY_THRESHOLD_EXCEEDED, now, reason, host.activity_evidence)
    brake = held(domains, policy)
    if brake:
        alarms: tuple[Decision, ...] = () if host.held else (alarm(domains, policy),)
        return host._replace(held=brake, activity_due=now + policy.activity_interval), alarms
    host = host._replace(recoveries=host.recoveries + 1, action_busy=True, activity_due=inf, held="")
    return host, (Recover(host.token, host.recoveries),)


# --- time ----------------------------------------------------------------------------------------------------------


def _tick(host: HostHa, seen: Any, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    decisions: tuple[Decision, ...] = ()
    if _checks_health(host) and not host.health_busy and now >= host.health_due:
        host = host._replace(health_busy=True)
        decisions = (AskHealth(host.token),)
    host, more = _tick_state(host, now, policy, domains)
    return host, decisions + more


def _tick_state(host: HostHa, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if host.state in _WATCHED:
        return _tick_watched(host, now, policy)
    if host.state is HAState.AVAILABLE and host.silent:
        return _failed(host, now, host.health_evidence)
    if host.state is HAState.FENCING:
        return fencing.tick(host, now, policy, domains)
    if host.state is HAState.RECOVERING:
        return _tick_recovering(host, now, policy, domains)
    if host.state is HAState.RECOVERED and now >= host.activity_due:
        return move(host, HAEvent.RECOVERY_WAIT_TIMEOUT, now, "the host did not come back in time", ())
    return host, _NOTHING


def _tick_watched(host: HostHa, now: float, policy: HostPolicy) -> Step:
    decisions: tuple[Decision, ...] = ()
    if host.activity_busy:
        return host, _NOTHING
    if host.state is HAState.DEGRADED and now - host.since >= policy.degraded_max:
        host, decisions = move(host, HAEvent.PERIODIC_RECHECK, now, "the longest Degraded period is over", ())
        host = host._replace(activity_due=now)
    if now < host.activity_due:
        return host, decisions
    if host.state is HAState.SUSPECT:
        host, moved = move(host, HAEvent.PERFORM_ACTIVITY_CHECK, now, "look for signs of life on its storage", ())
        decisions += moved
    return host._replace(activity_busy=True), (*decisions, AskActivity(host.token))


def _then_tick(done: Step, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    """Carry on with what is already due, so that no state is left waiting for a timer it does not need."""
    host, decisions = done
    host, more = _tick(host, None, now, policy, domains)
    return host, decisions + more


def _prepared(host: HostHa, seen: Prepared, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.token != host.token or host.fence is None or host.fence.stage is not Stage.PREPARING:
        return host, _NOTHING
    return fencing.prepared(host, now, policy, domains)


def _cut_done(host: HostHa, seen: CutDone, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.token != host.token or host.fence is None or host.fence.stage is not Stage.CUTTING:
        return host, _NOTHING
    return fencing.cut_done(host, seen, now)


def _power_read(host: HostHa, seen: PowerRead, now: float, policy: HostPolicy, domains: tuple[Domain, ...]) -> Step:
    if seen.token != host.token or host.fence is None or host.fence.stage not in _READ_IN or not host.action_busy:
        return host, _NOTHING
    return fencing.power_read(host, seen.evidence, now, policy)


def _sentence(evidence: tuple[Evidence, ...]) -> str:
    return "; ".join(e.detail or f"{e.kind} {e.opinion}" for e in evidence)


_HANDLERS: dict[type, Callable[..., Step]] = {
    Heard: _heard,
    Silent: _silent,
    Tick: _tick,
    Switched: _switched,
    Judged: _judged,
    HealthSeen: _health_seen,
    ActivitySeen: _activity_seen,
    RecoverDone: _recover_done,
    Prepared: _prepared,
    CutDone: _cut_done,
    PowerRead: _power_read,
    Declared: _declared,
}
