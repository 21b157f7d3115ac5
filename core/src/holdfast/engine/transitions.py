"""The host-HA state machine as data. The reference page of states is generated from it.

A pair that is not listed is no transition: the engine keeps the state and counts the event as ignored.
"""

from typing import NamedTuple

from holdfast.model.states import HAEvent, HAState

CLOUDSTACK = "CloudStack"
MOLD = "Mold"
HOLDFAST = "Holdfast"


class Transition(NamedTuple):
    """One row: `source` None is a host that has no state yet; `origin` says whose rule it is."""

    source: HAState | None
    event: HAEvent
    target: HAState
    origin: str
    why: str


S, E = HAState, HAEvent

_EVERYWHERE = tuple(
    Transition(source, E.DISABLED, S.DISABLED, CLOUDSTACK, "a switch (host, cluster or zone) was turned off")
    for source in (None, *HAState)
    if source is not S.DISABLED
)

_NOT_ELIGIBLE = tuple(
    Transition(source, E.INELIGIBLE, S.INELIGIBLE, CLOUDSTACK, "the provider says that HA cannot work for the host now")
    for source in (None, S.INELIGIBLE, S.AVAILABLE, S.SUSPECT, S.CHECKING, S.DEGRADED)
)

_CONFIRMED_OFF = tuple(
    Transition(
        source, E.POWER_OFF_CONFIRMED, S.FENCING, MOLD, "link silent and the BMC read OFF several times in a row"
    )
    for source in (S.AVAILABLE, S.SUSPECT, S.CHECKING, S.DEGRADED, S.RECOVERING)
)

_PROVEN_OTHERWISE = tuple(
    Transition(source, event, S.FENCING, HOLDFAST, why)
    for event, why in (
        (E.DECLARED_DEAD, "an admin declared the host dead, by name"),
        (E.LEASE_EXPIRED, "the storage lease, the watchdog and the margin have run out"),
    )
    for source in (S.SUSPECT, S.CHECKING, S.DEGRADED, S.RECOVERING, S.RECOVERED, S.FENCING)
)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, E.ENABLED, S.AVAILABLE, CLOUDSTACK, "host HA was enabled"),
    Transition(S.DISABLED, E.ENABLED, S.AVAILABLE, CLOUDSTACK, "host HA was enabled"),
    *_EVERYWHERE,
    *_NOT_ELIGIBLE,
    Transition(S.INELIGIBLE, E.ELIGIBLE, S.AVAILABLE, CLOUDSTACK, "what was missing is there again"),
    Transition(S.INELIGIBLE, E.DECLARED_DEAD, S.FENCING, HOLDFAST, "an admin declared the host dead, by name"),
    Transition(S.AVAILABLE, E.HEALTH_CHECK_PASSED, S.AVAILABLE, CLOUDSTACK, "the host is healthy"),
    Transition(S.AVAILABLE, E.HEALTH_CHECK_FAILED, S.SUSPECT, CLOUDSTACK, "the host has been silent for too long"),
    Transition(S.SUSPECT, E.HEALTH_CHECK_PASSED, S.AVAILABLE, CLOUDSTACK, "the host answers again"),
    Transition(S.SUSPECT, E.HEALTH_CHECK_FAILED, S.SUSPECT, CLOUDSTACK, "still silent"),
    Transition(S.SUSPECT, E.PERFORM_ACTIVITY_CHECK, S.CHECKING, CLOUDSTACK, "look for signs of life on its storage"),
    Transition(S.CHECKING, E.HEALTH_CHECK_PASSED, S.AVAILABLE, MOLD, "the host answers again"),
    Transition(S.CHECKING, E.HEALTH_CHECK_FAILED, S.CHECKING, HOLDFAST, "still silent while the storage is looked at"),
    Transition(S.CHECKING, E.TOO_FEW_SAMPLES, S.SUSPECT, CLOUDSTACK, "not enough samples in a row to decide"),
    Transition(
        S.CHECKING, E.UNDER_THRESHOLD, S.DEGRADED, CLOUDSTACK, "silent, but its VMs still write: leave it alone"
    ),
    Transition(S.CHECKING, E.OVER_THRESHOLD, S.RECOVERING, CLOUDSTACK, "every pool says in a row that it is dead"),
    Transition(S.DEGRADED, E.HEALTH_CHECK_PASSED, S.AVAILABLE, CLOUDSTACK, "the host answers again"),
    Transition(S.DEGRADED, E.HEALTH_CHECK_FAILED, S.DEGRADED, CLOUDSTACK, "still silent, still writing"),
    Transition(S.DEGRADED, E.PERIODIC_RECHECK, S.SUSPECT, CLOUDSTACK, "look afresh after the longest Degraded period"),
    Transition(S.DEGRADED, E.OVER_THRESHOLD, S.RECOVERING, MOLD, "its storage heartbeats have stopped as well"),
    *_CONFIRMED_OFF,
    *_PROVEN_OTHERWISE,
    Transition(S.RECOVERING, E.RETRY_RECOVERY, S.RECOVERING, CLOUDSTACK, "the recovery attempt failed; try again"),
    Transition(S.RECOVERING, E.RECOVERED, S.RECOVERED, CLOUDSTACK, "the recovery was accepted; wait for the host"),
    Transition(S.RECOVERING, E.RECOVERY_THRESHOLD_EXCEEDED, S.FENCING, CLOUDSTACK, "no recovery attempt is left"),
    Transition(S.RECOVERING, E.HEALTH_CHECK_PASSED, S.AVAILABLE, HOLDFAST, "the host answers again"),
    Transition(S.RECOVERED, E.HEALTH_CHECK_PASSED, S.AVAILABLE, HOLDFAST, "the host came back"),
    Transition(
        S.RECOVERED, E.RECOVERY_WAIT_TIMEOUT, S.AVAILABLE, CLOUDSTACK, "the time to come back is over: look afresh"
    ),
    Transition(S.FENCING, E.RETRY_FENCING, S.FENCING, CLOUDSTACK, "the fence attempt did not prove the host off"),
    Transition(S.FENCING, E.HEALTH_CHECK_PASSED, S.AVAILABLE, HOLDFAST, "the host proved alive and was not cut off"),
    Transition(S.FENCING, E.FENCED, S.FENCED, CLOUDSTACK, "proof of death is complete"),
    Transition(S.FENCED, E.HEALTH_CHECK_PASSED, S.INELIGIBLE, CLOUDSTACK, "the host is back and out of maintenance"),
    Transition(S.FENCED, E.HEALTH_CHECK_FAILED, S.FENCED, CLOUDSTACK, "the host stays out"),
)

_TABLE: dict[tuple[HAState | None, HAEvent], HAState] = {(row.source, row.event): row.target for row in TRANSITIONS}
WHY: dict[tuple[HAState | None, HAEvent], str] = {(row.source, row.event): row.why for row in TRANSITIONS}


def target(source: HAState | None, event: HAEvent) -> HAState | None:
    """Where `event` leads from `source`, or None if that is no transition."""
    return _TABLE.get((source, event))
