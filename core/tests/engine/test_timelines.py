"""Incidents from end to end: what happens when, with the default settings unless said."""

import pytest
from engine_bed import HOST, Bed, beat, policy
from holdfast.engine.incident import (
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    Heard,
    Judged,
    LeaseTerms,
    Moved,
    PowerOn,
    Prepare,
    Proven,
    ReadPower,
    Recover,
    Release,
    Stage,
    Tick,
)
from holdfast.model.evidence import Kind, ProofKind
from holdfast.model.states import HAEvent, HAState, Opinion

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN


# --- power loss ------------------------------------------------------------------------------------------------------


def test_power_loss_with_a_live_bmc() -> None:
    """Suspect, Checking, Fencing by three OFF readings, prepared, cut, three read-backs, Fenced with its proof."""
    bed = Bed().enable()
    began = bed.now
    bed.lose_power().cut().read_off()
    assert bed.moves() == ["Available", "Suspect", "Checking", "Fencing", "Fenced"]
    assert bed.proof().kind is ProofKind.CHASSIS_OFF
    assert bed.proof().subject == HOST
    assert [piece.kind for piece in bed.proof().evidence] == [Kind.POWER] * 3
    # Two waits between three readings, twice: all that the engine adds of its own to the time budget (design §4).
    assert bed.now - began == pytest.approx(4 * bed.policy.power_interval)


def test_the_order_of_effects_of_a_fence() -> None:
    """Quarantine and list first, then power, then read-backs, then proof, then power on (S8)."""
    bed = Bed().enable().lose_power().cut().read_off()
    effects = [type(decision) for decision in bed.log if type(decision) in (Prepare, CutPower, Proven, PowerOn)]
    assert effects == [Prepare, CutPower, Proven, PowerOn]


def test_power_is_left_off_where_the_setting_says_so() -> None:
    """`ha.power.on.after.fence` false: no PowerOn."""
    assert not Bed(policy(power_on_after_fence=False)).enable().lose_power().cut().read_off().all(PowerOn)


def test_two_off_readings_are_not_enough() -> None:
    """An ON between them begins the count anew."""
    bed = Bed().enable().fall_silent()
    for chassis in (DEAD, DEAD, ALIVE, DEAD, DEAD):
        if AskHealth not in bed.in_flight:
            while AskHealth not in bed.in_flight:
                if AskActivity in bed.in_flight:
                    bed.activity(UNKNOWN)
                bed.to_due()
        bed.health(chassis)
    assert bed.host.state in (HAState.SUSPECT, HAState.CHECKING)
    assert bed.host.samples.off_run == 2


def test_an_off_reading_that_is_too_old_begins_a_new_run() -> None:
    """Readings further apart than `kvm.ha.power.off.max.interval` do not add up."""
    bed = Bed().enable().fall_silent()
    bed.health(DEAD)
    bed.advance(bed.policy.power_max_interval + 0.1)
    bed.health(DEAD)
    assert bed.host.samples.off_run == 1


def test_off_readings_count_for_nothing_where_the_check_is_off() -> None:
    """`kvm.ha.power.off.check.enabled` false: only the storage condemns."""
    bed = Bed(policy(power_check=False)).enable().fall_silent()
    for _ in range(5):
        bed.health(DEAD)
        bed.advance(bed.policy.activity_interval)
    assert bed.host.state is HAState.CHECKING


def test_off_alone_never_fences_while_the_link_speaks() -> None:
    """A BMC that reads OFF about a host that answers is a wrong BMC (S4)."""
    bed = Bed().enable().fall_silent()
    bed.health(DEAD, word=ALIVE)
    assert bed.host.state is HAState.AVAILABLE


# --- hang ------------------------------------------------------------------------------------------------------------


def test_a_hung_host_is_fenced_at_once_when_recovery_first_is_off() -> None:
    """Dead on all pools often enough: Recovering and Fencing in one step, no Recover."""
    bed = Bed().enable().hang()
    assert bed.moves()[-2:] == ["Recovering", "Fencing"]
    assert not bed.all(Recover)
    assert Prepare in bed.in_flight
    assert bed.cut().read_off().proof().kind is ProofKind.CHASSIS_OFF


def test_one_good_pool_protects_a_silent_host() -> None:
    """Writing on one of two pools: Degraded, never fenced (S4)."""
    bed = Bed().enable().fall_silent()
    for _ in range(bed.policy.alive_needed):
        if AskActivity not in bed.in_flight:
            bed.to_due() if AskHealth not in bed.in_flight else bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD, ALIVE)
    assert bed.host.state is HAState.DEGRADED
    assert not bed.all(Prepare)


