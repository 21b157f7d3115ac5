"""A virtual second costs a bounded number of steps in every state, nothing grows, and no plugin harms the others."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, ClusterDetail, Event, HAState, VmState
from holdfast.model.rows import Moment
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode

_STEPS_PER_SECOND = 400
"""Per server, with three hosts: about 60 when all is quiet; a busy loop would take hundreds of thousands."""


def _fenced(bed: Bed) -> None:
    bed.machine("h1").power_off("power loss")
    bed.machine("h1").bmc().set_mode(BmcMode.OK)


def _stuck(bed: Bed) -> None:
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()


def _all_hung(bed: Bed) -> None:
    for name in ("h1", "h2", "h3"):
        bed.machine(name).hang()


def _agent_dead(bed: Bed) -> None:
    bed.machine("h1").kill_agent()


def _disabled(bed: Bed) -> None:
    bed.cluster_setting("resourceHAEnabled", "false")


def _store_down(bed: Bed) -> None:
    bed.machine("h1").hang()
    for name in bed.managers:
        bed.cut("database", name, "database")


def _coordinator_down(bed: Bed) -> None:
    for name in bed.managers:
        bed.cut("coordinator", name, "coordinator")


def _pool_down(bed: Bed) -> None:
    bed.world.set_pool("pool1", up=False)


def _no_room(bed: Bed) -> None:
    bed.add_vms(3, ram=10_000_000)
    bed.machine("h1").power_off("power loss")


def _starts_refused(bed: Bed) -> None:
    for name in ("h2", "h3"):
        bed.machine(name).start_failure = "no such bridge"
    bed.add_vms(3)
    bed.machine("h1").power_off("power loss")


def _quiet(bed: Bed) -> None:
    """Nothing happens."""


@pytest.mark.parametrize(
    "situation",
    [
        _quiet, _fenced, _stuck, _all_hung, _agent_dead, _disabled, _store_down, _coordinator_down, _pool_down,
        _no_room, _starts_refused,
    ],
)  # fmt: skip
def test_a_second_costs_a_bounded_number_of_steps(
    make_bed: Callable[..., Bed], situation: Callable[[Bed], None]
) -> None:
    """No state makes a server spin, neither at once nor later; nor do tasks pile up."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    situation(bed)
    for seconds in (10, 20, 60):
        before = {name: life.process.steps for name, life in bed.lives.items()}
        bed.run(seconds)
        for name, life in bed.lives.items():
            assert life.process.steps - before[name] < _STEPS_PER_SECOND * seconds, (name, seconds)
    for manager in bed.managers.values():
        assert len(manager.desk._tasks) < 30
        assert all(len(actor._queue) < 10 for actor in manager.hosts.actors.values())
        assert len(manager.hosts._heap) < 100


def test_no_hosts_at_all_costs_next_to_nothing(make_bed: Callable[..., Bed]) -> None:
    """A fresh installation idles."""
    bed = make_bed(hosts=0, servers=1)
    before = bed.lives["ms1"].process.steps
    bed.run(60)
    assert bed.lives["ms1"].process.steps - before < _STEPS_PER_SECOND * 60


def test_memory_does_not_grow_with_incidents(make_bed: Callable[..., Bed]) -> None:
    """Host after host falls silent and comes back: queues, heaps, pools and tasks stay as they were."""
    bed = make_bed(servers=1)

    def once() -> None:
        bed.machine("h1").kill_agent()
        bed.run(8)
        bed.machine("h1").start_agent()
        bed.run(8)

    manager = bed.managers["ms1"]

    def sizes() -> list[int]:
        gc.collect()
        return [
            len(manager.hosts._heap), len(manager.hosts._policies), len(manager.desk._tasks),
            len(manager.desk._pools), len(manager.desk.links.connections), len(manager.desk.links.reports),
            len(manager.desk.memory._waiting),
            len(manager.comparison._underway), len(manager.starting._underway), len(manager.jobs._underway),
        ]  # fmt: skip

    once()
    before = sizes()
    for _ in range(6):
        once()
    assert all(after <= first + 5 for after, first in zip(sizes(), before, strict=True))


class _BrokenProvider:
    """Raises what no contract allows, in one method for one host."""

    def __init__(self, whole: Any, method: str, uuid: str) -> None:
        self._whole, self._method, self._uuid, self.hits = whole, method, uuid, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name != self._method:
            return found

        def call(host: Any, *args: Any) -> Any:
            if host.uuid == self._uuid:
                self.hits += 1
                raise RuntimeError("a bug in somebody's provider")
            return found(host, *args)

        return call


@pytest.mark.parametrize("method", ["polls_health", "eligibility", "defaults_for", "check_health", "check_activity"])
def test_a_provider_that_breaks_for_one_host_harms_no_other(make_bed: Callable[..., Bed], method: str) -> None:
    """Each call alone: the other hosts are watched and recovered as if nothing was."""
    bed = make_bed(hosts=4, servers=1)
    drivers = bed.managers["ms1"].desk.plugins._drivers  # type: ignore[attr-defined]
    key = ("provider", "simulatorhaprovider")
    broken = drivers[key] = _BrokenProvider(drivers[key], method, "h4")
    if method.startswith(("check", "defaults")):
        bed.machine("h4").kill_agent()
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 20)
    assert bed.state(1) == HAState.FENCED
    assert bed.orders("h4") == []
    assert broken.hits > 0


