"""Taking up a host where another process, or this one before a crash, left it.

Only what was stored is known. Counters start anew: evidence of another process's clock is no evidence.
"""

from typing import Any

from holdfast.engine.incident import Decision, Fence, HostHa, LeaseTerms, Prepare, Step
from holdfast.engine.policy import HostPolicy
from holdfast.model.states import HAEvent, HAState

_IN_DOUBT = frozenset(
    {HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED, HAState.RECOVERING, HAState.RECOVERED, HAState.FENCING}
)


def memory(host: HostHa) -> dict[str, Any]:
    """What has to be stored with the state so that `resume` can go on (column `ha_config.incident`)."""
    kept: dict[str, Any] = {}
    if host.recoveries:
        kept["recoveries"] = host.recoveries
    if host.armed:
        kept["armed"] = True
        kept["lease"] = {"needs": host.lease.needs, "pools": sorted(host.lease.pools)}
    if host.fence is not None:
        kept["fence"] = {"cause": host.fence.cause, "attempt": host.fence.attempt, "problem": host.fence.problem}
    return kept


def resume(uuid: str, state: HAState | None, kept: dict[str, Any], now: float, policy: HostPolicy) -> Step:
    """The record to go on with, and what to do at once. Unreadable memory counts as none."""
    # What is stored with a quiet state may be old: its host may have disarmed since, and beats tell soon enough.
    lease = _lease(kept.get("lease")) if bool(kept.get("armed")) and state in _IN_DOUBT else None
    armed = lease is not None
    host = HostHa(uuid, state, now, armed=armed, lease=lease or LeaseTerms(), recoveries=_whole(kept.get("recoveries")))
    decisions: tuple[Decision, ...] = ()
    if state in (HAState.SUSPECT, HAState.CHECKING):
        # Nobody else can end a check that its owner left behind: look afresh.
        host = host._replace(state=HAState.SUSPECT, health_due=now, activity_due=now)
    elif state is HAState.DEGRADED:
        host = host._replace(health_due=now, activity_due=now)
    elif state is HAState.RECOVERING:
        host = host._replace(activity_due=now + policy.stale_after)
    elif state is HAState.RECOVERED:
        host = host._replace(activity_due=now + policy.recovery_wait)
    elif state is HAState.FENCING:
        # Listen first, as long as it takes to call a link silent: the host may have come back meanwhile (S4).
        fence = _fence(kept.get("fence"))._replace(next_at=now + policy.stale_after)
        host = host._replace(fence=fence, activity_due=now)
        decisions = (Prepare(host.token),)
    return host, decisions


def _lease(kept: Any) -> LeaseTerms | None:
    """The terms, or None if they cannot be read: then nothing is proven by them."""
    if kept is None:
        return LeaseTerms()
    try:
        return LeaseTerms(float(kept["needs"]), frozenset(str(name) for name in kept["pools"]))
    except (KeyError, TypeError, ValueError):
        return None


def _fence(kept: Any) -> Fence:
    found = kept if isinstance(kept, dict) else {}
    try:
        cause = HAEvent(found.get("cause", ""))
    except ValueError:
        cause = HAEvent.RETRY_FENCING
    if cause is HAEvent.LEASE_EXPIRED:
        # That proof was this other process's reading; it has to be read again.
        cause = HAEvent.RETRY_FENCING
    return Fence(cause, attempt=_whole(found.get("attempt")), problem=str(found.get("problem", "")))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
