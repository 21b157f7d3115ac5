"""The database breaks around every write, or is away in every phase: nothing is done blindly, and later all goes on."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from holdfast.errors import OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Change, OwnedBy
from holdfast.model import HAState, HostDetail, HostStatus, ResourceState, VmState
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode


def _writes_of_a_recovery() -> int:
    """How many commits that act on hosts both servers make from the fault to the end."""
    bed = Bed()
    try:
        bed.add_vms(2)
        seen = _Breaker(bed, -1, "before")
        bed.machine("h1").hang()
        bed.run_until(lambda: bed.runs_elsewhere(1), 30)
        return seen.count
    finally:
        bed.close()


class _Breaker:
    """Breaks the connection once, around the `number`-th commit of any server that acts on a host."""

    def __init__(self, bed: Bed, number: int, side: str) -> None:
        self.count = 0
        self._number = number
        for life in bed.lives.values():
            if side == "before":
                life.store.before_commit = self._look
            else:
                life.store.after_commit = self._look
        self._problem: Callable[[], Exception] = (
            (lambda: StoreUnavailable("no connection")) if side == "before" else (lambda: OutcomeUnknown("broke off"))
        )

    def _look(self, _number: int, changes: Sequence[Change]) -> None:
        if not any(isinstance(change, OwnedBy) for change in changes):
            return
        self.count += 1
        if self.count == self._number:
            raise self._problem()


@pytest.mark.parametrize("side", ["before", "after"])
def test_each_write_of_a_recovery_may_break_off(side: str) -> None:
    """The connection breaks before or after one commit, for each of the recovery: the VMs run once, elsewhere."""
    for number in range(1, _writes_of_a_recovery() + 1):
        bed = Bed()
        try:
            bed.add_vms(2)
            _Breaker(bed, number, side)
            bed.machine("h1").hang()
            bed.run_until(partial(bed.runs_elsewhere, 1), 40, step=0.5)
            bed.run(1)
            bed.check_once()
            assert bed.state(1) == HAState.FENCED
        except AssertionError as problem:
            raise AssertionError(f"broke off {side} commit {number}: {problem}") from problem
        finally:
            bed.close()


@pytest.mark.parametrize("away_at", [0.0, 2.0, 3.15, 3.6, 4.0, 4.5, 5.0, 5.5, 6.0, 6.6])
@pytest.mark.parametrize("away_for", [1.5, 12.0])
def test_the_store_may_be_away_in_every_phase(make_bed: Callable[..., Bed], away_at: float, away_for: float) -> None:
    """S6: while the database is away no power is cut that was not ordered in it; when it is back, all goes on."""
    bed = make_bed()
    bed.add_vms(2)
    bed.machine("h1").hang()
    bed.run(away_at)
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.run(away_for)
    orders = len(bed.orders("h1", "OFF"))
    stored = [event for event in bed.events("HA.FENCE") if "cut the power" in event.description]
    assert orders <= len(stored)
    for name in bed.managers:
        bed.mend("database", name, "database")
    bed.run_until(lambda: bed.runs_elsewhere(1) and bed.state(1) == HAState.FENCED, 60, step=0.5)
    bed.check_once()


@pytest.mark.parametrize("seconds", [20, 120])
def test_healthy_hosts_stay_as_they_are_while_the_store_is_away(bed: Bed, seconds: float) -> None:
    """S6: an outage of the database fences nobody, and a short one costs nobody a lease."""
    bed.add_vms(2)
    sessions = {name: manager.desk.membership.session_epoch for name, manager in bed.managers.items()}
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.run(seconds)
    for name in bed.managers:
        bed.mend("database", name, "database")
    bed.run(15)
    assert [bed.state(host) for host in bed.host_ids] == [HAState.AVAILABLE] * 3
    assert [bed.orders(name) for name in ("h1", "h2", "h3")] == [[]] * 3
    kept = {name: manager.desk.membership.session_epoch for name, manager in bed.managers.items()} == sessions
    assert kept == (seconds < 30)
    assert all(manager.hosts.actors for manager in bed.managers.values())
    bed.check_once()


def test_a_fence_that_ends_while_the_store_is_away_lifts_the_quarantine_later(make_bed: Callable[..., Bed]) -> None:
    """The release of a host that proved alive is stored once the database is back."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").hang()
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.run_until(lambda: bed.ha(1).incident.find('"attempt":1') > 0, 30)
    bed.run(12)
    bed.machine("h1").unhang()
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.run(10)
    for name in bed.managers:
        bed.mend("database", name, "database")
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 60)
    assert bed.host(1).resource_state == ResourceState.ENABLED
    assert bed.vm(1).state == VmState.RUNNING
    bed.check_once()


def test_a_host_that_came_back_while_the_store_was_away_is_shown_up(make_bed: Callable[..., Bed]) -> None:
    """Also one whose HA is off: placement must not leave it out for ever."""
    bed = make_bed()
    bed.cluster_setting("resourceHAEnabled", "false")
    bed.run(5)
    bed.machine("h1").kill_agent()
    bed.run_until(lambda: bed.host(1).status == HostStatus.DISCONNECTED, 10)
    for name in bed.managers:
        bed.cut("database", name, "database")
    bed.machine("h1").start_agent()
    bed.run(10)
    for name in bed.managers:
        bed.mend("database", name, "database")
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP, 90)


def test_what_a_provider_wants_to_poll_survives_a_slow_store(make_bed: Callable[..., Bed]) -> None:
    """A script that is given while a step is being stored is not undone by that step: the host follows it."""
    bed = make_bed(servers=1)
    bed.world.network.degrade("database", "ms1", "database", delay=0.3)
    for name, value in (("health", "false"), ("activity", "false"), ("recover", "false"), ("fence", "true")):
        bed.put(HostDetail(host_id=3, name=f"simulator.ha.{name}", value=value))
    bed.run_until(lambda: bed.state(3) == HAState.FENCED, 120)
    assert bed.machine("h3").powered
    assert [row for row in bed.transitions(3) if row[1] == "Fenced"] != []