def test_one_unreadable_pool_protects_a_silent_host() -> None:
    """Dead on one pool, unknown on the other, for as long as you like: no fence (S2, S4)."""
    bed = Bed().enable().fall_silent()
    for _ in range(30):
        if AskActivity not in bed.in_flight:
            bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD, UNKNOWN)
    assert not bed.all(Prepare)


def test_a_degraded_host_that_stops_writing_is_fenced() -> None:
    """Degraded stays under observation: pools that go dead later condemn it."""
    bed = Bed(policy(alive_needed=1)).enable().fall_silent()
    bed.activity(ALIVE)
    for _ in range(bed.policy.dead_needed):
        bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD)
    assert bed.moves()[-3:] == ["Degraded", "Recovering", "Fencing"]


def test_a_degraded_host_is_suspected_afresh_after_its_longest_period() -> None:
    """After `kvm.ha.degraded.max.period` it is looked at from the beginning."""
    bed = Bed(policy(alive_needed=1)).enable().fall_silent()
    bed.activity(ALIVE)
    bed.advance(bed.policy.degraded_max)
    assert bed.moves()[-3:] == ["Degraded", "Suspect", "Checking"]


# --- recovery first --------------------------------------------------------------------------------------------------


def test_recovery_first_that_works() -> None:
    """Recovering, Recovered; the agent answers in time: Available, and the count starts anew."""
    bed = Bed(policy(recovery_attempts=2)).enable().hang()
    bed.answer(Recover, True)
    assert bed.host.state is HAState.RECOVERED
    bed.now += 30.0
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE
    assert bed.host.recoveries == 0


def test_recovery_first_with_every_attempt_used_up() -> None:
    """A failed attempt is tried again; when the last is used up, the host is fenced."""
    bed = Bed(policy(recovery_attempts=2)).enable().hang()
    bed.answer(Recover, False, "no answer")
    assert bed.moves()[-1] == "Recovering"
    bed.to_due()
    bed.answer(Recover, False, "no answer")
    assert [attempt.attempt for attempt in bed.all(Recover)] == [1, 2]
    assert bed.host.state is HAState.FENCING


def test_a_recovered_host_that_does_not_come_back_is_fenced_in_the_end() -> None:
    """Recovered, wait, Available and at once Suspect again; the used attempt is remembered, so it ends in Fencing."""
    bed = Bed(policy(recovery_attempts=1)).enable().hang()
    bed.answer(Recover, True)
    reset = bed.now
    bed.to_due()
    assert bed.now == reset + bed.policy.recovery_wait
    assert bed.moves()[-4:] == ["Recovered", "Available", "Suspect", "Checking"]
    for _ in range(bed.policy.dead_needed):
        if AskActivity not in bed.in_flight:
            bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD)
    assert bed.host.state is HAState.FENCING
    assert len(bed.all(Recover)) == 1


# --- the host comes back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["beat", "health check"])
def test_a_suspect_host_that_answers_is_available_again(sign: str) -> None:
    """Checking ends on any good sign of life, and what was counted is forgotten."""
    bed = Bed().enable().fall_silent()
    bed.activity(DEAD)
    bed.tell(Heard()) if sign == "beat" else bed.health(word=ALIVE)
    assert bed.host.state is HAState.AVAILABLE
    assert bed.host.samples.dead_run == 0


def test_an_answer_before_the_cut_releases_the_host() -> None:
    """Prepared or not, a host that speaks before power was cut is let go and its quarantine undone."""
    bed = Bed().enable().lose_power()
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE
    assert len(bed.all(Release)) == 1
    assert not bed.all(CutPower)


def test_an_answer_after_a_cut_waits_for_the_outcome() -> None:
    """Once power was cut, a beat that was on its way proves nothing; the read-backs decide."""
    bed = Bed().enable().lose_power()
    bed.answer(Prepare)
    bed.tell(Heard())
    assert bed.host.state is HAState.FENCING
    bed.answer(CutPower, True)
    bed.tell(Heard())
    assert bed.read_off().host.state is HAState.FENCED


def test_a_host_that_survives_its_fence_is_released_with_an_alarm() -> None:
    """The cut was refused and the host answers: Available again, and an operator is told."""
    bed = Bed().enable().lose_power().cut(accepted=False, detail="refused")
    bed.read(ALIVE)
    assert bed.host.fence is not None
    assert bed.host.fence.stage is Stage.WAITING
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE
    assert "ALERT.HA.FENCE.SURVIVED" in bed.alarms()
    assert len(bed.all(Release)) == 1


