"""Whose beats count, when several servers say that they have a host's agent."""

from typing import Any

import pytest
from holdfast.model import GuestState
from holdfast.model.views import Beat, VmReport
from holdfast.protocol.messages import HostHere
from holdfast_agents_port import switchboard as module
from holdfast_agents_port.switchboard import Switchboard

HOST = "h1"


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Line:
    """A connection, or a link to another server."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heard_at = clock.now
        self.aborted = False

    def quiet_for(self) -> float:
        return self.clock.now - self.heard_at

    def abort(self) -> None:
        self.aborted = True

    async def ask_host(self, host_uuid: str, asked: Any, deadline: float) -> Any:
        return self


class Listener:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        self.told.append(boot_id)

    def on_beat(self, beat: Beat) -> None:
        self.told.append(beat.sequence)

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        self.told.append(report.state)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def board() -> Switchboard:
    return Switchboard()


@pytest.fixture
def listener(board: Switchboard) -> Listener:
    found = Listener()
    board.attach(HOST, found)
    return found


def here(boot: str = "b1") -> HostHere:
    return HostHere(HOST, boot, 1, 1, 1)


def test_a_host_whose_path_was_cut_is_heard_through_the_server_it_went_to(
    board: Switchboard, listener: Listener, clock: Clock
) -> None:
    """Its old connection was cut without a word and still looks open here: it is left at the first word from there."""
    old, link = Line(clock), Line(clock)
    board.arrived(old, here())
    clock.now += 5.0
    board.remote_here(link, here())
    assert old.aborted
    assert HOST not in board.local
    board.remote_beat(link, HOST, 9, False, False)
    assert listener.told == ["b1", "b1", 9]


def test_a_host_that_beats_here_is_not_taken_for_gone(board: Switchboard, listener: Listener, clock: Clock) -> None:
    """Beats that another server passes on late, or of a copied disk, do not count while it beats here."""
    line, link = Line(clock), Line(clock)
    board.arrived(line, here())
    board.remote_here(link, here("copy"))
    board.remote_beat(link, HOST, 10**9, True, False)
    assert not line.aborted
    board.beat(here(), 2, False, False)
    assert listener.told == ["b1", 2]
    # It falls silent here and goes on there: then there is where it is.
    clock.now += 3.0
    board.remote_beat(link, HOST, 3, False, False)
    assert line.aborted
    assert listener.told == ["b1", 2, "copy", 3]


def test_a_server_that_does_not_know_yet_that_a_host_left_it_is_not_believed(
    board: Switchboard, listener: Listener, clock: Clock
) -> None:
    """Its link is made anew, and it announces the host again; the beats say where the host is."""
    stale, true = Line(clock), Line(clock)
    board.remote_here(true, here())
    board.remote_here(stale, here())
    clock.now += 3.0
    board.remote_beat(true, HOST, 5, False, False)
    assert listener.told[-1] == 5
    assert board._way(HOST) == (true, here())
    board.remote_gone(stale, HOST)
    board.remote_beat(true, HOST, 6, False, False)
    assert listener.told[-1] == 6


def test_the_loss_of_a_link_loses_its_hosts_alone(board: Switchboard, listener: Listener, clock: Clock) -> None:
    """A host that another server has as well is asked there."""
    one, two = Line(clock), Line(clock)
    board.remote_here(one, here())
    board.remote_here(two, here())
    board.line_lost(two)
    assert board._way(HOST) == (one, here())
    board.remote_vm(one, HOST, VmReport("v", GuestState.CRASHED, 1))
    board.remote_vm(two, HOST, VmReport("v", GuestState.RUNNING, 1))
    assert listener.told[-1] is GuestState.CRASHED
    board.line_lost(one)
    assert board._way(HOST) is None
    assert board.remote == {}
