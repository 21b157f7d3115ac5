"""Every row of the transition table, taken through `step` by an observation; and the rows that nothing takes today."""

from collections.abc import Callable
from typing import get_args

import pytest
from engine_bed import Bed, in_state, policy
from holdfast.engine.host import _HANDLERS, step
from holdfast.engine.incident import (
    AskActivity,
    AskHealth,
    Heard,
    HostHa,
    Judged,
    Moved,
    Observation,
    Recover,
    Switched,
)
from holdfast.engine.transitions import TRANSITIONS, WHY, target
from holdfast.model.states import HAEvent, HAState, Opinion

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN
S, E = HAState, HAEvent

# Kept in the table because CloudStack, Mold or the API's own words have them; the engine never needs them, because it
# stores no repeated failure (S10 asks for visible retries, not for a row per beat) and asks nothing in these states.
NEVER_TAKEN = {
    (S.INELIGIBLE, E.INELIGIBLE),
    (S.AVAILABLE, E.HEALTH_CHECK_PASSED),
    (S.SUSPECT, E.HEALTH_CHECK_FAILED),
    (S.CHECKING, E.HEALTH_CHECK_FAILED),
    (S.DEGRADED, E.HEALTH_CHECK_FAILED),
    (S.FENCED, E.HEALTH_CHECK_FAILED),
    (S.SUSPECT, E.LEASE_EXPIRED),
    (S.RECOVERING, E.LEASE_EXPIRED),
    (S.RECOVERED, E.LEASE_EXPIRED),
    (S.RECOVERING, E.POWER_OFF_CONFIRMED),
    (S.AVAILABLE, E.POWER_OFF_CONFIRMED),
}


def bare() -> Bed:
    """A host that has no state yet."""
    return Bed()


def confirm_off(bed: Bed) -> None:
    """OFF readings until they confirm, before the next activity check is due."""
    bed.policy = bed.policy._replace(off_needed=2)
    for _ in range(bed.policy.off_needed):
        if AskHealth not in bed.in_flight:
            bed.advance(bed.policy.power_interval)
        bed.health(DEAD)


def dead_pools(bed: Bed, times: int = 10) -> None:
    """Activity checks that say dead, until the state changes to a recovery."""
    for _ in range(times):
        if bed.host.state in (S.RECOVERING, S.FENCING):
            return
        if AskActivity not in bed.in_flight:
            bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD)


def lapse(bed: Bed) -> None:
    """The armed host is silent and its pools stood still for 26 s."""
    if AskActivity not in bed.in_flight:
        bed.advance(bed.policy.activity_interval)
    bed.activity(DEAD, lasting=26.0)


def still_alive(bed: Bed) -> None:
    """A failed fence attempt of a host that then answers."""
    bed.tell(Heard())


def wait_out(bed: Bed) -> None:
    """The longest Degraded period passes."""
    bed.advance(bed.policy.degraded_max)


def retry_fence(bed: Bed) -> None:
    """An attempt fails and the next one is sent."""
    bed.cut(accepted=False)
    bed.read(UNKNOWN)
    bed.to_due()
    while len(bed.moves()) < 5:
        if AskActivity in bed.in_flight:
            bed.activity(UNKNOWN)
        bed.to_due()
        bed.witness()


def give_up_recovery(bed: Bed) -> None:
    """The only recovery attempt fails."""
    bed.answer(Recover, False, "no answer")


def retry_recovery(bed: Bed) -> None:
    """One of two attempts fails."""
    bed.policy = policy(recovery_attempts=2)
    bed.answer(Recover, False, "no answer")


def come_back(bed: Bed) -> None:
    """Maintenance is cancelled and the host answers."""
    bed.tell(Judged(True, maintenance=False))
    bed.tell(Heard())


