"""The storage watch of a host: what it beats on, when it feeds, and whom it refuses."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from holdfast.errors import DeadlineExceeded, Refused
from holdfast.model.views import DiskSpec, HostOrders, PoolView, VmSpec
from holdfast_agent.storage.guardian import Guardian

A = PoolView("a", "pool-a", "NetworkFilesystem", "fake", scope="CLUSTER")
B = PoolView("b", "pool-b", "NetworkFilesystem", "fake", scope="CLUSTER")
LOCAL = PoolView("l", "local", "Filesystem", "", scope="HOST")


def vm(name: str = "vm1", pool: PoolView = A, ha: bool = True) -> VmSpec:
    return VmSpec(name, name, name, 1, 1, 1, ha=ha, disks=(DiskSpec(pool, "disk"),))


def orders(*pools: PoolView, ha: bool = True, counts: bool = False, **settings: str) -> HostOrders:
    values = {"ha.storage.beat.interval": "0.2", "ha.storage.beat.stale": "4"}
    values |= {f"ha.{name.replace('_', '.')}": value for name, value in settings.items()}
    return HostOrders(pools, ha, values, counts)


class Storage:
    """A heartbeat driver. Pools in `down` refuse; those in `hanging` hold whoever comes until `let_go`."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.hanging: set[str] = set()
        self.written: dict[str, list[int]] = {"a": [], "b": []}
        self.left: list[str] = []
        self.watched = 0
        self.changed = threading.Condition()
        self.let_go = threading.Event()

    def prepare(self, pool: PoolView, writer: str, deadline: float) -> None:
        self._meet(pool)

    def write(self, pool: PoolView, writer: str, sequence: int, deadline: float) -> None:
        self._meet(pool)
        with self.changed:
            self.written[pool.uuid].append(sequence)
            self.changed.notify_all()

    def watch(self, pool: PoolView, reader: str, deadline: float) -> None:
        self.watched += 1

    def leave(self, pool_uuid: str) -> None:
        with self.changed:
            self.left.append(pool_uuid)
            self.changed.notify_all()

    def _meet(self, pool: PoolView) -> None:
        if pool.uuid in self.hanging:
            self.let_go.wait(30)
            raise DeadlineExceeded("too late")
        if pool.uuid in self.down:
            raise Refused(f"pool {pool.name} is read-only")

    def until(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, 20), "it did not come to that"


class Device:
    """A watchdog. `nowayout` cannot be stopped; `shortest` is the least time that it takes."""

    def __init__(self) -> None:
        self.armed = self.counting = self.nowayout = False
        self.seconds = self.fed = 0
        self.shortest = 1

    def arm(self, seconds: int) -> None:
        if seconds < self.shortest:
            raise Refused(f"it takes no less than {self.shortest} s")
        self.armed = self.counting = True
        self.seconds = seconds
        self.fed += 1

    def feed(self) -> None:
        assert self.armed
        self.fed += 1

    def disarm(self) -> str:
        if self.nowayout:
            return "nowayout"
        self.armed = self.counting = False
        return ""


class Vms:
    def __init__(self) -> None:
        self.here: list[VmSpec] = []
        self.stopped: list[str] = []

    def running(self) -> tuple[VmSpec, ...]:
        return tuple(self.here)

    def stop_all(self, vm_uuids: tuple[str, ...], seconds: float) -> tuple[str, ...]:
        self.stopped += vm_uuids
        self.here = [each for each in self.here if each.uuid not in vm_uuids]
        return vm_uuids


