"""Who may act, and until when: leases, take-overs, late results (S5, S6)."""

from collections.abc import Callable

import pytest
from holdfast.engine.incident import Silent
from holdfast.errors import Conflict
from holdfast.model import HAState, PowerAction, VmState
from holdfast_simulator.world.happenings import What
from manager_bed import Bed


def test_each_host_is_watched_by_one_server(make_bed: Callable[..., Bed]) -> None:
    """Claims are exclusive, every host is claimed, and each actor acts under the epoch in the tables."""
    bed = make_bed(hosts=9, servers=3)
    for number, host_id in enumerate(bed.host_ids, 1):
        watching = [m for m in bed.managers.values() if f"h{number}" in m.hosts.actors]
        assert len(watching) == 1
        row = bed.ha(host_id)
        assert row.mgmt_server_id == watching[0].desk.msid
        assert row.owner_epoch == watching[0].hosts.actors[f"h{number}"].epoch


@pytest.mark.parametrize("moment", [0.0, 3.3, 3.6, 4.0, 4.4, 5.0, 5.3, 5.6, 6.0, 6.4])
def test_a_server_that_loses_the_coordinator_stops_and_the_other_completes(
    make_bed: Callable[..., Bed], moment: float
) -> None:
    """No power order and no start leaves a server after its lease; the other server takes over and completes."""
    bed = make_bed()
    bed.add_vms(2)
    owner = bed.owner("h1")
    manager = bed.managers[owner]
    late: list[str] = []

    def look(one: object) -> None:
        what, server = one.what, one.server  # type: ignore[attr-defined]
        acts = what in (What.POWER_ORDERED, What.START_ARRIVED)
        if acts and server == owner and not manager.desk.membership.holds():
            late.append(one.line())  # type: ignore[attr-defined]

    bed.world.chronicle.watchers.append(look)
    bed.machine("h1").hang()
    bed.run(moment)
    bed.cut("coordinator", owner, "coordinator")
    bed.run_until(lambda: bed.runs_elsewhere(1) and bed.state(1) == HAState.FENCED, 40)
    assert late == []
    bed.run(10)
    assert not manager.hosts.actors
    bed.mend("coordinator", owner, "coordinator")
    bed.run(15)
    assert manager.desk.membership.holds()
    bed.check_once()


def test_a_server_that_lost_its_lease_for_a_moment_takes_its_hosts_up_afresh(make_bed: Callable[..., Bed]) -> None:
    """A lease that ended by the server's own clock is lost even if the coordinator would still renew it."""
    bed = make_bed(servers=1)
    bed.add_vms(1)
    membership = bed.managers["ms1"].desk.membership
    session = membership.session_epoch
    bed.cut("coordinator", "ms1", "coordinator")
    bed.run_until(lambda: not membership.holds(), 10, step=0.01)
    bed.mend("coordinator", "ms1", "coordinator")
    bed.run(15)
    assert membership.session_epoch > session
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    bed.check_once()


def test_a_server_that_believes_to_own_a_host_changes_nothing_under_an_old_epoch(bed: Bed) -> None:
    """Two servers believe: what the one with the old epoch decides is refused by the store, and never carried out."""
    bed.add_vms(1)
    owner = bed.owner("h1")
    believer = bed.managers[owner]
    actor = believer.hosts.actors["h1"]
    bed.cut("agent", owner, "h1")
    # Its lease is frozen as if its clock stood still, while the coordinator gives the host to the other server.
    believer.desk.membership._until = float("inf")
    bed.cut("coordinator", owner, "coordinator")
    bed.run_until(lambda: "h1" in bed.managers[bed.other(owner)].hosts.actors, 20)
    believer.hosts.actors.setdefault("h1", actor)
    actor.gone = False
    believer.desk.membership.epochs.setdefault("h1", actor.epoch)
    before = bed.transitions(1)
    word = Silent(believer.desk.probes(actor.host).link())
    bed.loop.call_soon(actor.tell, word, context=bed.lives[owner].process.context())
    bed.run(0.3)
    assert bed.transitions(1) == before
    bed.run(10)
    assert bed.orders("h1") == []
    assert bed.state(1) == HAState.AVAILABLE
    assert bed.vm(1).state == VmState.RUNNING


def test_what_waited_for_its_turn_until_the_lease_was_over_is_not_sent(bed: Bed) -> None:
    """S5: a power order or a start asks again, at its turn in the pool, whether this server may still act."""
    vm = bed.add_vm("vm1", None)
    owner = bed.owner("h1")
    desk = bed.managers[owner].desk
    host = bed.host(1)
    probes = desk.probes(host)
    start = desk.while_owned(host, lambda: "started")
    assert bed.site.call(start) == "started"
    bed.cut("coordinator", owner, "coordinator")
    bed.run_until(lambda: not desk.membership.holds(), 10)
    outcome = bed.site.call(probes.switch_power, PowerAction.OFF)
    assert not outcome.accepted
    assert bed.orders("h1") == []
    with pytest.raises(Conflict):
        bed.site.call(start)
    assert bed.vm(vm).run_epoch == 0


def test_hosts_of_a_server_that_leaves_are_watched_by_the_other_at_once(bed: Bed) -> None:
    """A clean stop gives everything back without waiting for the lease."""
    leaving = bed.owner("h1")
    stop = bed.loop.spawn(bed.lives[leaving].process, bed.managers[leaving].stop())
    other = bed.managers[bed.other(leaving)]
    took = bed.run_until(lambda: len(other.hosts.actors) == 3, 10)
    assert took < 3.0
    assert stop.done()


def test_a_server_whose_wall_clock_is_off_recovers_all_the_same(make_bed: Callable[..., Bed]) -> None:
    """Decisions follow monotonic clocks: an hour of skew between two servers delays nobody's restart."""
    bed = make_bed(servers=1)
    bed.start("ms2", skew=-3600.0)
    bed.run(10)
    bed.add_vms(2)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1), 15)
    bed.check_once()


def test_a_server_that_alone_lost_the_store_leaves_its_hosts_to_the_other(bed: Bed) -> None:
    """Its lease holds, but it cannot act: after a while it gives its hosts up, and takes part again when it can."""
    vm = bed.add_vm("vm1", 1)
    owner = bed.owner("h1")
    bed.cut("database", owner, "database")
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 60)
    assert bed.owner("h1") != owner
    bed.check_once()
    bed.mend("database", owner, "database")
    bed.run(30)
    assert bed.managers[owner].hosts.actors
    bed.check_once()


def test_a_slow_take_over_does_not_cost_the_lease(make_bed: Callable[..., Bed]) -> None:
    """A database that answers in 1.5 s holds back the taking of hosts, never the renewal of the lease."""
    bed = make_bed(hosts=8, servers=1, settle=0)
    bed.world.network.degrade("database", "ms1", "database", delay=0.75)
    bed.run(60)
    assert bed.managers["ms1"].desk.membership.session_epoch == 1
    assert len(bed.managers["ms1"].hosts.actors) == 8
