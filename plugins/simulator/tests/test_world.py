"""The physics of the simulated world: power, boots, agents, beats, messages, storage leases, watchdogs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from holdfast.errors import NotFound, Refused, Unreachable
from holdfast.model import GuestState, PermitGrant, PowerAction, PowerState, Proof, ProofKind, Secret
from holdfast.model.views import Beat, BmcView, HostView, PoolView, VmReport, VmSpec
from holdfast_simulator.site import ServerLife, VirtualSite
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.host import Condition, SimHost
from holdfast_simulator.world.network import AGENT, BMC, STORAGE

POOL = PoolView("pool-1", "primary", "NetworkFilesystem", "simulator")


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.boots: list[str] = []
        self.beats: list[Beat] = []
        self.reports: list[VmReport] = []

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        self.boots.append(boot_id)

    def on_beat(self, beat: Beat) -> None:
        self.beats.append(beat)

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        self.reports.append(report)


class Place:
    """Three hosts on one pool, and one management server."""

    def __init__(self, site: VirtualSite) -> None:
        self.site = site
        self.world = site.world
        self.world.add_pool(POOL.uuid, POOL.name)
        self.hosts = [self.world.add_host(name) for name in ("h1", "h2", "h3")]
        for host in self.hosts:
            host.mount(POOL.uuid)
        self.server: ServerLife = site.open("ms1")

    def start(self, host: SimHost, vm: VmSpec, epoch: int, deadline: float = 5.0) -> None:
        proof = Proof(ProofKind.NEVER_RAN, vm.uuid, 0.0)
        permit = PermitGrant(vm.uuid, epoch, host.uuid, 1, proof)
        self.site.call(self.server.hypervisor.start_vm, view(host), vm, permit, deadline)

    def stop(self, host: SimHost, vm: VmSpec, epoch: int, graceful: bool = False) -> None:
        self.site.call(self.server.hypervisor.stop_vm, view(host), vm.uuid, epoch, graceful, 5.0)

    def listed(self, host: SimHost) -> list[tuple[str, GuestState, int]]:
        reports = self.site.call(self.server.hypervisor.list_vms, view(host), 5.0)
        return [(report.vm_uuid, report.state, report.run_epoch) for report in reports]

    def power(self, host: SimHost, deadline: float = 1.0) -> PowerState:
        return self.site.call(self.server.oobm.power_state, bmc(host), deadline)

    def switch(self, host: SimHost, action: PowerAction) -> str:
        return self.site.call(self.server.oobm.power_action, bmc(host), action, 1.0)

    def unchanged_for(self, subject: SimHost, reader: SimHost) -> float:
        reading = self.site.call(self.server.heartbeat.read, POOL, subject.uuid, reader.uuid, 1.0)
        return reading.unchanged_for

    def happened(self, what: What) -> list[str]:
        return [event.host for event in self.world.chronicle.trace if event.what is what]


def view(host: SimHost) -> HostView:
    return HostView(host.uuid, host.name, "Simulator", "z", "p", "c")


def bmc(host: SimHost) -> BmcView:
    return BmcView(host.uuid, "simulator", "10.0.0.1", "623", "admin", Secret("word"))


def vm(name: str = "vm-1", ram: int = 1024) -> VmSpec:
    return VmSpec(name, name, name, 1, 1000, ram, pool=POOL.uuid)


@pytest.fixture
def place() -> Iterator[Place]:
    with VirtualSite("7") as site:
        yield Place(site)


# --- agents and beats


def test_an_attached_host_connects_and_beats_once_a_second(place: Place) -> None:
    """Each listener hears the connection once and every beat, with growing sequences."""
    ear = Ear()
    place.server.hypervisor.attach(view(place.hosts[0]), ear)
    place.site.run(10.0)
    assert ear.boots == ["h1-boot-1"]
    assert len(ear.beats) == 10
    assert [beat.sequence for beat in ear.beats] == sorted(beat.sequence for beat in ear.beats)
    assert all(beat.watchdog_armed for beat in ear.beats)
    place.server.hypervisor.detach("h1")
    place.site.run(10.0)
    assert len(ear.beats) == 10


@pytest.mark.parametrize(
    ("silence", "mend"),
    [
        (lambda host, world: host.hang(), lambda host, world: host.unhang()),
        (lambda host, world: host.kill_agent(), lambda host, world: host.start_agent()),
        (
            lambda host, world: world.network.set_up(AGENT, "h1", "ms1", False),
            lambda host, world: world.network.set_up(AGENT, "h1", "ms1", True),
        ),
        (
            lambda host, world: world.network.set_up(AGENT, "h1", "ms1", False, both_ways=False),
            lambda host, world: world.network.set_up(AGENT, "h1", "ms1", True, both_ways=False),
        ),
    ],
    ids=["hang", "agent", "link", "one-way"],
)
def test_a_silent_host_is_not_heard_until_it_is_mended(
    place: Place, silence: Callable[[SimHost, Any], None], mend: Callable[[SimHost, Any], None]
) -> None:
    """And its VMs stay where they are all along."""
    ear, host = Ear(), place.hosts[0]
    place.start(host, vm(), 1)
    place.server.hypervisor.attach(view(host), ear)
    place.site.run(3)
    silence(host, place.world)
    heard = len(ear.beats)
    place.site.run(5)
    assert len(ear.beats) == heard
    assert place.world.live_runs("vm-1") == [("h1", 1)]
    mend(host, place.world)
    place.site.run(5)
    assert len(ear.beats) > heard
    assert place.world.live_runs("vm-1") == [("h1", 1)]


def test_a_way_that_is_cut_towards_the_host_still_carries_its_beats(place: Place) -> None:
    """One-way cuts are one way."""
    ear, host = Ear(), place.hosts[0]
    place.server.hypervisor.attach(view(host), ear)
    place.world.network.set_up(AGENT, "ms1", "h1", False, both_ways=False)
    place.site.run(5)
    assert len(ear.beats) >= 4
    with pytest.raises(Unreachable):
        place.listed(host)


# --- power


def test_off_takes_its_time_and_ends_all_runs(place: Place) -> None:
    """The BMC accepts at once; the chassis reads on until it is off; the VMs are gone then and not before."""
    host = place.hosts[0]
    place.start(host, vm(), 1)
    begun = place.site.loop.time()
    assert "OFF" in place.switch(host, PowerAction.OFF)
    assert place.power(host) is PowerState.ON
    assert place.world.live_runs("vm-1") == [("h1", 1)]
    while place.power(host) is PowerState.ON:
        place.site.run(0.05)
    assert place.site.loop.time() - begun == pytest.approx(1.5, abs=0.3)
    assert place.world.live_runs("vm-1") == []
    place.switch(host, PowerAction.ON)
    place.site.run(30)
    assert host.condition is Condition.UP
    assert host.boot_id == "h1-boot-2"
    assert place.listed(host) == [("vm-1", GuestState.ABSENT, 1)]
    (report,) = place.site.call(place.server.hypervisor.list_vms, view(host), 5.0)
    assert report.host_restarted


def test_a_reset_keeps_the_chassis_on_and_the_runs_end(place: Place) -> None:
    """It boots anew."""
    host = place.hosts[0]
    place.start(host, vm(), 1)
    place.switch(host, PowerAction.RESET)
    place.site.run(1)
    assert place.power(host) is PowerState.ON
    assert host.condition is Condition.BOOTING
    assert place.world.live_runs("vm-1") == []


def test_a_soft_off_needs_a_kernel_that_lives(place: Place) -> None:
    """A hung host does not hear it."""
    place.hosts[0].hang()
    for host in place.hosts[:2]:
        place.switch(host, PowerAction.SOFT)
    place.site.run(10)
    assert [host.condition for host in place.hosts[:2]] == [Condition.HUNG, Condition.OFF]


@pytest.mark.parametrize(
    ("orders", "end"),
    [
        ((PowerAction.OFF, PowerAction.OFF, PowerAction.ON), True),
        ((PowerAction.OFF, PowerAction.RESET), False),
        ((PowerAction.ON, PowerAction.OFF), False),
        ((PowerAction.CYCLE, PowerAction.ON), True),
        ((PowerAction.CYCLE, PowerAction.OFF), False),
        ((PowerAction.RESET, PowerAction.OFF, PowerAction.CYCLE), True),
    ],
)
@pytest.mark.parametrize("was_on", [True, False])
def test_the_order_given_last_is_so_in_the_end(
    place: Place, was_on: bool, orders: tuple[PowerAction, ...], end: bool
) -> None:
    """Though ON is quicker than OFF: no order overtakes another."""
    host = place.hosts[0]
    if not was_on:
        host.power_off("test")
    for action in orders:
        place.switch(host, action)
    place.site.run(10)
    assert host.powered is end


@pytest.mark.parametrize("mode", list(BmcMode))
def test_no_mode_of_a_bmc_reads_off_thrice_while_the_chassis_is_on(place: Place, mode: BmcMode) -> None:
    """However often and at whatever distance it is asked: three OFF readings in a row stay a proof."""
    host = place.hosts[0]
    host.bmc().set_mode(mode)
    for gap in (0.05, 0.25, 0.5, 1.0, 2.0, 3.7, 4.0):
        off_in_a_row = 0
        for _ in range(60):
            try:
                off = place.power(host) is PowerState.OFF
            except (Unreachable, Refused):
                off = False
            off_in_a_row = off_in_a_row + 1 if off else 0
            assert off_in_a_row < 3
            place.site.run(gap)


def test_a_lying_bmc_accepts_and_does_nothing(place: Place) -> None:
    """S3 in one line."""
    host = place.hosts[0]
    host.bmc().set_mode(BmcMode.LYING)
    assert place.switch(host, PowerAction.OFF)
    place.site.run(60)
    assert place.power(host) is PowerState.ON


def test_dead_and_cut_off_bmcs_are_unreachable(place: Place) -> None:
    """By mode, and by path."""
    place.hosts[0].bmc().set_mode(BmcMode.DEAD)
    place.world.network.set_up(BMC, "ms1", "h2", False)
    for host in place.hosts[:2]:
        with pytest.raises(Unreachable):
            place.power(host)


# --- runs


def test_epochs_once_stopped_are_refused_for_ever(place: Place) -> None:
    """Also after a power cycle: the host keeps them on its disk."""
    host = place.hosts[0]
    place.start(host, vm(), 3)
    place.stop(host, vm(), 4)
    host.power_off("test")
    host.power_on("test")
    place.site.run(30)
    for epoch in (3, 4):
        with pytest.raises(Refused):
            place.start(host, vm(), epoch)
    place.start(host, vm(), 5)
    assert place.listed(host) == [("vm-1", GuestState.RUNNING, 5)]


def test_a_start_overtaken_by_its_stop_is_refused(place: Place) -> None:
    """The start is delayed, the stop is not: no run comes of it (what revoked epochs are for)."""
    host = place.hosts[0]
    path = place.world.network.path(AGENT, "ms1", "h1")
    path.delay = 3.0
    with pytest.raises(Unreachable):
        place.start(host, vm(), 1, deadline=1.0)
    path.delay = 0.001
    place.stop(host, vm(), 1)
    place.site.run(10)
    assert place.world.live_runs("vm-1") == []


def test_a_delayed_start_is_lost_with_the_boot_it_was_sent_to(place: Place) -> None:
    """It cannot come alive after a proof of death by power."""
    host = place.hosts[0]
    place.world.network.path(AGENT, "ms1", "h1").delay = 40.0
    with pytest.raises(Unreachable):
        place.start(host, vm(), 1, deadline=1.0)
    host.power_off("test")
    host.power_on("test")
    place.site.run(60)
    assert host.condition is Condition.UP
    assert place.world.live_runs("vm-1") == []


def test_a_duplicated_start_makes_one_run(place: Place) -> None:
    """And a duplicate that comes after the stop makes none."""
    host = place.hosts[0]
    place.world.network.degrade(AGENT, "ms1", "h1", duplicate=1.0, jitter=2.0)
    place.start(host, vm(), 1, deadline=20)
    place.stop(host, vm(), 1)
    place.site.run(20)
    assert place.world.live_runs("vm-1") == []


def test_a_hung_host_does_what_waited_when_it_goes_on(place: Place) -> None:
    """A start sent to it is a run that may still come."""
    host = place.hosts[0]
    host.hang()
    with pytest.raises(Unreachable):
        place.start(host, vm(), 1, deadline=1.0)
    assert place.world.agents.pending_starts() == [("h1", "vm-1", 1)]
    host.unhang()
    place.site.run(2)
    assert place.world.live_runs("vm-1") == [("h1", 1)]


def test_messages_from_before_a_lapsed_lease_are_void(place: Place) -> None:
    """A host that hung longer than its lease starts nothing that waited: proof by lease depends on it."""
    host = place.hosts[0]
    host.hang()
    with pytest.raises(Unreachable):
        place.start(host, vm(), 1, deadline=1.0)
    place.site.run(15)
    host.unhang()
    place.site.run(5)
    assert place.world.live_runs("vm-1") == []
    place.start(host, vm(), 2)
    assert place.world.live_runs("vm-1") == [("h1", 2)]


def test_a_host_without_its_lease_starts_nothing(place: Place) -> None:
    """It could not be told from a dead one."""
    place.world.network.set_up(STORAGE, "h1", POOL.uuid, False)
    place.site.run(12)
    with pytest.raises(Refused, match="lease"):
        place.start(place.hosts[0], vm(), 1)


def test_guests_that_end_are_reported(place: Place) -> None:
    """With their state; they are live no more."""
    ear, host = Ear(), place.hosts[0]
    place.start(host, vm(), 2)
    place.server.hypervisor.attach(view(host), ear)
    host.end_guest("vm-1", GuestState.CRASHED)
    place.site.run(1)
    assert ear.reports == [VmReport("vm-1", GuestState.CRASHED, 2)]
    assert place.world.live_runs("vm-1") == []
    with pytest.raises(Refused):
        place.start(host, vm(), 2)


def test_a_migration_leaves_exactly_one_run(place: Place) -> None:
    """At every instant of it."""
    first, second, _ = place.hosts
    place.start(first, vm(), 1)
    most: list[int] = []
    place.world.chronicle.watchers.append(lambda event: most.append(len(place.world.live_runs("vm-1"))))
    permit = PermitGrant("vm-1", 2, second.uuid, 1, Proof(ProofKind.AGENT_REPORT, "vm-1", 0.0))
    place.site.call(place.server.hypervisor.migrate_vm, view(first), view(second), vm(), permit, 10.0)
    assert place.world.live_runs("vm-1") == [("h2", 2)]
    assert max(most) == 1
    with pytest.raises(Refused):
        place.start(first, vm(), 1)


def test_memory_is_finite(place: Place) -> None:
    """A start beyond it is refused, and nothing happens."""
    place.start(place.hosts[0], vm("big", 120 * 1024), 1)
    with pytest.raises(Refused, match="memory"):
        place.start(place.hosts[0], vm("more", 16 * 1024), 1)
    assert place.world.live_runs("more") == []


# --- storage


def test_a_living_host_keeps_its_heartbeat_moving(place: Place) -> None:
    """As its neighbours see it, at any time."""
    for _ in range(20):
        place.site.run(0.7)
        assert place.unchanged_for(place.hosts[0], place.hosts[1]) <= 1.1


def test_a_dead_host_grows_stale_from_its_last_beat(place: Place) -> None:
    """A neighbour that watched all along knows the age at its first question."""
    place.site.run(10)
    place.hosts[0].power_off("test")
    place.site.run(5)
    assert 5.0 <= place.unchanged_for(place.hosts[0], place.hosts[1]) <= 6.1


def test_a_reader_that_was_cut_off_judges_only_what_it_saw(place: Place) -> None:
    """A beat that moved while the reader was away counts as moved when it looks again; away, it knows nothing."""
    place.unchanged_for(place.hosts[0], place.hosts[1])
    place.world.network.set_up(STORAGE, "h2", POOL.uuid, False)
    place.site.run(8)
    with pytest.raises(Unreachable):
        place.unchanged_for(place.hosts[0], place.hosts[1])
    place.world.network.set_up(STORAGE, "h2", POOL.uuid, True)
    assert place.unchanged_for(place.hosts[0], place.hosts[1]) <= 1.1


def test_a_pool_that_is_down_makes_nobody_stale(place: Place) -> None:
    """It answers nobody, which is unknown and not dead; later all beat again."""
    place.site.run(3)
    place.world.set_pool(POOL.uuid, up=False)
    place.site.run(8)
    with pytest.raises(Unreachable):
        place.unchanged_for(place.hosts[0], place.hosts[1])
    place.world.set_pool(POOL.uuid, up=True)
    place.site.run(2)
    assert place.unchanged_for(place.hosts[0], place.hosts[1]) <= 1.1


def test_a_slow_pool_delays_beats(place: Place) -> None:
    """A write of two seconds means a beat every two seconds."""
    place.site.run(3)
    place.unchanged_for(place.hosts[0], place.hosts[1])
    place.world.set_pool(POOL.uuid, latency=2.0)
    ages = []
    for _ in range(40):
        place.site.run(0.5)
        reading = place.world.pool(POOL.uuid).read("h2", "h1", True)
        ages.append(reading.unchanged_for)
    assert 1.5 <= max(ages) <= 3.1


def test_nobody_has_a_heartbeat_where_none_was_prepared(place: Place) -> None:
    """Not found, which accuses nobody."""
    place.world.add_host("stranger")
    with pytest.raises(NotFound):
        place.site.call(place.server.heartbeat.read, POOL, "stranger", "h2", 1.0)


# --- watchdog


def test_a_host_cut_from_its_storage_ends_its_own_vms_in_time(place: Place) -> None:
    """By lease plus watchdog after its last beat, and no later."""
    host = place.hosts[0]
    place.start(host, vm(), 1)
    place.world.network.set_up(STORAGE, "h1", POOL.uuid, False)
    last = place.world.pool(POOL.uuid).last_beat("h1")
    place.site.run_until(last + 19.9)
    assert place.world.live_runs("vm-1") == [("h1", 1)]
    place.site.run_until(last + 20.1)
    assert place.world.live_runs("vm-1") == []
    assert place.happened(What.SELF_FENCED) == ["h1"]


def test_a_hung_host_is_reset_by_its_watchdog(place: Place) -> None:
    """A kernel that stands still feeds nothing."""
    host = place.hosts[0]
    place.start(host, vm(), 1)
    host.hang()
    place.site.run(10.5)
    assert place.world.live_runs("vm-1") == []


def test_a_host_without_vms_is_never_reset(place: Place) -> None:
    """S11: neither when its storage fails nor when it hangs."""
    place.world.network.set_up(STORAGE, "h1", POOL.uuid, False)
    place.hosts[1].hang()
    place.site.run(60)
    assert place.happened(What.SELF_FENCED) == []


def test_a_lease_renewed_in_time_saves_the_host(place: Place) -> None:
    """A cut that is mended before the watchdog bites costs nothing."""
    place.start(place.hosts[0], vm(), 1)
    place.world.network.set_up(STORAGE, "h1", POOL.uuid, False)
    place.site.run(15)
    place.world.network.set_up(STORAGE, "h1", POOL.uuid, True)
    place.site.run(60)
    assert place.world.live_runs("vm-1") == [("h1", 1)]


def test_one_pool_of_two_is_no_reason_to_reset(place: Place) -> None:
    """The lease holds while any pool takes beats."""
    place.world.add_pool("pool-2")
    for host in place.hosts:
        host.mount("pool-2")
    place.start(place.hosts[0], vm(), 1)
    place.world.set_pool(POOL.uuid, up=False)
    place.site.run(60)
    assert place.world.live_runs("vm-1") == [("h1", 1)]


# --- determinism


def test_the_same_seed_gives_the_same_history() -> None:
    """To the last digit, with every kind of network trouble on."""

    def history(seed: str) -> list[str]:
        with VirtualSite(seed) as site:
            place = Place(site)
            ear = Ear()
            for host in place.hosts:
                place.server.hypervisor.attach(view(host), ear)
                site.world.network.degrade(
                    AGENT, "ms1", host.uuid, jitter=0.5, duplicate=0.3, loss=0.2, reorder=0.3, reorder_delay=3.0
                )
            for number in range(20):
                try:
                    place.start(place.hosts[number % 3], vm(f"vm-{number}"), 1, deadline=1.0)
                except Unreachable:
                    place.hosts[number % 3].hang()
                    site.run(1.0)
                    place.hosts[number % 3].unhang()
            lines = [event.line() for event in site.world.chronicle.trace]
            return [*lines, *(f"{beat.host_uuid} {beat.sequence}" for beat in ear.beats)]

    assert history("1") == history("1")
    assert history("1") != history("2")
