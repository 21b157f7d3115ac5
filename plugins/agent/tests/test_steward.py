"""How orders are carried out: one at a time per VM, late ones not at all, and nothing hangs what does not have to."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from holdfast.errors import DeadlineExceeded, PluginError, Refused, Unreachable, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model import GuestState, PermitGrant, Proof, ProofKind
from holdfast.model.views import HeartbeatReading, HostOrders, HostView, PoolView, VmReport, VmSpec
from holdfast.protocol import questions as q
from holdfast_agent.ledger import Ledger
from holdfast_agent.steward import Steward
from holdfast_agent.storage.watch import NoStorageWatch

HOST = HostView("h1", "host1", "kvm", "", "", "", owner_epoch=5)
VM = VmSpec("v1", "vm1", "i-1", 1, 1000, 512)


def grant(epoch: int, vm: str = "v1", host: str = "h1") -> PermitGrant:
    return PermitGrant(vm, epoch, host, 5, Proof(ProofKind.NEVER_RAN, vm, 0.0))


class Driver(Hypervisor):
    """Notes what it was asked; `gate` holds starts up."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.problem: Exception | None = None
        self.runs: dict[str, int] = {}

    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        self.calls.append(("start", permit.run_epoch))
        self.begun.set()
        assert self.gate.wait(20)
        if self.problem is not None:
            raise self.problem
        self.runs[vm.uuid] = permit.run_epoch
        self.calls.append(("started", permit.run_epoch))

    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        self.calls.append(("stop", run_epoch))
        if self.runs.get(vm_uuid, run_epoch + 1) <= run_epoch:
            del self.runs[vm_uuid]

    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        return tuple(VmReport(vm, GuestState.RUNNING, epoch) for vm, epoch in self.runs.items())

    def migrate_vm(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        self.calls.append(("migrate", permit.run_epoch))


class Beats(HeartbeatDriver):
    """Pools whose name begins with `dead` hang."""

    def __init__(self) -> None:
        self.hung = threading.Event()

    def read(self, pool: PoolView, subject: str, reader: str, deadline: float) -> HeartbeatReading:
        if pool.name.startswith("dead"):
            self.hung.wait(20)
        return HeartbeatReading(1, 0.5)


class Watch(NoStorageWatch):
    def __init__(self) -> None:
        self.why_not = self.lapsed_meanwhile = ""
        self.orders: list[HostOrders] = []

    def may_start(self, vm: VmSpec) -> str:
        return self.why_not

    def admit(self, vm: VmSpec, ordered: float) -> str:
        return self.lapsed_meanwhile

    def orders_given(self, orders: HostOrders) -> None:
        self.orders.append(orders)


class Bed:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver, self.beats, self.watch = Driver(), Beats(), Watch()
        self.ledger = Ledger(folder / "ledger.json")
        self.steward = self.new_steward()

    def new_steward(self) -> Steward:
        return Steward("h1", self.driver, self.heartbeat, self.ledger, self.watch)

    def heartbeat(self, name: str) -> HeartbeatDriver:
        if name != "nfs":
            raise PluginError(f"no {name}")
        return self.beats

    def ask(self, asked: q.Asked, deadline: float = 5.0) -> Any:
        return asyncio.run(self.steward.answer(asked, deadline))


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def refused(bed: Bed, asked: q.Asked, words: str) -> None:
    with pytest.raises(Refused, match=words):
        bed.ask(asked)


def test_an_order_of_an_earlier_owner_is_refused(bed: Bed) -> None:
    """Also after the agent was started anew: a server that lost the host, and does not know it, moves nothing (S5)."""
    bed.ask(q.StartVm(HOST, VM, grant(1)))
    old = HostView("h1", "host1", "kvm", "", "", "", owner_epoch=4)
    none = HostView("h1", "host1", "kvm", "", "", "")
    bed.ledger = Ledger(bed.folder / "ledger.json")
    bed.steward = bed.new_steward()
    before = list(bed.driver.calls)
    for host, words in ((old, "owner epoch 4"), (none, "no owner epoch")):
        refused(bed, q.StartVm(host, VM, grant(2)), words)
        refused(bed, q.StopVm(host, "v1", 9, False), words)
        refused(bed, q.RebootVm(host, "v1", 1), words)
        refused(bed, q.RemoveDisks(host, VM), words)
        refused(bed, q.MigrateVm(host, HOST, VM, grant(2)), words)
        refused(bed, q.ObeyOrders(host, HostOrders()), words)
    assert bed.driver.calls == before
    assert bed.watch.orders == []
    assert bed.ask(q.ListVms(old)) == (VmReport("v1", GuestState.RUNNING, 1),), "looking is open to anybody"


def test_a_permit_for_something_else_is_refused(bed: Bed) -> None:
    """Another VM's, another host's, or none."""
    for permit in (grant(1, vm="v2"), grant(1, host="h2"), grant(0)):
        refused(bed, q.StartVm(HOST, VM, permit), "permit")
        refused(bed, q.ExpectVm(HOST, VM, permit), "permit")
    assert bed.driver.calls == []


def test_nothing_starts_while_the_storage_lease_has_lapsed(bed: Bed) -> None:
    """Neither by a start nor by a migration; stops are carried out."""
    bed.watch.why_not = "the storage lease lapsed 3 s ago"
    refused(bed, q.StartVm(HOST, VM, grant(1)), "lapsed")
    refused(bed, q.ExpectVm(HOST, VM, grant(1)), "lapsed")
    bed.ask(q.StopVm(HOST, "v1", 1, False))
    assert bed.driver.calls == [("stop", 1)]


def test_a_lease_that_lapses_while_a_start_waits_ends_it(bed: Bed) -> None:
    """It is asked again once the VM counts as running, and then the VM counts no more."""
    bed.watch.lapsed_meanwhile = "the storage lease lapsed after the order had come"
    refused(bed, q.StartVm(HOST, VM, grant(1)), "after the order")
    refused(bed, q.ExpectVm(HOST, VM, grant(2)), "after the order")
    assert bed.driver.calls == []
    assert bed.steward.running() == ()


def test_a_stop_waits_for_the_start_before_it(bed: Bed) -> None:
    """If it overtook it, it would prove that nothing runs, and then something would."""
    bed.driver.gate.clear()

    async def both() -> None:
        start = asyncio.create_task(bed.steward.answer(q.StartVm(HOST, VM, grant(1)), 10.0))
        await asyncio.to_thread(bed.driver.begun.wait, 10)
        stop = asyncio.create_task(bed.steward.answer(q.StopVm(HOST, "v1", 1, False), 10.0))
        await asyncio.sleep(0.2)
        assert bed.driver.calls == [("start", 1)]
        bed.driver.gate.set()
        await start
        await stop

    asyncio.run(both())
    assert bed.driver.calls == [("start", 1), ("started", 1), ("stop", 1)]
    assert bed.driver.runs == {}
    refused(bed, q.StartVm(HOST, VM, grant(1)), "ended here")


def test_a_stop_behind_a_start_that_hangs_is_unknown(bed: Bed) -> None:
    """Not a proof. Once the start has ended, the same stop is one."""
    bed.driver.gate.clear()
    with pytest.raises(DeadlineExceeded):
        bed.ask(q.StartVm(HOST, VM, grant(1)), 0.2)
    with pytest.raises(DeadlineExceeded):
        bed.ask(q.StopVm(HOST, "v1", 1, False), 0.3)
    assert ("stop", 1) not in bed.driver.calls
    bed.driver.gate.set()
    bed.ask(q.StopVm(HOST, "v1", 1, False))
    assert bed.driver.runs == {}


def test_a_start_that_was_refused_leaves_no_vm_behind(bed: Bed) -> None:
    """But one whose outcome is unknown does: the storage watch must count it."""
    bed.driver.problem = Refused("no such disk")
    refused(bed, q.StartVm(HOST, VM, grant(1)), "disk")
    assert bed.steward.running() == ()
    bed.driver.problem = Unreachable("libvirtd does not answer")
    with pytest.raises(Unreachable):
        bed.ask(q.StartVm(HOST, VM, grant(2)))
    assert bed.steward.running() == (VM,)
    bed.driver.problem = Refused("another run is here")
    refused(bed, q.StartVm(HOST, VM, grant(3)), "another run")
    assert bed.steward.running() == (VM,), "the run before it may still be there"


def test_a_pool_that_hangs_holds_up_nobody_else(bed: Bed) -> None:
    """Questions about other pools and about VMs are answered meanwhile; more about it fail at once or in time."""
    dead, well = PoolView("p1", "dead", "N", "nfs"), PoolView("p2", "well", "N", "nfs")

    async def many() -> None:
        hanging = [asyncio.create_task(bed.steward.answer(q.ReadHeartbeat(dead, "a", "b"), 3.0)) for _ in range(60)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert (await bed.steward.answer(q.ReadHeartbeat(well, "a", "b"), 5.0)).sequence == 1
        await bed.steward.answer(q.StartVm(HOST, VM, grant(1)), 5.0)
        assert time.monotonic() - began < 2.5, "they waited for the dead pool"
        found = await asyncio.gather(*hanging, return_exceptions=True)
        assert all(isinstance(one, Unreachable) for one in found)

    asyncio.run(many())
    bed.beats.hung.set()


def test_a_heartbeat_driver_that_is_not_there_is_unsupported(bed: Bed) -> None:
    """Which is `unknown` to whoever asked."""
    with pytest.raises(Unsupported, match="iscsi"):
        bed.ask(q.ReadHeartbeat(PoolView("p", "p", "N", "iscsi"), "a", "b"))


def test_a_run_that_is_awaited_is_remembered(bed: Bed) -> None:
    """The target of a migration refuses older runs from then on; the source forgets the VM once it is gone."""
    bed.ask(q.ExpectVm(HostView("h1", "host1", "kvm", "", "", ""), VM, grant(3)))
    refused(bed, q.StartVm(HOST, VM, grant(2)), "older than run 3")
    bed.ask(q.MigrateVm(HOST, HOST, VM, grant(3)))
    assert bed.steward.running() == ()


def test_orders_are_obeyed_once_they_are_on_disk(bed: Bed) -> None:
    """And found there by the next agent."""
    orders = HostOrders((PoolView("p", "p", "N", "nfs"),), True)
    bed.ask(q.ObeyOrders(HOST, orders))
    assert bed.watch.orders == [orders]
    assert Ledger(bed.folder / "ledger.json").orders == orders


def test_a_self_fence_destroys_and_remembers(bed: Bed) -> None:
    """VMs that the watch ends are ended for good: a start that is still on its way is refused."""
    bed.ask(q.StartVm(HOST, VM, grant(4)))
    assert bed.steward.stop_all(("v1",), 5.0) == ("v1",)
    assert bed.driver.runs == {}
    refused(bed, q.StartVm(HOST, VM, grant(4)), "ended here")


def test_after_a_restart_only_what_is_there_counts(bed: Bed) -> None:
    """VMs that ended while no agent ran do not keep the host from being spared."""
    bed.ask(q.StartVm(HOST, VM, grant(1)))
    other = VmSpec("v2", "vm2", "i-2", 1, 1000, 512)
    bed.ask(q.StartVm(HOST, other, grant(1, vm="v2")))
    del bed.driver.runs["v1"]
    bed.steward.forget_lost(5.0)
    assert bed.steward.running() == (other,)


@pytest.mark.parametrize("order", [lambda: q.StartVm(HOST, VM, grant(1)), lambda: q.StopVm(HOST, "v1", 1, False)])
def test_what_comes_too_late_is_not_begun(bed: Bed, order: Callable[[], q.Asked]) -> None:
    """Whoever asked has given up by then."""
    with pytest.raises(DeadlineExceeded):
        bed.ask(order(), 0.0)
    time.sleep(0.1)
    assert bed.driver.calls == []


def test_disks_of_a_vm_that_may_run_here_stay(bed: Bed) -> None:
    """Whatever a server says."""
    bed.ask(q.StartVm(HOST, VM, grant(1)))
    refused(bed, q.RemoveDisks(HOST, VM), "may still run")
    bed.ask(q.StopVm(HOST, "v1", 1, False))
    bed.ask(q.RemoveDisks(HOST, VM))
