"""What a host waits for, told with counts and seconds; stored evidence and transitions told again."""

import json
from dataclasses import replace
from random import Random

import pytest
from engine_bed import HOST, STORM, Bed, beat, in_state, link, power
from engine_walk import Walk
from holdfast.engine.explain import evidence_from_json, evidence_json, story, waiting_for
from holdfast.engine.incident import AskActivity, Heard, HostHa, Judged, Prepare, Silent
from holdfast.engine.verdict import activity
from holdfast.model.availability import HaTransition
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.rows import Json, Moment
from holdfast.model.states import HAState, Opinion
from hypothesis import given
from hypothesis import strategies as st

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN


def told(bed: Bed) -> tuple[str, ...]:
    """What the host on this bed waits for now."""
    return waiting_for(bed.host, bed.now, bed.policy, bed.domains)


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_quiet_healthy_host_waits_for_nothing() -> None:
    """Available, switched off, or without a state: nothing to say."""
    assert told(Bed()) == ()
    assert told(Bed().enable()) == ()
    assert told(in_state(HAState.DISABLED)) == ()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_the_wait_can_be_told(seed: int) -> None:
    """In every stride of random lives: no error, no bare infinity, and never silent about a host that is not well."""
    walk = Walk(Random(seed))
    for _ in range(150):
        walk.stride()
        sentences = told(walk.bed)
        quiet = walk.bed.host.state in (None, HAState.AVAILABLE, HAState.DISABLED) and not walk.bed.host.silent
        assert quiet or sentences or walk.bed.host.state in (None, HAState.DISABLED)
        for sentence in sentences:
            assert sentence.strip() == sentence
            assert "inf" not in sentence.split()
            assert "nan" not in sentence.split()


def test_off_readings_are_counted_with_the_time_of_the_next() -> None:
    """Two of three, and when the third is taken; under way while it is."""
    bed = Bed().enable().fall_silent()
    bed.health(DEAD)
    bed.advance(bed.policy.power_interval)
    assert "1 of 3 OFF readings; the next is under way" in told(bed)
    bed.health(DEAD)
    bed.now += 0.05
    assert "2 of 3 OFF readings; the next in 0.2 s" in told(bed)


def test_a_bmc_that_reads_on_is_named() -> None:
    """The one reading that would have to change is told with its source."""
    bed = Bed().enable().fall_silent()
    bed.health(ALIVE)
    assert "0 of 3 OFF readings; the next in 0.5 s (bmc-1 reads ON: chassis alive)" in told(bed)


def test_a_reading_that_is_too_old_is_not_called_none() -> None:
    """A BMC that read ON a while ago does answer."""
    bed = Bed().enable().fall_silent()
    bed.health(ALIVE)
    bed.now += 100.0
    [said] = [sentence for sentence in told(bed) if "OFF readings" in sentence]
    assert said.endswith("(bmc-1 read ON 100.0 s ago, too old to count: chassis alive)")


def test_samples_beyond_those_that_were_needed_are_told_as_such() -> None:
    """Where the brake holds, more come in."""
    bed = Bed().enable().fall_silent()
    bed.host = bed.host._replace(samples=bed.host.samples._replace(dead_run=7))
    assert any(sentence.startswith("7 samples, 2 were needed, in a row in which") for sentence in told(bed))


def test_pools_are_told_one_by_one() -> None:
    """How long each is silent, when it counts as dead, and which gives no answer."""
    bed = Bed().enable().fall_silent()
    at = bed.now
    unread = Evidence(Kind.HEARTBEAT, "host-1", UNKNOWN, "neighbour", at, "timed out", pool="p3")
    bed.answer(AskActivity, (beat(ALIVE, at, "p1", 3.0), beat(DEAD, at, "p2", 6.0), unread))
    bed.now += 0.1
    assert "storage pool p1 silent for 3.1 s, counts as dead at 4.0 s" in told(bed)
    assert "storage pool p2 silent for 6.1 s, counts as dead" in told(bed)
    assert "an answer about storage pool p3: timed out: unknown counts as neither alive nor dead" in told(bed)


def test_samples_are_counted_towards_either_end() -> None:
    """Dead samples towards a fence, alive ones towards Degraded."""
    bed = Bed().enable().fall_silent()
    bed.activity(DEAD)
    assert "1 of 2 samples in a row in which every pool says dead; the next in 0.5 s" in told(bed)
    bed.advance(0.5)
    bed.activity(ALIVE)
    assert any(s.startswith("1 of 10 samples in a row that show writing") for s in told(bed))


def test_a_new_owner_says_that_it_has_not_heard_silence() -> None:
    """Taken over in Suspect: what is missing is this server's own silence."""
    bed = Bed(resumed=(HAState.SUSPECT, {}))
    assert told(bed)[0].startswith("its management link to fall silent")


