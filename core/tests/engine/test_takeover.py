"""Hosts taken up where another process left them, and hosts whose provider polls."""

import json

import pytest
from engine_bed import HOST, Bed, policy
from holdfast.engine.incident import (
    AskActivity,
    AskHealth,
    CutPower,
    Heard,
    Judged,
    LeaseTerms,
    Prepare,
    Proven,
    Recover,
    Release,
)
from holdfast.engine.resumption import memory
from holdfast.model.evidence import Evidence, Kind, ProofKind
from holdfast.model.states import HAState, Opinion

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN


# --- taking over -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, *HAState])
def test_a_host_is_taken_up_where_it_was_left(state: HAState | None) -> None:
    """The same state goes on (a check without its owner begins anew); what needs time has a due moment or an ask."""
    bed = Bed(resumed=(state, {}))
    assert bed.host.state is (HAState.SUSPECT if state is HAState.CHECKING else state)
    assert (Prepare in bed.in_flight) == (state is HAState.FENCING)


@pytest.mark.parametrize("stage", ["preparing", "cutting", "reading", "waiting"])
def test_a_fence_goes_on_after_a_crash_at_any_stage(stage: str) -> None:
    """Quarantine and list are made sure of again, then power is cut again and read back: done twice, it is the same."""
    bed = Bed().enable().lose_power()
    if stage != "preparing":
        bed.answer(Prepare)
    if stage in ("reading", "waiting"):
        bed.answer(CutPower, stage == "reading")
    if stage == "waiting":
        bed.read(UNKNOWN)
    after = Bed(resumed=(bed.host.state, memory(bed.host)), now=7.0)
    assert not after.all(CutPower)
    assert after.cut().read_off().proof().kind is ProofKind.CHASSIS_OFF


@pytest.mark.parametrize("attempt", [0, 2])
@pytest.mark.parametrize("prepared", [False, True])
def test_a_host_that_answers_a_new_owner_is_let_go(attempt: int, prepared: bool) -> None:
    """The new owner listens before it cuts: a host that came back meanwhile is released, not powered off."""
    bed = Bed(resumed=(HAState.FENCING, {"fence": {"cause": "PowerOffConfirmed", "attempt": attempt}}))
    if prepared or attempt:
        bed.answer(Prepare)
    bed.advance(1.0)
    assert not bed.all(CutPower)
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE
    assert bed.all(Release)


def test_a_recovery_taken_over_listens_first() -> None:
    """Recovering was another server's verdict: this one hears for itself before it resets anything."""
    bed = Bed(policy(recovery_attempts=2), resumed=(HAState.RECOVERING, {"recoveries": 1}))
    bed.advance(1.0)
    assert not bed.all(Recover)
    bed.tell(Heard())
    assert bed.host.state is HAState.AVAILABLE


def test_a_declared_death_survives_a_crash() -> None:
    """Declared, stored, crashed before it was prepared: the next owner proves it, and no beat undoes it."""
    bed = Bed().enable().lose_power()
    bed.declare()
    after = Bed(resumed=(HAState.FENCING, memory(bed.host)))
    after.tell(Heard())
    after.answer(Prepare)
    assert after.proof().kind is ProofKind.DECLARED_DEAD