class Bed:
    """A guardian whose clock and steps the test makes; beats run in threads of their own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.storage, self.device, self.vms = Storage(), Device(), Vms()
        self.guardian = Guardian("host", lambda name: self.storage, self.device, lambda: self.now)  # type: ignore[arg-type,return-value]
        self.guardian._feed_on = lambda: None  # type: ignore[method-assign]
        self.guardian._feeder = threading.Thread(target=lambda: None)

    def begin(self, given: HostOrders) -> None:
        self.guardian.orders_given(given)
        self.guardian.start(self.vms)

    def beaten(self, *pools: str) -> None:
        """Return once each pool has taken a beat that renewed the lease as of now."""
        for pool in pools:
            limit = time.monotonic() + 20
            while self.guardian.lease.renewed_at(pool) < self.now:
                assert time.monotonic() < limit, f"no beat on {pool}"
                time.sleep(0.005)

    def fed(self) -> bool:
        before = self.device.fed
        self.guardian._step()
        return self.device.fed > before


@pytest.fixture
def bed() -> Iterator[Bed]:
    bed = Bed()
    yield bed
    bed.storage.let_go.set()
    bed.guardian.stop()


def test_it_beats_and_looks_at_the_neighbours(bed: Bed) -> None:
    """On every pool of the orders, with sequences that rise."""
    bed.begin(orders(A, B))
    bed.storage.until(lambda: min(len(each) for each in bed.storage.written.values()) >= 3)
    for written in bed.storage.written.values():
        assert written == sorted(set(written))
    assert bed.storage.watched > 0


def test_pools_come_and_go_with_the_orders(bed: Bed) -> None:
    """The others go on undisturbed, and a pool that is gone renews nothing."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.guardian.orders_given(orders(B))
    bed.beaten("b")
    bed.storage.until(lambda: bed.storage.left == ["a"])
    assert bed.guardian.lease.renewed_at("a") < 0


def test_a_pool_that_hangs_delays_no_other(bed: Bed) -> None:
    """Nor any method of the watch."""
    bed.storage.hanging.add("a")
    bed.begin(orders(A, B))
    bed.storage.until(lambda: len(bed.storage.written["b"]) >= 3)
    began = time.monotonic()
    bed.guardian._step()
    assert bed.guardian.may_start(vm()) == ""
    bed.guardian.orders_given(orders(B))
    bed.guardian.stop()
    assert time.monotonic() - began < 5


def test_the_watchdog_is_promised_once_a_beat_got_through(bed: Bed) -> None:
    """With half of its time, and it rests while nothing runs that another host could run (S11)."""
    bed.storage.down.add("a")
    bed.begin(orders(A))
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert not bed.device.armed
    bed.storage.down.clear()
    bed.beaten("a")
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    assert bed.device.seconds == 5
    bed.vms.here = [vm(pool=LOCAL)]
    bed.guardian._step()
    assert not bed.device.armed
    assert bed.guardian.watchdog_armed()


def test_a_vm_is_admitted_under_a_counting_watchdog(bed: Bed) -> None:
    """It counts before the VM runs, and rests again after it."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.guardian._step()
    assert bed.guardian.admit(vm(), bed.now) == ""
    assert bed.device.armed
    bed.vms.here = [vm()]
    assert bed.fed()
    bed.vms.here = []
    bed.guardian._step()
    assert not bed.device.armed


def test_one_pool_is_enough_to_be_fed(bed: Bed) -> None:
    """Also for a host whose VMs are all on the other one; without any it is not, while a VM of concern runs."""
    bed.begin(orders(A, B))
    bed.beaten("a", "b")
    bed.vms.here = [vm(pool=A)]
    assert bed.fed()
    bed.storage.down.add("a")
    bed.now += 20
    bed.beaten("b")
    assert bed.fed()
    bed.storage.down.add("b")
    bed.now += 20
    assert not bed.fed()
    assert "lapsed on every pool while vm1" in bed.guardian.problems()["lease"]
    bed.vms.here = [vm(pool=LOCAL)]
    bed.guardian._step()
    assert not bed.device.armed
    bed.vms.here = [vm(ha=False)]
    assert bed.guardian.watchdog_armed()


def test_an_owners_grant_keeps_a_host_without_storage_from_being_reset(bed: Bed) -> None:
    """For the lease's time from when the beat was sent that it names; then the watchdog hungers as without it."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    assert bed.fed()
    bed.storage.down.add("a")
    bed.now += 20
    assert not bed.fed()
    bed.guardian.owner_granted(bed.now - 2)
    assert bed.fed()
    assert "its owner's grants alone" in bed.guardian.problems()["storage"]
    bed.now += 7.9
    assert bed.fed()
    bed.now += 0.2
    assert not bed.fed()
    bed.guardian.owner_granted(bed.now - 10)
    assert not bed.fed()