def test_the_brake_says_what_would_let_it_go() -> None:
    """Six silent where three are allowed: three have to answer; and OFF readings pass it."""
    bed = Bed().enable()
    bed.domains = STORM
    bed.hang()
    (held,) = [sentence for sentence in told(bed) if sentence.startswith("held by the brake")]
    assert "6 of 10 hosts of cluster c1 are silent at once, more than 3" in held
    assert "it lets go when 3 of them answer or are proven dead" in held
    assert "3 OFF readings of this host pass it" in held
    without_census = waiting_for(bed.host, bed.now, bed.policy)
    assert any(sentence.startswith("held by the brake: 6 of 10") for sentence in without_census)


def test_degraded_says_when_it_is_looked_at_afresh() -> None:
    """And that it is left alone on purpose."""
    bed = in_state(HAState.DEGRADED)
    bed.now += 10.0
    assert "its VMs still write, so it is left alone; it is suspected afresh in 290.0 s" in told(bed)


def test_disks_that_change_are_told_as_what_holds_the_fence() -> None:
    """With whose word it is; what nobody could say of them is told as unknown."""
    bed = in_state(HAState.DEGRADED)
    seen = Evidence(Kind.ACTIVITY, HOST, ALIVE, "host2 on p1", bed.now, "disk vm1.qcow2 changed 0.2 s ago", pool="p1")
    bed.host = bed.host._replace(
        activity_evidence=(seen, replace(seen, opinion=UNKNOWN, pool="p2", detail="no answer"))
    )
    sentences = told(bed)
    assert any(
        "disks of its VMs on pool p1 change" in one and "not fenced for being silent" in one for one in sentences
    )
    assert any("about disks on pool p2" in one and "no answer" in one for one in sentences)


def test_storage_that_cannot_tell_of_disks_says_so_and_holds_nothing() -> None:
    """Unknown with the reason, in the record too; and the pools condemn as without it."""
    bed = in_state(HAState.CHECKING)
    blind = Evidence(
        Kind.ACTIVITY, HOST, UNKNOWN, "neighbours", bed.now, "a LUN cannot tell", pool="p1", answerable=False
    )
    bed.host = bed.host._replace(activity_evidence=(beat(DEAD, bed.now, "p1"), blind))
    (sentence,) = [one for one in told(bed) if "disks" in one]
    assert sentence.endswith("disks on pool p1, for whether they change is unknown: a LUN cannot tell")
    assert evidence_from_json(evidence_json((blind,))) == (blind,)
    assert activity(bed.host.activity_evidence, bed.now).opinion is DEAD


def test_a_failed_fence_says_when_it_is_tried_again_and_what_else_would_prove_it() -> None:
    """The next attempt, the last failure, the lease, the admin."""
    bed = Bed().enable().lose_power().cut(accepted=False, detail="no route to host")
    bed.read(UNKNOWN)
    bed.now += 1.5
    sentences = told(bed)
    assert "fence attempt 2 in 3.5 s; last failure: no route to host" in sentences
    assert "a lease proof needs 25.0 s of silence on every pool under an armed watchdog (not armed)" in sentences
    assert "declareHostDead proves it dead at once" in sentences
    assert "one beat of its agent ends the fence" in sentences


def test_a_lease_under_way_says_how_long_it_takes() -> None:
    """Armed and silent on every pool: so far, and to go; a pool that is not silent is named."""
    bed = Bed().enable()
    bed.tell(Heard(armed=True))
    bed.lose_power()
    bed.tick()
    bed.activity(DEAD, DEAD, lasting=10.0)
    assert any(s.endswith("(armed; 10.0 s so far, 15.0 s to go)") for s in told(bed))
    bed.advance(1.0)
    bed.activity(DEAD, UNKNOWN, lasting=11.0)
    assert any(s.endswith("(armed; pool p2 is not silent)") for s in told(bed))


def test_each_stage_of_a_fence_is_told() -> None:
    """Preparing, cutting, reading back."""
    bed = Bed().enable().lose_power()
    assert told(bed)[0] == "its quarantine and the list of its VMs to be stored; then its power is cut"
    bed.declare()
    assert told(bed)[0].endswith("then the proof is complete: an admin declared it dead")
    bed = Bed().enable().lose_power()
    bed.cut()
    bed.now += 1.0
    assert told(bed)[0] == "0 of 3 OFF read-backs; the next is under way; attempt 1 ends in 9.0 s"
    bed.read(DEAD)
    assert told(bed)[0] == "1 of 3 OFF read-backs; the next in 0.2 s; attempt 1 ends in 9.0 s"


def test_a_cut_in_flight_says_when_the_attempt_ends() -> None:
    """The BMC has the word, but not for ever."""
    bed = Bed().enable().lose_power()
    bed.answer(Prepare)
    assert told(bed)[0] == "the BMC's answer to the power cut; attempt 1 ends in 10.0 s"


def test_recovery_is_told_by_attempts() -> None:
    """Which attempt of how many; then how long the host has to come back."""
    bed = in_state(HAState.RECOVERING)
    assert told(bed) == ("recovery attempt 1 of 1 to end",)
    bed = in_state(HAState.RECOVERED)
    bed.now += 20.0
    assert told(bed) == ("the host to answer within 100.0 s; after that it is looked at afresh",)