def test_a_fenced_host_that_answers_stays_out_until_its_maintenance_is_cancelled() -> None:
    """Fenced, answering: says what to do; after the admin's act: Ineligible, Eligible, Available."""
    bed = Bed().enable().lose_power().cut().read_off()
    bed.tell(Heard())
    assert bed.host.state is HAState.FENCED
    assert "cancel its maintenance" in bed.host.reason
    bed.tell(Judged(True, maintenance=False))
    bed.tell(Heard())
    assert bed.host.state is HAState.INELIGIBLE
    bed.tell(Judged(True))
    assert bed.host.state is HAState.AVAILABLE


# --- BMCs that fail --------------------------------------------------------------------------------------------------


def test_already_off_is_success() -> None:
    """A refused OFF of a chassis that is off: the read-backs prove it (S3)."""
    bed = Bed().enable().lose_power().cut(accepted=False, detail="already off")
    assert bed.read_off().proof().kind is ProofKind.CHASSIS_OFF


def test_a_lying_bmc_never_proves_anything() -> None:
    """It accepts and the chassis stays on: the attempt fails, is retried ever more slowly, and raises an alarm."""
    bed = Bed(policy(fence_max_attempts=3)).enable().hang()
    bed.answer(Prepare)
    waits = []
    for _ in range(4):
        bed.answer(CutPower, True)
        while bed.host.fence is not None and bed.host.fence.stage is Stage.READING:
            if ReadPower in bed.in_flight:
                bed.read(ALIVE)
            else:
                if AskActivity in bed.in_flight:
                    bed.activity(DEAD)
                bed.to_due()
        assert bed.host.fence is not None
        waits.append(bed.host.fence.next_at - bed.now)
        bed.answer_pools_until_cut(DEAD)
    assert waits == [5.0, 10.0, 20.0, 40.0]
    assert bed.alarms() == ["ALERT.HA.FENCE.STUCK"]
    assert not bed.all(Proven)


def test_the_wait_between_attempts_has_a_longest() -> None:
    """However many attempts failed, the next comes within `ha.fence.retry.max.interval`."""
    kept = {"fence": {"cause": "PowerOffConfirmed", "attempt": 10**9}}
    bed = Bed(resumed=(HAState.FENCING, kept))
    bed.cut(accepted=False)
    bed.read(UNKNOWN)
    assert bed.host.fence is not None
    assert bed.host.fence.next_at - bed.now == bed.policy.fence_retry_max


def test_a_cut_that_is_never_answered_ends_with_its_attempt() -> None:
    """A BMC that hangs: after `kvm.ha.fence.timeout` the attempt is over, and its late answer is dropped."""
    bed = Bed().enable().lose_power()
    bed.answer(Prepare)
    token = bed.in_flight[CutPower]
    bed.advance(bed.policy.fence_timeout)
    assert bed.host.fence is not None
    assert bed.host.fence.stage is Stage.WAITING
    assert bed.tell(CutDone(token, True)) == ()


def test_a_dark_bmc_and_a_lapsed_lease() -> None:
    """No BMC answers; under an armed watchdog the lease proves the host dead at lease + watchdog + margin."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    died = bed.now
    bed.hang().cut(accepted=False, detail="no route")
    bed.read(UNKNOWN)
    while not bed.all(Proven):
        if AskActivity in bed.in_flight:
            bed.activity(DEAD, DEAD, lasting=bed.now - died)
        elif CutPower in bed.in_flight:
            bed.answer(CutPower, False, "no route")
            bed.read(UNKNOWN)
        else:
            bed.to_due()
    assert bed.proof().kind is ProofKind.LEASE_EXPIRED
    assert 25.0 < bed.now - died <= 25.0 + 2 * bed.policy.activity_interval
    assert not bed.all(PowerOn)


@pytest.mark.parametrize("case", ["not armed", "one pool still counts", "one pool unreadable", "heard again"])
def test_a_lease_that_proves_nothing(case: str) -> None:
    """Without an armed watchdog, or with any pool or the link speaking for it, a lapsed lease is no proof."""
    bed = Bed().enable()
    bed.tell(Heard(armed=case != "not armed"))
    bed.hang().cut(accepted=False)
    bed.read(UNKNOWN)
    bed.tick()
    second = {"one pool still counts": ALIVE, "one pool unreadable": UNKNOWN}.get(case, DEAD)
    if case == "heard again":
        bed.tell(Heard(armed=True))
        assert bed.host.state is HAState.AVAILABLE
    else:
        bed.activity(DEAD, second, lasting=99.0)
    assert not bed.all(Proven)


def test_a_lease_proof_waits_for_the_last_grant() -> None:
    """Its pools have stood still for long, but an owner may have granted it life since: it may yet run."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.fall_silent()
    bed.activity(DEAD, DEAD, lasting=99.0, granted=24.9)
    assert not bed.all(Proven)
    bed.to_due()
    bed.activity(DEAD, DEAD, lasting=100.0, granted=25.9)
    bed.answer(Prepare)
    assert bed.proof().kind is ProofKind.LEASE_EXPIRED
    assert Kind.GRANT in {piece.kind for piece in bed.all(Moved)[-2].evidence}


