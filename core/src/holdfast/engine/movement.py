"""Taking one row of the transition table."""

from math import inf

from holdfast.engine.incident import Decision, HostHa, Moved
from holdfast.engine.transitions import target
from holdfast.model.evidence import Evidence
from holdfast.model.states import HAEvent, HAState

_SAME_SUSPICION = frozenset({HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED})


def move(
    host: HostHa, event: HAEvent, now: float, reason: str, evidence: tuple[Evidence, ...]
) -> tuple[HostHa, tuple[Decision, ...]]:
    """Take the transition, if the table has it; else change nothing.

    Leaving a suspicion, or entering one, starts a new generation: results that were asked for earlier are dropped.
    """
    source = host.state
    after = target(source, event)
    if after is None:
        return host, ()
    moved = Moved(event, source, after, reason, evidence, host.samples.taken, host.recoveries)
    if after is source:
        return host._replace(reason=reason), (moved,)
    if source in _SAME_SUSPICION and after in _SAME_SUSPICION:
        return host._replace(state=after, since=now, reason=reason), (moved,)
    return (
        host._replace(
            state=after,
            since=now,
            reason=reason,
            token=host.token + 1,
            health_busy=False,
            activity_busy=False,
            action_busy=False,
            health_due=now + host.poll_every if host.poll_every else inf,
            activity_due=inf,
            fence=host.fence if after is HAState.FENCING else None,
        ),
        (moved,),
    )
