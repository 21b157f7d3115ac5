"""What a reader makes of disks: a change that it saw itself is a sign of life, and nothing is a sign of death."""

import pytest
from holdfast.beats.disks import DiskSightings
from holdfast.model.views import DiskReading
from hypothesis import given
from hypothesis import strategies as st

TWO = ("a.qcow2", "b.qcow2")


def look(seen: DiskSightings, at: float, reader: str = "r", **marks: str) -> DiskReading:
    """One look at both disks, which takes no time."""
    return seen.saw(reader, TWO, {f"{name}.qcow2": mark for name, mark in marks.items()}, at, at)


def test_a_first_look_shows_no_change() -> None:
    """However lately the disk was written: the reader has not seen it."""
    assert look(DiskSightings(), 5.0, a="1", b="1") == DiskReading(2, 0.0, 0.0)


def test_the_last_change_counts_whichever_disk_it_was() -> None:
    """And it grows old."""
    seen = DiskSightings()
    look(seen, 0.0, a="1", b="1")
    assert look(seen, 1.0, a="1", b="2") == DiskReading(2, 1.0, 0.0, "b.qcow2")
    assert look(seen, 3.5, a="1", b="2") == DiskReading(2, 3.5, 2.5, "b.qcow2")
    assert look(seen, 4.0, a="2", b="2").changed == "a.qcow2"


def test_what_changed_while_nobody_looked_is_no_sign_of_life_now() -> None:
    """It may have been long ago: an incident of last week says nothing of today's."""
    seen = DiskSightings(longest_gap=5.0)
    look(seen, 0.0, a="1", b="1")
    assert look(seen, 5.1, a="2", b="2") == DiskReading(2, 0.0, 0.0)
    assert look(seen, 6.0, a="2", b="2") == DiskReading(2, pytest.approx(0.9), pytest.approx(0.9))


def test_a_disk_that_appears_has_not_changed() -> None:
    """Removed and made anew, or on a share that was away: it is seen afresh."""
    seen = DiskSightings()
    look(seen, 0.0, a="1")
    assert look(seen, 1.0, a="1", b="1") == DiskReading(2, 1.0, 1.0)
    assert look(seen, 2.0, b="1") == DiskReading(1, 1.0, 1.0)
    assert look(seen, 3.0, a="7", b="1").changed == ""
    assert look(seen, 4.0) == DiskReading(0, 0.0, 0.0)


def test_each_reader_sees_for_itself() -> None:
    """What one has seen is not another's."""
    seen = DiskSightings()
    look(seen, 0.0, a="1")
    assert look(seen, 1.0, reader="s", a="2").changed == ""
    assert look(seen, 1.0, a="2").changed == "a.qcow2"


@given(st.lists(st.tuples(st.floats(0.01, 8.0), st.integers(0, 2)), min_size=1, max_size=20))
def test_a_change_is_told_only_if_it_was_seen(steps: list[tuple[float, int]]) -> None:
    """By one reader, between two of its looks that were close together; told as no younger than the look was."""
    seen, now, last, mark, changed_at = DiskSightings(longest_gap=5.0), 0.0, None, 0, None
    for pause, change in steps:
        now, mark = now + pause, mark + change
        if last is None or now - last[0] > 5.0:
            changed_at = None
        elif last[1] != mark:
            changed_at = now
        last = (now, mark)
        reading = seen.saw("r", ("a",), {"a": str(mark)}, now, now)
        assert (reading.changed == "a") == (changed_at is not None)
        if changed_at is not None:
            assert reading.unchanged_for == now - changed_at