Act = Callable[[Bed], object]
ACTS: dict[HAEvent, Act] = {
    E.ENABLED: lambda bed: bed.tell(Switched(True)),
    E.DISABLED: lambda bed: bed.tell(Switched(False)),
    E.INELIGIBLE: lambda bed: bed.tell(Judged(False, "maintenance")),
    E.ELIGIBLE: lambda bed: bed.tell(Judged(True)),
    E.HEALTH_CHECK_PASSED: still_alive,
    E.HEALTH_CHECK_FAILED: lambda bed: bed.fall_silent(),
    E.PERFORM_ACTIVITY_CHECK: lambda bed: bed.to_due(),
    E.TOO_FEW_SAMPLES: lambda bed: bed.activity(UNKNOWN),
    E.PERIODIC_RECHECK: wait_out,
    E.OVER_THRESHOLD: dead_pools,
    E.UNDER_THRESHOLD: lambda bed: bed.activity(ALIVE),
    E.POWER_OFF_CONFIRMED: confirm_off,
    E.DECLARED_DEAD: lambda bed: bed.declare(),
    E.LEASE_EXPIRED: lapse,
    E.RETRY_RECOVERY: retry_recovery,
    E.RECOVERED: lambda bed: bed.answer(Recover, True),
    E.RECOVERY_WAIT_TIMEOUT: lambda bed: bed.to_due(),
    E.RECOVERY_THRESHOLD_EXCEEDED: give_up_recovery,
    E.RETRY_FENCING: retry_fence,
    E.FENCED: lambda bed: bed.cut().read_off(),
}
SPECIAL: dict[tuple[HAState | None, HAEvent], Act] = {(S.FENCED, E.HEALTH_CHECK_PASSED): come_back}
TAKEN = [row for row in TRANSITIONS if (row.source, row.event) not in NEVER_TAKEN]


@pytest.mark.parametrize("row", TAKEN, ids=lambda row: f"{row.source}-{row.event}")
def test_an_observation_takes_each_row(row: object) -> None:
    """From the source state, brought about by observations, another observation takes exactly this row."""
    source, event, after, *_ = row  # type: ignore[misc]
    bed = bare() if source is None else in_state(source)
    before = len(bed.log)
    SPECIAL.get((source, event), ACTS[event])(bed)
    taken = {(d.source, d.event, d.target) for d in bed.log[before:] if isinstance(d, Moved)}
    assert (source, event, after) in taken


def test_the_rows_that_nothing_takes_are_all_in_the_table() -> None:
    """The list above names no row that is not there."""
    assert {(row.source, row.event) for row in TRANSITIONS} >= NEVER_TAKEN


def test_no_pair_is_in_the_table_twice() -> None:
    """One source and event lead to one target, each with its reason and its origin."""
    pairs = [(row.source, row.event) for row in TRANSITIONS]
    assert len(pairs) == len(set(pairs)) == len(WHY)
    assert all(row.why and row.origin in ("CloudStack", "Mold", "Holdfast") for row in TRANSITIONS)


def test_every_state_can_be_reached_and_left() -> None:
    """No state is an island and none is a trap."""
    reached = {None}
    while True:
        more = {row.target for row in TRANSITIONS if row.source in reached}
        if more <= reached:
            break
        reached |= more
    assert reached == {None, *HAState}
    assert all(any(row.source is s and row.target is not s for row in TRANSITIONS) for s in HAState)


def test_only_fencing_leads_to_fenced() -> None:
    """And only the event that comes with a proof."""
    assert [(r.source, r.event) for r in TRANSITIONS if r.target is S.FENCED and r.source is not S.FENCED] == [
        (S.FENCING, E.FENCED)
    ]


@pytest.mark.parametrize("state", [None, *HAState])
def test_an_event_without_a_row_changes_nothing(state: HAState | None) -> None:
    """What the table refuses leaves the state and stores no transition."""
    host = HostHa("host-1", state)
    acts: dict[HAEvent, Observation] = {
        E.ENABLED: Switched(True),
        E.ELIGIBLE: Judged(True),
        E.HEALTH_CHECK_PASSED: Heard(),
    }
    for event, observation in acts.items():
        if state is S.FENCING or target(state, event) is not None:
            continue
        after, decisions = step(host, observation, 5.0, policy())
        assert after.state is state
        assert decisions == ()


def test_every_kind_of_observation_has_a_handler() -> None:
    """None that is added to `Observation` can be forgotten in `step`."""
    assert set(get_args(Observation)) == set(_HANDLERS)
