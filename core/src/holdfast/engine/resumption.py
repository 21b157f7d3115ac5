"""Taking up a host where another process, or this one before a crash, left it.

Only what was stored is known. Counters start anew: evidence of another process's clock is no evidence.
"""

from typing import Any

from holdfast.engine.incident import Decision, Fence, HostHa, Prepare, Step
from holdfast.engine.policy import HostPolicy
from holdfast.model.states import HAEvent, HAState


def memory(host: HostHa) -> dict[str, Any]:
    """What has to be stored with the state so that `resume` can go on (column `ha_config.incident`)."""
    kept: dict[str, Any] = {}
    if host.recoveries:
        kept["recoveries"] = host.recoveries
    if host.armed:
        kept["armed"] = True
    if host.fence is not None:
        kept["fence"] = {"cause": host.fence.cause, "attempt": host.fence.attempt, "problem": host.fence.problem}
    return kept


def resume(uuid: str, state: HAState | None, kept: dict[str, Any], now: float, policy: HostPolicy) -> Step:
    """The record to go on with, and what to do at once. Unreadable memory counts as none."""
    host = HostHa(uuid, state, now, armed=bool(kept.get("armed")), recoveries=_whole(kept.get("recoveries")))
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
