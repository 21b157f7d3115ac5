"""One process at a time, and epochs that outlive it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError, InvalidRequest
from holdfast_coordinator_local.coordinator import LocalCoordinator
from hypothesis import given, settings
from hypothesis import strategies as st

OTHER_PROCESS = """
import sys, time
from pathlib import Path
from holdfast_coordinator_local.coordinator import LocalCoordinator
coordinator = LocalCoordinator({"path": Path(sys.argv[1])})
session = coordinator.join("other", 60.0)
claims = coordinator.claim(session, ("host",))
print(session.epoch, claims["host"], flush=True)
sys.stdin.read()
"""


def other_process(path: Path) -> tuple["subprocess.Popen[str]", int, int]:
    """A process that has joined; with its session epoch and its claim's epoch."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    session_epoch, claim_epoch = map(int, process.stdout.readline().split())
    return process, session_epoch, claim_epoch


def kill(process: "subprocess.Popen[str]") -> None:
    """End a process as a crash would."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file to hold."""
    return tmp_path / "coordinator.lock"


def test_a_second_process_is_refused_with_the_first_ones_pid(path: Path) -> None:
    """Whoever comes second learns who holds the file, before and at joining."""
    early = LocalCoordinator({"path": path})
    process, _session, _claim = other_process(path)
    try:
        with pytest.raises(ConfigurationError, match=rf"pid {process.pid}\) holds {path}"):
            LocalCoordinator({"path": path})
        with pytest.raises(ConfigurationError, match=rf"pid {process.pid}\)"):
            early.join("me", 5.0)
    finally:
        kill(process)


def test_epochs_grow_over_kill_9(path: Path) -> None:
    """After each crash, every epoch is above all that were given out before."""
    seen: list[int] = []
    for _ in range(3):
        process, session_epoch, claim_epoch = other_process(path)
        kill(process)
        seen += [session_epoch, claim_epoch]
    assert seen == sorted(set(seen))


def test_a_crash_frees_the_file(path: Path) -> None:
    """The next process joins at once after kill -9: nothing is left to clean up."""
    process, session_epoch, _claim = other_process(path)
    kill(process)
    assert LocalCoordinator({"path": path}).join("me", 5.0).epoch > session_epoch


def test_the_last_leave_frees_the_file(path: Path) -> None:
    """A second coordinator may join once the first one's last session was given up, and not before."""
    first, second = LocalCoordinator({"path": path}), LocalCoordinator({"path": path})
    one, two = first.join("one", 5.0), first.join("two", 5.0)
    first.leave(one)
    with pytest.raises(ConfigurationError, match=f"pid {os.getpid()}"):
        second.join("three", 5.0)
    first.leave(two)
    assert second.join("three", 5.0).epoch > two.epoch


def test_epochs_grow_after_the_count_was_deleted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day takes over when the count is lost, so that epochs do not start again from 1."""
    now = 1.7e9
    monkeypatch.setattr("holdfast_coordinator_local.hold.time.time", lambda: now)
    coordinator = LocalCoordinator({"path": path})
    session = coordinator.join("me", 5.0)
    coordinator.leave(session)
    count = path.with_name("coordinator.lock.starts")
    count.unlink()
    now += 0.001
    assert coordinator.join("me", 5.0).epoch > session.epoch


def test_a_count_that_is_no_number_is_refused(path: Path) -> None:
    """Epochs could repeat: the error names the file and what to do."""
    count = path.with_name("coordinator.lock.starts")
    count.write_text("12x\n")
    with pytest.raises(ConfigurationError, match=r"coordinator\.lock\.starts does not hold a number.*Delete the file"):
        LocalCoordinator({"path": path})


def test_a_place_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """The error names the key and the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"coordinator\.local\.path .*file/lock cannot be used"):
        LocalCoordinator({"path": tmp_path / "file" / "lock"})


def test_a_lease_without_length_is_refused(path: Path) -> None:
    """Zero, less than zero, and not-a-number."""
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidRequest, match="lease of"):
            LocalCoordinator({"path": path}).join("me", seconds)


def test_a_member_that_comes_back_waits_until_its_earlier_session_is_given_up(path: Path) -> None:
    """Two sessions of one member never hold at once."""
    coordinator = LocalCoordinator({"path": path})
    first = coordinator.join("me", 600.0)
    joined: list[int] = []
    thread = threading.Thread(target=lambda: joined.append(coordinator.join("me", 5.0).epoch))
    thread.start()
    assert coordinator.members() == ("me",)
    assert joined == []
    coordinator.leave(first)
    thread.join(30)
    assert joined[0] > first.epoch


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 3))
def test_epochs_grow_over_any_number_of_starts(
    tmp_path_factory: pytest.TempPathFactory, claims_per_start: list[int], bits: int
) -> None:
    """Also when one start gives out more epochs than its low bits can count."""
    path = tmp_path_factory.mktemp("starts") / "coordinator.lock"
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast_coordinator_local.coordinator._SEQUENCE_BITS", bits)
        for count in claims_per_start:
            coordinator = LocalCoordinator({"path": path})
            session = coordinator.join("me", 60.0)
            seen.append(session.epoch)
            names = tuple(f"host-{number}" for number in range(count * 3))
            seen += coordinator.claim(session, names).values()
            coordinator.leave(session)
    assert seen == sorted(set(seen))
