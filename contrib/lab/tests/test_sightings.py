"""Two runs of one VM at one time are seen, and nothing else is taken for that."""

import time
from pathlib import Path

import pytest
from holdfast_lab.sightings import Sightings, Word
from holdfast_lab.token_watch import SLOT, TokenWatch
from hypothesis import given
from hypothesis import strategies as st


def _looks(*looks: list[tuple[int, str, int]]) -> Sightings:
    seen = Sightings()
    for number, look in enumerate(looks):
        seen.look([Word("vm", *word) for word in look], number * 0.1)
    return seen


def test_one_run_after_another_is_in_order() -> None:
    """What the first left on the disk is no sign of life."""
    seen = _looks([(1, "a", 1)], [(1, "a", 2)], [(1, "a", 2), (2, "b", 1)], [(1, "a", 2), (2, "b", 2)])
    assert seen.overlaps == []
    assert seen.unproven() == []
    assert [life.run for life in seen.of("vm")] == [1, 2]


def test_a_run_that_writes_after_the_next_began_is_seen() -> None:
    """Once is enough."""
    seen = _looks([(1, "a", 1)], [(1, "a", 2), (2, "b", 1)], [(1, "a", 3), (2, "b", 2)])
    assert [(one.older, one.newer) for one in seen.overlaps] == [("run 1 (token a)", "run 2 (token b)")]


def test_two_runs_in_one_place_of_the_disk_are_seen() -> None:
    """They hide each other's words, but take turns."""
    seen = _looks([(1, "a", 1)], [(1, "b", 1)], [(1, "a", 9)])
    assert len(seen.overlaps) == 1


def test_a_reboot_within_a_run_is_in_order() -> None:
    """It has a new token, and the old one is silent."""
    assert _looks([(1, "a", 1)], [(1, "a", 7)], [(1, "b", 1)], [(1, "b", 2)]).overlaps == []


def test_what_stood_on_the_disk_before_is_no_life() -> None:
    """Old tokens are there at the first look, beside the one that is alive."""
    seen = _looks([(1, "a", 5), (2, "b", 7)], [(1, "a", 5), (2, "b", 8)], [(3, "c", 1)], [(3, "c", 2)])
    assert seen.overlaps == []
    assert seen.unproven() == []


def test_two_lives_at_the_first_look_are_seen() -> None:
    """Both go on."""
    seen = _looks([(1, "a", 5), (2, "b", 7)], [(1, "a", 6), (2, "b", 8)], [(1, "a", 7), (2, "b", 9)])
    assert seen.overlaps


def test_other_vms_do_not_count() -> None:
    """Each has its own runs."""
    seen = Sightings()
    for count in range(1, 5):
        seen.look([Word("one", 1, "a", count), Word("two", 1, "b", count)], float(count))
    assert seen.overlaps == []


def test_a_reader_that_was_too_slow_says_so() -> None:
    """Both changed between two looks: nobody saw in which order."""
    seen = _looks([(1, "a", 1)], [(1, "a", 2), (2, "b", 1)], [(1, "a", 2), (2, "b", 2)])
    assert seen.overlaps == []
    assert len(seen.unproven()) == 1


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30))
def test_any_overlap_of_three_looks_is_seen(before: int, together: int, after: int) -> None:
    """Wherever it begins and however long it lasts: two looks at both alive are enough."""
    seen = Sightings()
    one = two = 0
    for phase, looks in (("one", before + 1), ("both", together + 1), ("two", after)):
        for _ in range(looks):
            one += phase in ("one", "both")
            two += phase in ("both", "two")
            words = [Word("vm", 1, "a", one)] + ([Word("vm", 2, "b", two)] if two else [])
            seen.look(words, seen.last_look_at + 0.1)
    assert len(seen.overlaps) == 1


def _write(path: Path, slot: int, text: str) -> None:
    with path.open("r+b") as file:
        file.seek(slot * SLOT)
        file.write(text.encode())


@pytest.mark.parametrize("hole", [0, 5000])
def test_tokens_are_found_wherever_they_are_in_a_file(tmp_path: Path, hole: int) -> None:
    """Also behind holes, also if the place was written later; other bytes are no tokens."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"QFI\xfb" + bytes(SLOT))
    with disk.open("r+b") as file:
        file.truncate((hole + 40) * SLOT)
    watch = TokenWatch(tmp_path)
    watch.look()
    _write(disk, hole + 3, "HOLDFAST-TOKEN vm=u run=1 token=ab count=1 up=1.0\n")
    _write(disk, hole + 9, "HOLDFAST-TOKEN vm=u run=broken")
    watch.look()
    _write(disk, hole + 3, "HOLDFAST-TOKEN vm=u run=1 token=ab count=2 up=1.1\n")
    _write(disk, hole + 4, "HOLDFAST-TOKEN vm=u run=2 token=cd count=1 up=0.5\n")
    watch.look()
    [one, two] = watch.seen.of("u")
    assert (one.run, one.count, two.run) == (1, 2, 2)
    assert watch.seen.overlaps == []
    _write(disk, hole + 3, "HOLDFAST-TOKEN vm=u run=1 token=ab count=3 up=1.2\n")
    watch.look()
    assert len(watch.seen.overlaps) == 1


def test_a_watch_that_broke_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is raised."""
    watch = TokenWatch(tmp_path, period=0.001)

    def break_down() -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(watch, "look", break_down)

    def watch_to_the_end() -> None:
        with watch:
            while watch.is_alive():
                time.sleep(0.001)

    with pytest.raises(OSError, match="gone"):
        watch_to_the_end()
