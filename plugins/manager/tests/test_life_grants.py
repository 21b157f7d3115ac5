"""Grants of life: an outage of all storage resets nobody, and a host that alone lost its storage resets itself."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from holdfast.model import HAState
from holdfast.model.views import LifeGrant
from holdfast_simulator.world.happenings import What
from manager_bed import Bed


def resets(bed: Bed) -> list[str]:
    """Hosts that reset themselves, from now on."""
    found: list[str] = []
    bed.world.chronicle.watchers.append(lambda one: found.append(one.host) if one.what is What.SELF_FENCED else None)
    return found


def told(bed: Bed, host: str) -> list[str]:
    """The words of each event about the host's storage."""
    return [row.description for row in bed.events("HA.STORAGE.ADRIFT") if f" {host}:" in row.description]


def cut_storage(bed: Bed, host: str) -> None:
    """The host's own way to its pool."""
    bed.world.network.set_up("storage", host, "pool1", False)


@pytest.mark.parametrize("servers", [1, 3])
def test_an_outage_of_all_storage_resets_no_host(make_bed: Callable[..., Bed], servers: int) -> None:
    """A minute without any storage; every host is heard, so every VM goes on in its run."""
    bed = make_bed(servers=servers)
    bed.add_vms(3)
    fenced = resets(bed)
    bed.world.set_pool("pool1", up=False)
    bed.run(60)
    assert all(machine.lease.adrift for machine in bed.world.hosts.values())
    manager = bed.managers[bed.owner("h1")]
    assert any("it is granted life" in line for line in manager.explain_host("h1")["waitingfor"])
    bed.world.set_pool("pool1", up=True)
    bed.run(60)
    assert fenced == []
    assert [bed.state(host) for host in bed.host_ids] == [HAState.AVAILABLE] * 3
    bed.check_once()
    assert bed.vm(1).run_epoch == 1
    alerts = [alert.subject for alert in bed.alerts("ALERT.HA.STORAGE.AWAY")]
    assert 1 <= len(alerts) <= servers
    assert set(alerts) == {"the storage of cluster c1 answers none of its hosts"}
    began, ended = told(bed, "h1")
    assert "granted life" in began
    assert "again" in ended


def storage_words(bed: Bed, host: str) -> list[str]:
    """What an explanation of the host says of its storage."""
    return [line for line in bed.managers[bed.owner(host)].explain_host(host)["waitingfor"] if "its storage" in line]


@pytest.mark.parametrize("silent", [1, 20])
def test_a_host_that_connects_anew_with_its_storage_back_is_adrift_no_more(bed: Bed, silent: int) -> None:
    """Its last beat before the connection broke said adrift, and no beat after it does: nothing old is told of it."""
    bed.world.set_pool("pool1", up=False)
    bed.run(20)
    assert storage_words(bed, "h1")
    for server in bed.managers:
        bed.cut("agent", server, "h1")
    bed.world.set_pool("pool1", up=True)
    bed.run(silent)
    for server in bed.managers:
        bed.mend("agent", server, "h1")
    bed.run(3)
    assert storage_words(bed, "h1") == []
    assert "again" in told(bed, "h1")[-1]


def test_a_host_in_doubt_is_not_said_to_be_granted_life(bed: Bed) -> None:
    """It fell silent while it was adrift: what is granted to nobody is not told as if it were."""
    bed.add_vm("vm1", 1)
    bed.world.set_pool("pool1", up=False)
    bed.run(20)
    assert storage_words(bed, "h1")
    for server in bed.managers:
        bed.cut("agent", server, "h1")
    bed.run_until(lambda: bed.state(1) is not HAState.AVAILABLE, 10)
    assert storage_words(bed, "h1") == []


def test_a_host_that_alone_loses_its_storage_is_left_to_reset_itself(bed: Bed) -> None:
    """Its neighbours reach the pool: its VMs belong there, as fast as without any grants."""
    vm = bed.add_vm("vm1", 1)
    fenced = resets(bed)
    cut_storage(bed, "h1")
    took = bed.run_until(lambda: bed.runs_elsewhere(1, vm), 40)
    assert fenced == ["h1"]
    assert took < 30.0
    assert "it is granted nothing" in told(bed, "h1")[0]
    bed.check_once()


def test_after_an_outage_the_last_one_without_storage_is_given_time_then_left(bed: Bed) -> None:
    """Hosts find back to their storage one by one. One that does not, while all others do, resets itself after all."""
    vm = bed.add_vm("vm1", 1)
    let_neighbours_look(bed)
    fenced = resets(bed)
    bed.world.set_pool("pool1", up=False)
    bed.run(30)
    cut_storage(bed, "h1")
    bed.world.set_pool("pool1", up=True)
    bed.run(55)
    assert fenced == []
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 60)
    assert fenced == ["h1"]
    bed.check_once()


