"""What people, switches and the brake do to an incident, and what stale or spoilt answers do not do to it."""

import pytest
from engine_bed import STORM, Bed, beat, in_state, link, power, ungranted
from holdfast.engine.incident import (
    ActivitySeen,
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    HealthSeen,
    Heard,
    Judged,
    PowerRead,
    Prepare,
    Prepared,
    Proven,
    ReadPower,
    RecoverDone,
    Release,
    Switched,
)
from holdfast.model.evidence import ProofKind
from holdfast.model.states import HAState, Opinion

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN


# --- an admin's word -------------------------------------------------------------------------------------------------


IN_DOUBT = (
    HAState.INELIGIBLE, HAState.SUSPECT, HAState.CHECKING, HAState.DEGRADED, HAState.RECOVERING, HAState.RECOVERED,
    HAState.FENCING,
)  # fmt: skip


@pytest.mark.parametrize("state", HAState)
def test_a_declaration_proves_a_host_in_doubt_and_no_other(state: HAState) -> None:
    """By name, after quarantine and list, without a cut; refused for a host that is healthy, off or already fenced."""
    bed = in_state(state)
    before = len(bed.all(Proven))
    bed.declare()
    if state not in IN_DOUBT:
        assert bed.host.state is state
        assert Prepare not in bed.in_flight
        return
    assert len(bed.all(Proven)) == before
    bed.answer(Prepare)
    assert bed.proof().kind is ProofKind.DECLARED_DEAD
    assert not bed.all(CutPower)


def test_a_declaration_helps_a_stuck_fence_at_once() -> None:
    """After a failed attempt the host is prepared already: the proof is there with the word."""
    bed = Bed().enable().lose_power().cut(accepted=False)
    bed.read(UNKNOWN)
    bed.declare()
    assert bed.host.state is HAState.FENCED


# --- switches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", HAState)
def test_switching_off_ends_everything_in_every_state(state: HAState) -> None:
    """Disabled, nothing due, nothing pending has an effect; a quarantine without proof is undone."""
    bed = in_state(state)
    pending = dict(bed.in_flight)
    bed.tell(Switched(False, "the cluster switch is off"))
    assert bed.host.state is HAState.DISABLED
    assert bool(bed.all(Release)) == (state is HAState.FENCING)
    bed.advance(1000.0)
    assert not bed.in_flight
    if Prepare in pending:
        assert bed.tell(Prepared(pending[Prepare])) == ()


def test_a_missing_neighbour_does_not_end_an_incident_but_an_admin_does() -> None:
    """Ineligible through circumstances leaves the suspicion alone; a deliberate act ends it; neither ends a fence."""
    bed = Bed().enable().fall_silent()
    bed.tell(Judged(False, "no neighbour", deliberate=False))
    assert bed.host.state is HAState.CHECKING
    bed.tell(Judged(False, "maintenance", deliberate=True, maintenance=True))
    assert bed.host.state is HAState.INELIGIBLE
    fenced = Bed().enable().lose_power()
    fenced.tell(Judged(False, "maintenance", deliberate=True, maintenance=True))
    assert fenced.host.state is HAState.FENCING


# --- the brake -------------------------------------------------------------------------------------------------------


def test_the_brake_holds_a_condemned_host_and_lets_go_by_itself() -> None:
    """Too many silent hosts: no fence, one alarm, the reason with its numbers; then the fence goes on by itself."""
    bed = Bed().enable()
    bed.domains = STORM
    bed.hang()
    assert bed.host.state is HAState.SUSPECT
    assert "6 of 10 hosts of cluster c1" in bed.host.held
    bed.to_due()
    bed.activity(DEAD)
    assert bed.alarms() == ["ALERT.HA.BRAKE"]
    bed.domains = ()
    bed.to_due()
    bed.activity(DEAD)
    assert bed.host.state is HAState.FENCING
    assert bed.host.held == ""


def test_the_brake_holds_a_cut_that_was_about_to_be_sent() -> None:
    """The census is looked at again before every cut."""
    bed = Bed().enable().hang()
    bed.domains = STORM
    bed.answer(Prepare)
    assert not bed.all(CutPower)
    bed.domains = ()
    bed.answer_pools_until_cut(DEAD)
    assert len(bed.all(CutPower)) == 1


def test_confirmed_off_passes_the_brake() -> None:
    """A rack without power is a rack of proofs: OFF readings are not held (S7)."""
    bed = Bed().enable()
    bed.domains = STORM
    assert bed.lose_power().cut().read_off().host.state is HAState.FENCED


def test_the_brake_never_holds_a_proof() -> None:
    """A host whose lease has run out is proven under a tripped brake."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.domains = STORM
    bed.fall_silent()
    bed.activity(DEAD, lasting=26.0)
    bed.answer(Prepare)
    assert bed.proof().kind is ProofKind.LEASE_EXPIRED


# --- stale answers, unknown evidence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", HAState)
def test_answers_to_nothing_are_dropped_in_every_state(state: HAState) -> None:
    """Of an older generation, of a newer one, or of this one but not asked for: no effect (S5)."""
    bed = in_state(state)
    pieces, off = (link(DEAD, bed.now), power(DEAD, bed.now)), power(DEAD, bed.now)
    before = bed.host
    for token in (before.token - 1, before.token + 1):
        for answer in (
            HealthSeen(token, pieces),
            ActivitySeen(token, (beat(DEAD, bed.now, lasting=99.0), ungranted(bed.now))),
            RecoverDone(token, True),
            Prepared(token),
            CutDone(token, True),
            PowerRead(token, off),
        ):
            assert bed.tell(answer) == ()
            assert bed.host is before


@pytest.mark.parametrize("spoilt", ["unknown", "future", "stale", "absent"])
def test_spoilt_evidence_breaks_every_run(spoilt: str) -> None:
    """After it, the count of dead samples, of OFF readings and of read-backs starts from nothing (S2)."""
    bed = Bed().enable().fall_silent()
    bed.activity(DEAD)
    bed.health(DEAD)
    bed.advance(bed.policy.activity_interval)
    at = {"future": bed.now + 1.0, "stale": bed.now - 61.0}.get(spoilt, bed.now)
    opinion = UNKNOWN if spoilt == "unknown" else DEAD
    bed.answer(AskHealth, (link(DEAD, bed.now), *([] if spoilt == "absent" else [power(opinion, at)])))
    bed.answer(AskActivity, () if spoilt == "absent" else (beat(opinion, at),))
    assert (bed.host.samples.off_run, bed.host.samples.dead_run) == (0, 0)
    assert not bed.all(Prepare)
    if spoilt != "absent":
        fenced = Bed(now=bed.now).enable().lose_power().cut()
        fenced.read(DEAD)
        fenced.advance(fenced.policy.power_interval)
        late = {"future": fenced.now + 1.0, "stale": fenced.now - 61.0}.get(spoilt, fenced.now)
        fenced.answer(ReadPower, power(opinion, late))
        assert fenced.host.fence is not None
        assert fenced.host.fence.off_reads == 0