def test_a_lapsed_lease_is_read_again_after_a_crash() -> None:
    """Another process's reading is not this one's proof."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.fall_silent()
    bed.activity(DEAD, lasting=26.0)
    after = Bed(resumed=(HAState.FENCING, memory(bed.host)))
    after.answer(Prepare)
    after.listen()
    assert not after.all(Proven)
    assert CutPower in after.in_flight


def test_what_was_confirmed_survives_a_crash_in_doubt_and_only_there() -> None:
    """A quiet host may have disarmed since it was stored; unreadable terms prove nothing."""
    terms = LeaseTerms(40.0, frozenset({"p1", "p2"}))
    bed = Bed().enable()
    bed.tell(Heard(True, terms))
    bed.fall_silent()
    kept = json.loads(json.dumps(memory(bed.host)))
    assert Bed(resumed=(HAState.SUSPECT, kept)).host.lease == terms
    assert Bed(resumed=(HAState.SUSPECT, kept)).host.armed
    assert not Bed(resumed=(HAState.AVAILABLE, kept)).host.armed
    for bad in ({"needs": "soon", "pools": []}, {"needs": 40.0}, {"needs": 40.0, "pools": 7}, 5):
        assert not Bed(resumed=(HAState.SUSPECT, {**kept, "lease": bad})).host.armed


def test_a_new_owner_listens_before_it_condemns() -> None:
    """Taken over in Suspect, dead pools alone condemn nobody until this server has heard silence itself (S4)."""
    bed = Bed(resumed=(HAState.SUSPECT, {}))
    for _ in range(10):
        bed.to_due()
        if AskActivity in bed.in_flight:
            bed.activity(DEAD)
        if AskHealth in bed.in_flight:
            bed.answer(AskHealth, ())
    assert not bed.all(Prepare)
    bed.hang()
    assert bed.host.state is HAState.FENCING


@pytest.mark.parametrize(
    "garbage",
    [
        {"fence": "no dictionary"},
        {"fence": {"cause": ["?"], "attempt": "many", "problem": 7}},
        {"fence": {"cause": "NoSuchEvent", "attempt": -4}},
        {"recoveries": "three", "armed": "yes", "fence": None},
    ],
)
@pytest.mark.parametrize("state", HAState)
def test_garbage_in_memory_counts_as_none(state: HAState, garbage: dict[str, object]) -> None:
    """It raises nothing, skips no step and proves nothing."""
    bed = Bed(resumed=(state, garbage))
    assert bed.host.recoveries == 0
    assert not bed.all(Proven)
    if state is HAState.FENCING:
        assert bed.cut().read_off().proof().kind is ProofKind.CHASSIS_OFF


# --- hosts whose provider polls --------------------------------------------------------------------------------------


def script(opinion: Opinion, at: float) -> Evidence:
    """The word of a scripted host's provider."""
    return Evidence(Kind.AGENT, HOST, opinion, "script", at)


def test_a_polled_host_is_asked_at_its_interval() -> None:
    """Healthy, it is asked every `poll_every` seconds and nothing else happens."""
    bed = Bed(poll_every=2.0).enable()
    for _ in range(3):
        before = bed.now
        bed.to_due()
        assert bed.now - before == 2.0
        bed.answer(AskHealth, (script(ALIVE, bed.now),))
    assert bed.moves() == ["Available"]


def test_a_polled_host_that_fails_its_check_goes_the_same_way() -> None:
    """Suspect at the first failure, condemned by its activity, fenced, and seen again when it comes back."""
    bed = Bed(poll_every=1.0).enable()
    bed.to_due()
    bed.answer(AskHealth, (script(DEAD, bed.now),))
    assert bed.host.state is HAState.CHECKING
    for _ in range(bed.policy.dead_needed):
        if AskActivity not in bed.in_flight:
            bed.advance(bed.policy.activity_interval)
        bed.activity(DEAD)
    bed.cut().read_off()
    bed.to_due()
    bed.answer(AskHealth, (script(ALIVE, bed.now),))
    assert bed.host.state is HAState.FENCED
    bed.tell(Judged(True, maintenance=False))
    bed.to_due()
    bed.answer(AskHealth, (script(ALIVE, bed.now),))
    assert bed.host.state is HAState.INELIGIBLE


def test_a_polled_host_whose_check_is_unknown_stays_available() -> None:
    """An error of the provider is no failure of the host (S2)."""
    bed = Bed(poll_every=1.0).enable()
    bed.to_due()
    bed.answer(AskHealth, (script(UNKNOWN, bed.now),))
    assert bed.host.state is HAState.AVAILABLE