def test_nothing_starts_on_a_grant_alone(bed: Bed) -> None:
    """What is started needs a pool that takes beats, and an order that came before storage went away stays void."""
    bed.begin(orders(A))
    bed.beaten("a")
    ordered = bed.now
    bed.storage.down.add("a")
    for _ in range(3):
        bed.now += 9
        bed.guardian.owner_granted(bed.now)
    assert "holds no storage lease for 17 s" in bed.guardian.may_start(vm())
    assert "no heartbeat gets through" in bed.guardian.admit(vm(), bed.now)
    bed.storage.down.clear()
    bed.beaten("a")
    assert "lapsed after the order had come" in bed.guardian.admit(vm(), ordered)
    assert bed.guardian.may_start(vm()) == ""


def test_a_host_is_adrift_once_half_of_its_lease_is_over(bed: Bed) -> None:
    """Its owner needs time for a grant. A grant does not hide it, and a host without host HA asks for none."""
    assert not bed.guardian.is_adrift()
    bed.begin(orders(A))
    bed.beaten("a")
    bed.storage.down.add("a")
    bed.now += 4.9
    assert not bed.guardian.is_adrift()
    bed.now += 0.2
    assert bed.guardian.is_adrift()
    bed.guardian.owner_granted(bed.now)
    assert bed.guardian.is_adrift()
    bed.guardian.orders_given(orders(A, ha=False))
    assert not bed.guardian.is_adrift()


def test_a_host_that_has_just_begun_is_not_adrift_unless_its_watchdog_counts_already(bed: Bed) -> None:
    """The first beat takes its time. After an agent that died while the storage was away there is none to lose."""
    bed.storage.down.add("a")
    bed.begin(orders(A))
    bed.now += 4.9
    assert not bed.guardian.is_adrift()
    bed.now += 0.2
    assert bed.guardian.is_adrift()
    successor = Guardian("host", lambda name: bed.storage, bed.device, lambda: bed.now)  # type: ignore[arg-type,return-value]
    bed.device.counting = True
    successor._feeder = threading.Thread(target=lambda: None)
    successor.orders_given(orders(A))
    successor.start(bed.vms)
    assert successor.is_adrift()
    successor.stop()


def test_a_vm_without_ha_is_of_concern_too(bed: Bed) -> None:
    """Once its host is proven dead, somebody may start it elsewhere by hand."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm(ha=False)]
    assert bed.fed()
    bed.storage.down.add("a")
    bed.now += 20
    assert not bed.fed()


def test_no_start_without_a_lease(bed: Bed) -> None:
    """Local VMs start; the others are told why not."""
    bed.storage.down.add("a")
    bed.begin(orders(A))
    for ask in (bed.guardian.may_start, lambda vm: bed.guardian.admit(vm, bed.now)):
        assert "holds no storage lease yet" in ask(vm())
        assert ask(vm(pool=LOCAL)) == ""
    bed.storage.down.clear()
    bed.beaten("a")
    assert bed.guardian.may_start(vm()) == ""
    bed.storage.down.add("a")
    bed.now += 17
    assert "for 7 s" in bed.guardian.may_start(vm())


def test_an_order_from_before_a_lapse_is_void_after_it(bed: Bed) -> None:
    """The host may have been proven dead meanwhile."""
    bed.begin(orders(A))
    bed.beaten("a")
    ordered = bed.now
    bed.storage.down.add("a")
    bed.now += 20
    bed.guardian._step()
    bed.storage.down.clear()
    bed.beaten("a")
    assert "lapsed after the order had come" in bed.guardian.admit(vm(), ordered)
    assert bed.guardian.admit(vm(), bed.now) == ""


def test_a_host_without_ha_is_never_reset(bed: Bed) -> None:
    """Nothing is promised, nothing counts, nothing is refused (S11)."""
    bed.begin(orders(A, ha=False))
    bed.vms.here = [vm()]
    bed.beaten("a")
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert not bed.device.armed
    bed.storage.down.add("a")
    bed.now += 60
    assert bed.guardian.may_start(vm("vm2")) == ""


def test_ha_switched_off_disarms_at_once(bed: Bed) -> None:
    """The owner itself counts on nothing then."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    assert bed.fed()
    assert bed.guardian.watchdog_armed()
    bed.guardian.orders_given(orders(A, ha=False, counts=True))
    bed.guardian._step()
    assert not bed.device.armed