def test_a_provider_that_failed_for_a_while_is_asked_again(make_bed: Callable[..., Bed]) -> None:
    """Although nothing of the host has changed since: the fault was the provider's."""
    bed = make_bed(hosts=3, servers=1)
    drivers = bed.managers["ms1"].desk.plugins._drivers  # type: ignore[attr-defined]
    key = ("provider", "simulatorhaprovider")
    whole = drivers[key]
    drivers[key] = _BrokenProvider(whole, "eligibility", "h3")
    bed.put(ClusterDetail(cluster_id=bed.cluster, name="resourceHAEnabled", value="true"))
    bed.run_until(lambda: bed.state(3) == HAState.INELIGIBLE, 10)
    bed.run(30)
    drivers[key] = whole
    bed.run_until(lambda: bed.state(3) == HAState.AVAILABLE, 10)


def test_a_late_snapshot_never_replaces_a_newer_one(make_bed: Callable[..., Bed]) -> None:
    """Readings of the tables are made one after the other, also those that jobs ask for."""
    bed = make_bed(servers=1)
    manager = bed.managers["ms1"]
    bed.world.network.degrade("database", "ms1", "database", jitter=0.4)
    (made,) = bed.put(ClusterDetail(cluster_id=bed.cluster, name="resourceHAEnabled", value="true"))
    newest: list[bool] = []
    for number in range(12):
        bed.edit(ClusterDetail, made, value="false" if number % 2 else "true")
        process = bed.lives["ms1"].process
        tasks = [bed.loop.spawn(process, manager.refresh_inventory()) for _ in range(3)]
        bed.run_until(lambda tasks=tasks: all(task.done() for task in tasks), 60)
        seen = manager.desk.inventory.cluster_details[bed.cluster]["resourceHAEnabled"]
        newest.append(seen == ("false" if number % 2 else "true"))
    assert all(newest)


# --- housekeeping ----------------------------------------------------------------------------------------------------


def test_old_events_and_finished_jobs_are_purged(make_bed: Callable[..., Bed]) -> None:
    """Within hours, in bounded batches: events by their age, jobs by their end; pending ones stay."""
    bed = make_bed(settings={"event.purge.days": "1", "job.expire.minutes": "60"})
    now = bed.site.time.wall()
    bed.put(*(Event(uuid=f"e{n}", type="OLD", description="", created=Moment(now - 90_000)) for n in range(700)))
    bed.put(Event(uuid="young", type="YOUNG", description="", created=Moment(now - 80_000)))
    for name, status, done in (("old", 1, now - 4000), ("failed", 2, now - 4000), ("new", 1, now - 1000)):
        bed.put(AsyncJob(uuid=name, user_id=1, account_id=1, job_cmd="x", job_status=status, completed=Moment(done)))
    bed.run(900)
    assert bed.store.count(Event, Query(equal={"type": "OLD"})) == 0
    assert bed.store.count(Event, Query(equal={"type": "YOUNG"})) == 1
    assert {job.uuid for job in bed.store.select(AsyncJob, Query())} == {"new"}


def test_events_are_kept_for_ever_if_that_is_asked(make_bed: Callable[..., Bed]) -> None:
    """event.purge.days = 0."""
    bed = make_bed(servers=1, settings={"event.purge.days": "0"})
    bed.put(Event(uuid="e", type="OLD", description="", created=Moment(1.0)))
    bed.run(900)
    assert bed.store.count(Event, Query(equal={"type": "OLD"})) == 1


def test_many_vms_of_one_host_restart_within_their_bounds(make_bed: Callable[..., Bed]) -> None:
    """Many VMs at once: all run elsewhere, each once; never more starts at once on a host than its bound."""
    bed = make_bed(hosts=6, servers=2)
    for number in range(120):
        bed.add_vm(f"vm{number}", 1, ram=512, cpu=1, cpu_speed=100)
    worst: dict[str, int] = {}

    def look(one: Any) -> None:
        if one.what == "guest-began":
            starting = sum(guest.starting for guest in bed.machine(one.host).book.guests.values())
            worst[one.host] = max(worst.get(one.host, 0), starting)

    bed.world.chronicle.watchers.append(look)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: all(vm.state == VmState.RUNNING and vm.host_id != 1 for vm in bed.vms()), 30, step=0.5)
    assert max(worst.values()) <= 8
    bed.check_once()


def test_a_host_that_stays_undecided_writes_no_rows_without_end(make_bed: Callable[..., Bed]) -> None:
    """Silent for ten minutes with an unreadable pool: its story has a few dozen rows, not thousands."""
    bed = make_bed(servers=1)
    bed.world.set_pool("pool1", up=False)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").kill_agent()
    bed.run(600)
    assert bed.state(1) in (HAState.SUSPECT, HAState.CHECKING)
    assert 10 < len(bed.transitions(1)) < 120