def test_the_next_owner_grants_before_the_watchdog_of_a_host_bites(bed: Bed) -> None:
    """The owner dies in an outage of all storage: lease and half of the watchdog's time are left, 15 s in life."""
    bed.add_vm("vm1", 1)
    fenced = resets(bed)
    bed.world.set_pool("pool1", up=False)
    bed.run(30)
    lease, last = bed.machine("h1").lease, bed.machine("h1").lease._granted
    assert last > bed.loop.time() - 3.0
    bed.crash(bed.owner("h1"))
    bed.run_until(lambda: lease._granted > last, 15)
    bed.run(30)
    assert fenced == []
    assert lease._granted > bed.loop.time() - 3.0


def test_without_its_owners_word_a_host_without_storage_resets_itself(bed: Bed) -> None:
    """Storage and management network lost together: as if there were no grants."""
    bed.add_vm("vm1", 1)
    fenced = resets(bed)
    began = bed.loop.time()
    bed.world.set_pool("pool1", up=False)
    for server in bed.managers:
        bed.cut("agent", server, "h1")
    bed.run_until(lambda: bool(fenced), 30)
    assert bed.loop.time() - began <= 20.5


def test_a_host_in_doubt_is_granted_nothing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that has begun to distrust a host does not keep it alive, though it hears it."""
    owner = bed.managers[bed.owner("h1")]
    given = watch_grants(bed)
    bed.world.set_pool("pool1", up=False)
    bed.run(20)
    assert {grant.host_uuid for grant in given} == {"h1", "h2", "h3"}
    trusts = owner.desk.is_undoubted
    monkeypatch.setattr(owner.desk, "is_undoubted", lambda host: host.uuid != "h1" and trusts(host))
    given.clear()
    bed.run(5)
    assert {grant.host_uuid for grant in given} == {"h2", "h3"}


def let_neighbours_look(bed: Bed) -> None:
    """A moment of silence, in which they see h1's beats move: only then can they say later that they stand still."""
    for server in bed.managers:
        bed.cut("agent", server, "h1")
    bed.run(5)
    for server in bed.managers:
        bed.mend("agent", server, "h1")
    bed.run(5)


def watch_grants(bed: Bed) -> list[LifeGrant]:
    """Grants as they leave any server, from now on."""
    given: list[LifeGrant] = []
    for life in bed.lives.values():
        real = life.hypervisor.grant_life
        life.hypervisor.grant_life = lambda grant, real=real: (given.append(grant), real(grant))  # type: ignore[method-assign]
    return given


@pytest.mark.parametrize("plant", [False, True], ids=["as it is", "planted: grants without a renewal"])
def test_an_owner_whose_clock_stood_still_grants_nothing_after_its_lease(
    make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch, plant: bool
) -> None:
    """It goes on believing that it owns a host and hears it, while the next owner counts down to its proof of death."""
    bed = make_bed()
    bed.add_vm("vm1", 1)
    let_neighbours_look(bed)
    owner = bed.owner("h1")
    former, successor = bed.managers[owner], bed.managers[bed.other(owner)]
    bed.world.set_pool("pool1", up=False)
    bed.run(20)
    cut_storage(bed, "h1")
    bed.world.set_pool("pool1", up=True)
    bed.run(2)
    bed.cut("bmc", successor.name, "h1")
    if plant:
        keep = former.desk.membership.keep

        async def kept(*terms: float) -> bool:
            heard = former.grants.heard()
            found = await keep(*terms)
            former.grants.give(heard)
            return found

        monkeypatch.setattr(former.desk.membership, "keep", kept)
    believed = dict(former.desk.membership.epochs)
    bed.cut("coordinator", owner, "coordinator")
    bed.cut("database", owner, "database")
    former.desk.membership._until = 1e12
    bed.run_until(lambda: "h1" in successor.hosts.actors, 20)
    bed.run(3)
    bed.cut("agent", successor.name, "h1")
    assert former.desk.membership.epochs == believed
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 60)
    assert ("h1" in {host for host, _ in bed.world.live_runs("vm1")}) is plant


def test_grants_go_only_to_hosts_that_ask(bed: Bed) -> None:
    """Where storage works nothing is sent, however many hosts there are."""
    given = watch_grants(bed)
    bed.run(30)
    assert given == []
    bed.world.set_pool("pool1", up=False)
    bed.run(30)
    sequences = [grant.sequence for grant in given if grant.host_uuid == "h1"]
    assert all(one <= two for one, two in pairwise(sequences))
    assert len(set(sequences)) > 15
