"""Carries out what servers ask: under the newest owner's epoch, one thing at a time per VM, off the event loop."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.errors import DeadlineExceeded, HoldfastError, Refused, StorageAway, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model import GuestState, PermitGrant
from holdfast.model.views import HostView, PoolView, VmSpec
from holdfast.protocol import questions as q

from holdfast_agent.ledger import Ledger
from holdfast_agent.storage.lease import uptime
from holdfast_agent.storage.watch import StorageWatch
from holdfast_agent.threads import BoundedThreads

log = logging.getLogger("holdfast.agent")

_VM_CALLS = 32
_LIST_CALLS = 4
_CALLS_PER_POOL = 2
_TOO_LATE = 0.01
GONE = frozenset({GuestState.CRASHED, GuestState.SHUT_DOWN, GuestState.ABSENT})
"""States in which nothing of a run writes any more. `UNKNOWN` is none of them (S2)."""


class Steward:
    """The host's drivers, as servers reach them. `answer` on the event loop; all else in threads."""

    def __init__(
        self,
        host_uuid: str,
        hypervisor: Hypervisor,
        heartbeat: Callable[[str], HeartbeatDriver],
        ledger: Ledger,
        watch: StorageWatch,
    ) -> None:
        self._host_uuid = host_uuid
        self._hypervisor = hypervisor
        self._heartbeat = heartbeat
        self._ledger = ledger
        self._watch = watch
        self._guard = threading.Lock()
        self._vm_locks: dict[str, threading.Lock] = {}
        self._vm_calls = BoundedThreads("vm", _VM_CALLS)
        self._list_calls = BoundedThreads("list", _LIST_CALLS)
        self._pool_calls: dict[str, BoundedThreads] = {}

    async def answer(self, asked: q.Asked, deadline: float) -> Any:  # noqa: PLR0912 - one case for each question
        """Do it; raises a `HoldfastError` that says what is known of the outcome."""
        until, ordered = time.monotonic() + deadline, uptime()
        match asked:
            case q.StartVm(host, vm, permit):
                self._check_permit(vm, permit)
                why_not = self._watch.may_start(vm)
                if why_not:
                    raise StorageAway(f"VM {vm.name} is not started: {why_not}")
                return await self._vm_calls.call(deadline, lambda: self._start(host, vm, permit, until, ordered))
            case q.StopVm(host, vm_uuid, run_epoch, graceful):
                return await self._vm_calls.call(
                    deadline, lambda: self._stop(host, vm_uuid, run_epoch, graceful, until)
                )
            case q.ListVms(host):
                return await self._list_calls.call(deadline, lambda: self._hypervisor.list_vms(host, deadline))
            case q.RebootVm(host, vm_uuid, run_epoch):
                return await self._vm_calls.call(deadline, lambda: self._reboot(host, vm_uuid, run_epoch, until))
            case q.RemoveDisks(host, vm):
                return await self._vm_calls.call(deadline, lambda: self._remove_disks(host, vm, until))
            case q.ExpectVm(host, vm, permit):
                self._check_permit(vm, permit)
                return await self._vm_calls.call(deadline, lambda: self._expect(host, vm, permit, until, ordered))
            case q.MigrateVm(host, target, vm, permit):
                return await self._vm_calls.call(deadline, lambda: self._migrate(host, target, vm, permit, until))
            case q.ObeyOrders(host, orders):
                await self._list_calls.call(deadline, lambda: self._remember(host, orders))
                self._watch.orders_given(orders)
                return None
            case q.PrepareHeartbeat(pool, writer):
                return await self._on_pool(pool, deadline, lambda beat: beat.prepare(pool, writer, _left(until)))
            case q.WriteHeartbeat(pool, writer, sequence):
                return await self._on_pool(
                    pool, deadline, lambda beat: beat.write(pool, writer, sequence, _left(until))
                )
            case q.ReadHeartbeat(pool, subject, reader):
                return await self._on_pool(pool, deadline, lambda beat: beat.read(pool, subject, reader, _left(until)))
            case q.LookAtDisks(pool, disks, reader):
                return await self._on_pool(
                    pool, deadline, lambda beat: beat.look_at_disks(pool, disks, reader, _left(until))
                )
            case q.RemoveHeartbeat(pool, subject):
                return await self._on_pool(pool, deadline, lambda beat: beat.remove(pool, subject, _left(until)))

    # --- VMs ------------------------------------------------------------------------------------------------------

    def _check_permit(self, vm: VmSpec, permit: PermitGrant) -> None:
        if permit.vm_uuid != vm.uuid or permit.host_uuid != self._host_uuid or permit.run_epoch <= 0:
            raise Refused(f"the permit is not for a run of VM {vm.name} on this host")

    def _start(self, host: HostView, vm: VmSpec, permit: PermitGrant, until: float, ordered: float) -> None:
        with self._alone(vm.uuid, until):
            self._ledger.obey(_epoch(host))
            before = self._ledger.told(vm, permit.run_epoch)
            try:
                self._admit(vm, ordered)
                self._hypervisor.start_vm(host, vm, permit, _left(until))
            except Refused:
                self._ledger.not_started(vm.uuid, permit.run_epoch, before)
                raise

    def _admit(self, vm: VmSpec, ordered: float) -> None:
        """Ask again now that the VM counts as running: if the lease lapses after this, the watchdog ends it."""
        why_not = self._watch.admit(vm, ordered)
        if why_not:
            raise StorageAway(f"VM {vm.name} cannot run here: {why_not}")

    def _stop(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, until: float) -> None:
        """First remembered, then done: a start that is still on its way is refused, one that has begun is awaited."""
        with self._alone(vm_uuid, until):
            self._ledger.obey(_epoch(host))
            self._ledger.stopping(vm_uuid, run_epoch)
            self._hypervisor.stop_vm(host, vm_uuid, run_epoch, graceful, _left(until))
            self._ledger.gone(vm_uuid, run_epoch)

    def _reboot(self, host: HostView, vm_uuid: str, run_epoch: int, until: float) -> None:
        with self._alone(vm_uuid, until):
            self._ledger.obey(_epoch(host))
            self._hypervisor.reboot_vm(host, vm_uuid, run_epoch, _left(until))

    def _remove_disks(self, host: HostView, vm: VmSpec, until: float) -> None:
        with self._alone(vm.uuid, until):
            self._ledger.obey(_epoch(host))
            if any(running.uuid == vm.uuid for running in self._ledger.running()):
                raise Refused(f"VM {vm.name} may still run on this host: its disks are left alone")
            self._hypervisor.remove_disks(host, vm, _left(until))

    def _expect(self, host: HostView, vm: VmSpec, permit: PermitGrant, until: float, ordered: float) -> None:
        with self._alone(vm.uuid, until):
            if host.owner_epoch:  # the source's owner may not own the target
                self._ledger.obey(host.owner_epoch)
            why_not = self._watch.may_start(vm)
            if why_not:
                raise Refused(f"VM {vm.name} cannot come here: {why_not}")
            before = self._ledger.told(vm, permit.run_epoch)
            try:
                self._admit(vm, ordered)
            except Refused:
                self._ledger.not_started(vm.uuid, permit.run_epoch, before)
                raise

    def _migrate(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, until: float) -> None:
        with self._alone(vm.uuid, until):
            self._ledger.obey(_epoch(host))
            self._hypervisor.migrate_vm(host, target, vm, permit, _left(until))
            # The run that was here is over; the VM may come back under a later one.
            self._ledger.stopping(vm.uuid, permit.run_epoch - 1)
            self._ledger.gone(vm.uuid, permit.run_epoch)

    @contextmanager
    def _alone(self, vm_uuid: str, until: float) -> Iterator[None]:
        """One call at a time per VM: a stop that overtook a start would prove what is not so."""
        with self._guard:
            lock = self._vm_locks.setdefault(vm_uuid, threading.Lock())
        if not lock.acquire(timeout=_left(until)):
            raise DeadlineExceeded("another call on this VM has not ended yet")
        try:
            if _left(until) <= _TOO_LATE:
                raise DeadlineExceeded("the order came too late to be begun")
            yield
        finally:
            lock.release()

    def _remember(self, host: HostView, orders: Any) -> None:
        self._ledger.obey(_epoch(host))
        self._ledger.remember_orders(orders)

    # --- what the storage watch asks --------------------------------------------------------------------------------

    def running(self) -> tuple[VmSpec, ...]:
        """VMs of which a run may live here."""
        return self._ledger.running()

    def stop_all(self, vm_uuids: tuple[str, ...], seconds: float) -> tuple[str, ...]:
        """Destroy VMs, each in a thread of its own, so that one that hangs holds up none."""
        until, gone, guard = time.monotonic() + seconds, [], threading.Lock()
        view = HostView(self._host_uuid, "", "", "", "", "")

        def destroy(vm_uuid: str) -> None:
            epoch = self._ledger.run_of(vm_uuid)
            try:
                self._ledger.stopping(vm_uuid, epoch)
                self._hypervisor.stop_vm(view, vm_uuid, epoch, False, _left(until))
                self._ledger.gone(vm_uuid, epoch)
            except HoldfastError as problem:
                log.error("VM %s was not stopped: %s", vm_uuid, problem)
                return
            with guard:
                gone.append(vm_uuid)

        threads = [threading.Thread(target=destroy, args=(vm_uuid,), daemon=True) for vm_uuid in vm_uuids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        with guard:
            return tuple(gone)

    def forget_lost(self, seconds: float) -> None:
        """After a restart: VMs that the hypervisor lacks may not run here any more. Blocks; raises what it meets."""
        view = HostView(self._host_uuid, "", "", "", "", "")
        known = self.running()
        there = {report.vm_uuid for report in self._hypervisor.list_vms(view, seconds) if report.state not in GONE}
        for vm in known:
            if vm.uuid not in there:
                self._ledger.gone(vm.uuid, self._ledger.run_of(vm.uuid))

    # --- storage --------------------------------------------------------------------------------------------------

    async def _on_pool(self, pool: PoolView, deadline: float, act: Callable[[HeartbeatDriver], Any]) -> Any:
        """Threads of each pool's own: one that hangs holds up nobody who asks about another."""
        calls = self._pool_calls.setdefault(pool.uuid, BoundedThreads(f"beat-{pool.name[:20]}", _CALLS_PER_POOL))

        def on_driver() -> Any:
            try:
                driver = self._heartbeat(pool.heartbeat)
            except HoldfastError as problem:
                raise Unsupported(f"this host has no heartbeat driver {pool.heartbeat}: {problem}") from problem
            return act(driver)

        return await calls.call(deadline, on_driver)


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _epoch(host: HostView) -> int:
    if host.owner_epoch <= 0:
        raise Refused("the order carries no owner epoch")
    return host.owner_epoch