def test_what_the_owner_counts_on_is_kept_until_it_knows_better(bed: Bed) -> None:
    """Another action ordered: the watchdog rests only once the owner has taken in that it is not promised any more."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    bed.guardian.orders_given(orders(A, counts=True))
    bed.guardian.orders_given(orders(A, counts=True, self_fence_action="none"))
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert bed.device.armed
    bed.guardian.orders_given(orders(A, counts=False, self_fence_action="none"))
    bed.guardian._step()
    assert not bed.device.armed


def test_an_answer_from_before_the_promise_does_not_end_it(bed: Bed) -> None:
    """Orders that were on their way when the first beat said "armed"."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    bed.guardian.orders_given(orders(A, counts=False, self_fence_action="none"))
    bed.guardian._step()
    assert bed.device.armed


def test_an_agent_that_stops_leaves_the_promise_standing(bed: Bed) -> None:
    """With VMs here and an owner that counts on it, the watchdog counts on; otherwise it rests."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    bed.guardian.stand_down(0.01)
    bed.guardian.stop()
    assert bed.device.armed


def test_standing_down_waits_for_the_owner(bed: Bed) -> None:
    """And then the agent can stop with VMs running and the watchdog at rest."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    bed.guardian.orders_given(orders(A, counts=True))
    waiting = threading.Thread(target=bed.guardian.stand_down, args=(20.0,))
    waiting.start()
    while bed.guardian.watchdog_armed():
        time.sleep(0.005)
    assert waiting.is_alive()
    bed.guardian.orders_given(orders(A, counts=False))
    waiting.join(10)
    assert not waiting.is_alive()
    bed.guardian.stop()
    assert not bed.device.armed


def test_an_idle_host_stops_with_the_watchdog_at_rest(bed: Bed) -> None:
    """Whatever the owner counts on: nothing can run here any more."""
    bed.begin(orders(A, counts=True))
    bed.beaten("a")
    bed.guardian._step()
    bed.guardian.stop()
    assert not bed.device.armed


def test_what_an_earlier_agent_left_counting_is_taken_over(bed: Bed) -> None:
    """Fed on under the same rules, or put to rest."""
    bed.device.counting = True
    bed.begin(orders(A, counts=True))
    bed.vms.here = [vm()]
    bed.beaten("a")
    assert bed.fed()
    assert bed.device.armed
    bed.vms.here = []
    bed.guardian._step()
    assert not bed.device.counting


def test_a_successor_touches_nothing_before_its_first_beat(bed: Bed) -> None:
    """Opening the device feeds it: an agent that crashes again and again must not keep it from firing."""
    bed.device.counting = True
    bed.storage.down.add("a")
    bed.begin(orders(A, counts=True))
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.device.fed == 0
    assert "lease" not in bed.guardian.problems()
    bed.storage.down.clear()
    bed.beaten("a")
    assert bed.fed()


