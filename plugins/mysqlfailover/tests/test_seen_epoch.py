"""The writer epochs that were seen outlive the process."""

import logging
from pathlib import Path

import pytest
from holdfast_mysqlfailover.seen_epoch import SeenEpoch


def test_what_was_seen_and_tried_is_known_after_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both numbers, and neither is lost with the other; nothing is complained of."""
    path = tmp_path / "epoch"
    first = SeenEpoch(path)
    assert (first.value, first.attempted) == (0, 0)
    first.rise(6)
    assert (SeenEpoch(path).value, SeenEpoch(path).attempted) == (6, 0)
    first.attempt(7)
    again = SeenEpoch(path)
    assert (again.value, again.attempted) == (6, 7)
    again.rise(5)
    again.attempt(0)
    assert (SeenEpoch(path).value, SeenEpoch(path).attempted) == (6, 0)
    assert not caplog.records


def test_one_number_alone_is_what_was_seen(tmp_path: Path) -> None:
    """As earlier versions wrote it."""
    path = tmp_path / "epoch"
    path.write_text("4\n")
    assert (SeenEpoch(path).value, SeenEpoch(path).attempted) == (4, 0)


@pytest.mark.parametrize("text", ["", "six 0", "1 2 3"])
def test_a_damaged_file_is_told_and_no_reason_to_stand_still(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """It is written anew with the next epoch."""
    path = tmp_path / "epoch"
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        seen = SeenEpoch(path)
    assert (seen.value, seen.attempted) == (0, 0)
    assert str(path) in caplog.text
    seen.rise(3)
    assert SeenEpoch(path).value == 3