def test_a_fenced_host_says_how_it_comes_back() -> None:
    """First its agent, then the admin."""
    bed = in_state(HAState.FENCED)
    assert told(bed) == ("its agent to answer; then cancel its maintenance to return it",)
    bed.tell(Heard())
    assert told(bed) == ("the host answers again: cancel its maintenance to return it",)
    bed.tell(Judged(True, maintenance=False))
    assert told(bed) == ("its agent to answer; then it returns to service",)


def test_a_fenced_host_that_answered_and_fell_silent_again_has_to_answer_first() -> None:
    """Neither its reason nor what it waits for claim that it answers."""
    bed = in_state(HAState.FENCED)
    bed.tell(Heard())
    bed.tell(Silent(link(Opinion.DEAD, bed.now)))
    assert told(bed) == ("its agent to answer; then cancel its maintenance to return it",)
    assert "silent again" in bed.host.reason


def test_an_ineligible_host_says_what_the_provider_misses() -> None:
    """The provider's own reason."""
    assert told(in_state(HAState.INELIGIBLE)) == ("the provider to say that HA can work: no neighbour",)


def test_a_silent_available_host_is_about_to_be_suspected() -> None:
    """Between a switch and the next tick there is something to say."""
    host = HostHa("host-1", HAState.AVAILABLE, silent=True)
    assert waiting_for(host, 0.0, Bed().policy) != ()


# --- the record of evidence ------------------------------------------------------------------------------------------

FINITE = st.floats(allow_nan=False)
EVIDENCE = st.builds(
    Evidence,
    kind=st.sampled_from(Kind),
    subject=st.text(max_size=9),
    opinion=st.sampled_from(Opinion),
    source=st.text(max_size=9),
    at=FINITE,
    detail=st.text(max_size=9),
    max_age=FINITE,
    pool=st.text(max_size=9),
    lasting=FINITE,
)


@given(st.lists(EVIDENCE, max_size=4).map(tuple))
def test_stored_evidence_comes_back_as_it_was(evidence: tuple[Evidence, ...]) -> None:
    """Every field of every piece, infinities included, through strict JSON that any database takes."""
    text = evidence_json(evidence)
    assert evidence_from_json(text) == evidence
    assert text.isascii()
    json.loads(text, parse_constant=pytest.fail)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "opinion", "at", "subject", "max_age", "pool", "x"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.text(), JSON.map(json.dumps)))
def test_any_text_can_be_read(text: str) -> None:
    """Whatever a hand has written into the column: no error, and only whole pieces."""
    assert all(isinstance(piece, Evidence) for piece in evidence_from_json(text))


@pytest.mark.parametrize("text", ["", "{", "null", "7", '"x"', "{}", "[" * 10**5, "[1, null, {}]", '[{"kind": "?"}]'])
def test_bad_json_is_no_evidence(text: str) -> None:
    """Nothing readable gives nothing."""
    assert evidence_from_json(text) == ()


def test_one_unreadable_piece_does_not_hide_the_others() -> None:
    """It is left out; the rest is told."""
    good = evidence_json((link(DEAD, 1.0), power(DEAD, 2.0)))
    spoilt = json.dumps([*json.loads(good), {"kind": "link"}, None])
    assert evidence_from_json(spoilt) == (link(DEAD, 1.0), power(DEAD, 2.0))


# --- the story -------------------------------------------------------------------------------------------------------


def stored(number: int, event: str, at: float, evidence: str = "[]") -> HaTransition:
    """A stored transition."""
    return HaTransition(
        id=number, host_id=1, event=event, state="Suspect", prev_state="Available", reason="silent",
        evidence=Json(evidence), created=Moment(at),
    )  # fmt: skip


def test_a_story_is_told_in_order_with_the_seconds_between() -> None:
    """Rows in any order; the wall clock set back tells no negative time."""
    rows = [stored(3, "C", 100.0), stored(1, "A", 90.0), stored(2, "B", 102.26)]
    chapters = story(rows)
    assert [(chapter["event"], chapter["seconds"]) for chapter in chapters] == [("A", 0.0), ("B", 12.3), ("C", 0.0)]
    assert story([]) == []


def test_a_story_carries_its_evidence_and_is_json() -> None:
    """What led to each step is there, field by field; a spoilt column tells an empty list."""
    first, second = story([stored(1, "A", 1.0, evidence_json((link(DEAD, 1.0),))), stored(2, "B", 2.0, "spoilt")])
    assert first["evidence"][0]["detail"] == "link dead"
    assert second["evidence"] == []
    assert json.loads(json.dumps([first, second]))[0]["from"] == "Available"


def test_a_silent_observation_is_kept_as_evidence() -> None:
    """The transition that a silent link causes carries that very piece into the record."""
    bed = Bed().enable()
    piece = link(DEAD, bed.now)
    (moved,) = bed.tell(Silent(piece))
    assert evidence_from_json(evidence_json(moved.evidence)) == (piece,)  # type: ignore[union-attr]