def test_a_successor_takes_over_the_promise_with_the_device(bed: Bed) -> None:
    """What was promised last may not have come back as orders before the agent was killed."""
    bed.device.counting = True
    bed.storage.down.add("a")
    bed.begin(orders(A, counts=False))
    bed.vms.here = [vm()]
    bed.guardian._step()
    assert bed.device.counting
    bed.guardian.orders_given(orders(A, counts=False, self_fence_action="none"))
    bed.guardian._step()
    assert not bed.device.counting


def test_a_device_that_cannot_stop_is_fed_on(bed: Bed) -> None:
    """`nowayout`: an idle host is not reset because of it."""
    bed.device.nowayout = True
    bed.begin(orders(A))
    bed.beaten("a")
    bed.guardian._step()
    bed.storage.down.add("a")
    bed.now += 60
    assert bed.fed()
    assert "nowayout" in bed.guardian.problems()["rest"]


def test_a_device_that_is_too_slow_is_not_promised(bed: Bed) -> None:
    """It says so, and VMs start all the same: nobody counts on it."""
    bed.device.shortest = 30
    bed.begin(orders(A))
    bed.beaten("a")
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert "no less than 30" in bed.guardian.problems()["watchdog"]
    assert bed.guardian.admit(vm(), bed.now) == ""


def test_terms_that_contradict_each_other_promise_nothing(bed: Bed) -> None:
    """The words say which."""
    bed.begin(orders(A, watchdog_margin="1"))
    bed.beaten("a")
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert "ha.watchdog.margin" in bed.guardian.problems()["terms"]


def test_a_lease_too_short_for_grants_is_promised_all_the_same(bed: Bed) -> None:
    """Grants only spare a host; what makes the proof is not worse for want of them."""
    bed.begin(orders(A, storage_lease="5"))
    bed.beaten("a")
    bed.guardian._step()
    assert bed.guardian.watchdog_armed()
    assert not bed.guardian.problems().get("terms")


@pytest.mark.parametrize("bad", [{"storage_lease": "soon"}, {"self_fence_action": "panic"}, {"storage_lease": "-3"}])
def test_nonsense_in_the_orders_promises_nothing(bed: Bed, bad: dict[str, str]) -> None:
    """And beats go on."""
    bed.begin(orders(A, **bad))
    bed.beaten("a")
    bed.guardian._step()
    assert not bed.guardian.watchdog_armed()
    assert bed.guardian.problems()["terms"]


def test_stop_as_the_action_ends_ha_vms_on_the_pool_that_failed(bed: Bed) -> None:
    """Others are left alone, and no watchdog is involved."""
    bed.begin(orders(A, B, self_fence_action="stop"))
    bed.beaten("a", "b")
    bed.vms.here = [vm("on-a", A), vm("on-b", B), vm("no-ha", A, ha=False), vm("local", LOCAL)]
    bed.guardian._step()
    assert bed.vms.stopped == []
    bed.storage.down.add("a")
    bed.now += 20
    bed.beaten("b")
    bed.guardian._step()
    limit = time.monotonic() + 10
    while not bed.vms.stopped:
        assert time.monotonic() < limit
        time.sleep(0.005)
    assert bed.vms.stopped == ["on-a"]
    assert not bed.device.armed


def test_a_slow_pool_is_said(bed: Bed) -> None:
    """The inequality of the stale time, with what was measured."""
    bed.begin(orders(A))
    bed.beaten("a")
    bed.guardian._beats["a"]._took.append(3.5)
    bed.guardian._step()
    assert "pool pool-a" in bed.guardian.problems()["speed"]


def test_its_own_thread_feeds() -> None:
    """With the real clock."""
    storage, device, vms = Storage(), Device(), Vms()
    vms.here = [vm()]
    guardian = Guardian("host", lambda name: storage, device)  # type: ignore[arg-type,return-value]
    guardian.orders_given(orders(A))
    guardian.start(vms)
    try:
        limit = time.monotonic() + 20
        while device.fed < 3:
            assert time.monotonic() < limit
            time.sleep(0.01)
    finally:
        vms.here = []
        guardian.stop()
    assert not device.armed