def test_a_lease_proves_nothing_without_a_word_on_grants() -> None:
    """Whoever looked did not say that nobody granted it life."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.fall_silent()
    bed.answer(AskActivity, (beat(DEAD, bed.now, lasting=99.0),))
    assert HAEvent.LEASE_EXPIRED not in {moved.event for moved in bed.all(Moved)}


@pytest.mark.parametrize(
    ("terms", "lasting", "proven"),
    [
        (LeaseTerms(40.0, frozenset({"p1"})), 39.0, False),
        (LeaseTerms(40.0, frozenset({"p1"})), 41.0, True),
        (LeaseTerms(25.0, frozenset({"p1", "elsewhere"})), 99.0, False),
    ],
    ids=["before its own time", "after its own time", "a pool that was taken out"],
)
def test_a_lease_is_judged_by_what_the_host_confirmed(terms: LeaseTerms, lasting: float, proven: bool) -> None:
    """A host that fell silent keeps to the old settings and pools, whatever was changed since."""
    bed = Bed().enable()
    bed.tell(Heard(True, terms))
    bed.hang().cut(accepted=False)
    bed.read(UNKNOWN)
    bed.tick()
    bed.activity(DEAD, lasting=lasting)
    assert bool(bed.all(Proven)) is proven


# --- a quiet host ----------------------------------------------------------------------------------------------------


def test_a_beat_of_a_healthy_host_costs_nothing() -> None:
    """The very same record comes back: nothing to store, nothing to decide."""
    bed = Bed().enable()
    before = bed.host
    bed.tell(Heard())
    assert bed.host is before
    bed.tell(Tick())
    assert bed.host is before


# --- a cut that lost its witness -------------------------------------------------------------------------------------


def test_a_retry_spares_a_host_that_writes_again() -> None:
    """The first cut never reached the BMC; the host writes to its storage again: no second cut, and an alert (S4)."""
    bed = Bed().enable().hang().cut(accepted=False, detail="no route")
    bed.read(UNKNOWN)
    cuts = len(bed.all(CutPower))
    for _ in range(60):
        if AskActivity in bed.in_flight:
            bed.activity(ALIVE)
        if ReadPower in bed.in_flight:
            bed.read(ALIVE)
        bed.to_due()
    assert len(bed.all(CutPower)) == cuts
    assert bed.alarms() == ["ALERT.HA.FENCE.STUCK"]
    assert "without a fresh sign of death" in bed.host.held
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE


@pytest.mark.parametrize("sign", ["chassis off", "pools dead"])
def test_a_retry_goes_on_with_a_fresh_sign_of_death(sign: str) -> None:
    """Chassis OFF, or every pool dead again, and the next cut is sent."""
    bed = Bed().enable().hang().cut(accepted=False, detail="no route")
    bed.read(UNKNOWN)
    cuts = len(bed.all(CutPower))
    for _ in range(40):
        if AskActivity in bed.in_flight:
            bed.activity(DEAD if sign == "pools dead" else UNKNOWN)
        if ReadPower in bed.in_flight:
            bed.read(DEAD if sign == "chassis off" else UNKNOWN)
        bed.to_due()
        if len(bed.all(CutPower)) > cuts:
            return
    raise AssertionError("the second cut was never sent")


def test_a_cut_that_was_held_up_looks_again() -> None:
    """The store answered only a minute after the host was condemned: its witness is stale by then (S2, S4)."""
    bed = Bed().enable().lose_power()
    bed.advance(60.0)
    bed.answer(Prepare)
    assert not bed.all(CutPower)
    bed.read(ALIVE)
    assert not bed.all(CutPower)
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE
