"""What a reader makes of what it sees: never more silence than there was."""

from holdfast.beats.record import BeatRecord
from holdfast.beats.sightings import Sightings
from hypothesis import given
from hypothesis import strategies as st


def beat(sequence: int) -> BeatRecord:
    return BeatRecord("subject", sequence)


def test_a_beat_that_moves_is_fresh() -> None:
    """And one that stands still grows old."""
    seen = Sightings()
    assert seen.saw("r", beat(1), 0.0, 0.1) == (first := seen.saw("r", beat(1), 0.1, 0.1))
    assert not first.ever_moved
    assert seen.saw("r", beat(2), 1.0, 1.1).unchanged_for == 0.0
    later = seen.saw("r", beat(2), 3.0, 3.1)
    assert later.ever_moved
    assert 1.8 < later.unchanged_for <= 1.9


def test_an_outage_that_the_reader_shared_accuses_nobody() -> None:
    """After the pool was away, its writers get their time again."""
    seen = Sightings()
    seen.saw("r", beat(1), 0.0, 0.0)
    seen.saw("r", beat(2), 1.0, 1.0)
    seen.blinded()
    assert seen.saw("r", beat(2), 61.0, 61.0).unchanged_for == 0.0
    assert seen.saw("r", beat(2), 64.0, 64.0).unchanged_for == 3.0


def test_a_reader_that_slept_has_seen_nothing() -> None:
    """A frozen reader counts from when it looks again."""
    seen = Sightings()
    seen.saw("r", beat(1), 0.0, 0.0)
    seen.saw("r", beat(2), 1.0, 1.0)
    woken = seen.saw("r", beat(2), 60.0, 60.0)
    assert woken.unchanged_for == 0.0
    assert woken.ever_moved


def test_counting_anew_is_movement() -> None:
    """A host that begins again at 1, or under a new incarnation, is alive."""
    seen = Sightings()
    seen.saw("r", beat(900), 0.0, 0.0)
    assert seen.saw("r", beat(1), 1.0, 1.0).ever_moved
    same = BeatRecord("subject", 1, 0, b"x" * 16)
    assert seen.saw("r", same, 4.0, 4.0).unchanged_for == 0.0


def test_readers_know_nothing_of_each_other() -> None:
    """Each has its own clock and its own memory."""
    seen = Sightings()
    seen.saw("a", beat(1), 0.0, 0.0)
    seen.saw("a", beat(2), 1.0, 1.0)
    assert not seen.saw("b", beat(2), 4.0, 4.0).ever_moved
    assert seen.saw("a", beat(2), 4.0, 4.0).unchanged_for == 3.0


steps = st.lists(
    st.tuples(st.sampled_from(["write", "look", "look", "blind"]), st.floats(0.0, 8.0), st.floats(0.0, 3.0)),
    max_size=40,
)


@given(steps)
def test_silence_is_never_overstated(steps: list[tuple[str, float, float]]) -> None:
    """`unchanged_for` is at most the time since the last write landed, and since the last time the reader was blind."""
    seen, now, sequence, landed, blind = Sightings(), 0.0, 1, 0.0, 0.0
    for what, pause, takes in steps:
        now += pause
        if what == "write":
            sequence, landed = sequence + 1, now
        elif what == "blind":
            seen.blinded()
            blind = now
        else:
            reading = seen.saw("r", beat(sequence), now, now + takes)
            now += takes
            assert 0.0 <= reading.unchanged_for <= now - landed
            assert reading.unchanged_for <= now - blind
