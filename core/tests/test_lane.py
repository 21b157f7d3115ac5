"""A lane: what hangs in it hangs alone."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast.errors import DeadlineExceeded, NotFound, Refused, Unreachable
from holdfast.lane import Lane
from holdfast.lane.frames import LARGEST, pack, unpack
from hypothesis import given
from hypothesis import strategies as st

FOLDER = str(Path(__file__).parent)


@pytest.fixture
def lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lane]:
    monkeypatch.setenv("PYTHONPATH", FOLDER)
    lane = Lane("lane_workers:Worker", "the pool", str(tmp_path))
    yield lane
    lane.close()


def test_it_gives_back_what_the_worker_returns(lane: Lane) -> None:
    """One process serves all calls."""
    assert lane.call(10, "echo", {"a": [1, "x"]}) == {"a": [1, "x"]}
    assert lane.call(5, "pid") == lane.call(5, "pid") == lane.pid != os.getpid()


def test_errors_keep_their_kind_and_say_where(lane: Lane) -> None:
    """An error of the machine is `Unreachable`."""
    for what, kind in (("refuse", Refused), ("miss", NotFound), ("fail", Unreachable), ("nonsense", Unreachable)):
        with pytest.raises(kind, match="the pool"):
            lane.call(10, what)


def test_a_call_that_hangs_is_given_up_in_time_and_not_joined_by_another(lane: Lane, tmp_path: Path) -> None:
    """Nobody waits longer than asked, no second process is made, and once it comes back the lane works again."""
    pid = lane.call(10, "pid")
    for what in ("wait_for", "echo", "echo"):
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="wait_for has been underway"):
            lane.call(0.2, what, "later")
        assert time.monotonic() - began < 2.0
    assert lane.stuck_for >= 0.5
    assert lane.pid == pid
    (tmp_path / "later").touch()
    assert lane.call(10, "echo", "next") == "next"
    assert lane.stuck_for == 0.0
    assert lane.pid == pid


def test_a_worker_can_see_that_nobody_waits_any_more(lane: Lane, tmp_path: Path) -> None:
    """So a step that came too late is not taken."""
    lane.call(10, "echo", 1)
    with pytest.raises(DeadlineExceeded):
        lane.call(0.1, "act_unless_late", "go")
    (tmp_path / "go").touch()
    lane.call(10, "echo", 1)
    assert not (tmp_path / "acted").exists()


def test_an_order_that_was_given_up_while_it_waited_is_never_begun(lane: Lane, tmp_path: Path) -> None:
    """Behind one that hangs."""
    lane.call(10, "echo", 1)
    with pytest.raises(DeadlineExceeded):
        lane.call(0.1, "wait_for", "go")
    with pytest.raises(DeadlineExceeded):
        lane.call(0.1, "act_unless_late", "go")
    (tmp_path / "go").touch()
    lane.call(10, "echo", 1)
    assert not (tmp_path / "acted").exists()


def test_a_process_that_died_is_replaced(lane: Lane) -> None:
    """The call that saw it die says so; the next one works."""
    pid = lane.call(10, "pid")
    with pytest.raises(Unreachable, match="has died"):
        lane.call(10, "die")
    assert lane.call(10, "pid") != pid


def test_what_a_library_prints_does_no_harm(lane: Lane) -> None:
    """Frames have a pipe of their own."""
    assert lane.call(10, "shout") == "said"


def test_an_answer_without_bounds_is_refused(lane: Lane) -> None:
    """It is the worker's error, and the lane lives on."""
    with pytest.raises(Unreachable, match="at most"):
        lane.call(20, "big")
    assert lane.call(10, "echo", 1) == 1


def test_a_worker_that_cannot_begin_is_tried_again(lane: Lane, tmp_path: Path) -> None:
    """What was missing may be there at the next call."""
    (tmp_path / "no").touch()
    with pytest.raises(Refused, match="not today"):
        lane.call(10, "echo", 1)
    (tmp_path / "no").unlink()
    assert lane.call(10, "echo", 1) == 1


def test_close_never_waits_and_ends_a_call_that_hangs(lane: Lane) -> None:
    """The process ends, and whoever waited for it is told."""
    pid = lane.call(10, "pid")
    found: list[Exception] = []

    def hang() -> None:
        try:
            lane.call(20, "wait_for", "never")
        except Unreachable as problem:
            found.append(problem)

    thread = threading.Thread(target=hang)
    thread.start()
    while lane.stuck_for == 0.0:
        time.sleep(0.005)
    began = time.monotonic()
    lane.close()
    assert time.monotonic() - began < 10.0, "it waited for the call"
    thread.join(10)
    assert found
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    with pytest.raises(Unreachable):
        lane.call(1, "echo", 1)


def test_the_process_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the parent was killed and could close nothing in order."""
    monkeypatch.setenv("PYTHONPATH", FOLDER)
    program = (
        "import os, sys; from holdfast.lane import Lane; "
        "lane = Lane('lane_workers:Worker', 'the pool', sys.argv[1]); print(lane.call(20, 'pid'), flush=True); "
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    pid = int(done.stdout)
    until = time.monotonic() + 20
    while (
        Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    ):
        assert time.monotonic() < until, "the lane's process outlived its parent"
        time.sleep(0.01)


@given(st.binary(max_size=64), st.integers(1, 20))
def test_garbage_between_the_frames_is_an_error_and_never_a_message(garbage: bytes, step: int) -> None:
    """Bounded, whatever comes."""
    buffer = bytearray()
    for start in range(0, len(garbage), step):
        buffer += garbage[start : start + step]
        try:
            while unpack(buffer) is not None:
                pass
        except ValueError:
            return
        assert len(buffer) <= LARGEST


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4), max_size=5))
def test_frames_come_out_as_they_went_in(messages: list[dict[str, object]]) -> None:
    """In order, byte by byte."""
    found, buffer = [], bytearray()
    for byte in b"".join(pack(message) for message in messages):
        buffer.append(byte)
        message = unpack(buffer)
        if message is not None:
            found.append(message)
    assert found == messages
    assert not buffer
