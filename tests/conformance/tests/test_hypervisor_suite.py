"""The hypervisor suite passes a correct hypervisor, and each check fails one that breaks its rule."""

import contextlib
import threading

import pytest
from holdfast.errors import Refused, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.model.states import GuestState
from holdfast.model.views import Beat, HostView, VmReport, VmSpec
from holdfast_conformance import (
    HypervisorBench,
    HypervisorCapabilities,
    HypervisorConformance,
    failures,
    standard_tests,
)


class Hosts(HypervisorBench):
    """Two hosts in memory. `live` and `refused` are what would be on the hosts' disks."""

    def __init__(self) -> None:
        self.live: dict[tuple[str, str], int] = {}
        self.refused: dict[tuple[str, str], int] = {}
        self.silent = False
        self.count = 0
        self.lock = threading.RLock()
        self.gate = threading.Event()
        self.listener = None
        self.beats = 0

    @property
    def host(self) -> HostView:
        return HostView("host-1", "one", "Memory", "zone", "pod", "cluster")

    @property
    def other_host(self) -> HostView:
        return HostView("host-2", "two", "Memory", "zone", "pod", "cluster")

    def new_vm(self) -> VmSpec:
        self.count += 1
        return VmSpec(f"vm-{self.count}", "vm", f"i-{self.count}", 1, 1000, 512)

    def make_unreachable(self) -> None:
        self.silent = True

    def make_reachable(self) -> None:
        self.silent = False

    def restarted(self, driver):
        return type(driver)(self)

    def stop_guest(self, vm_uuid: str) -> None:
        self.live.pop(("host-1", vm_uuid), None)

    def pause(self, seconds: float) -> None:
        if self.listener is not None:
            self.beats += 1
            self.listener.on_beat(Beat("host-1", "boot-1", self.beats))


class MemoryHypervisor:
    """A correct hypervisor."""

    runs_on = "server"

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        self._reach()
        key = (host.uuid, vm.uuid)
        with self._hosts.lock:
            if permit.run_epoch <= self._hosts.refused.get(key, 0):
                raise Refused(f"{vm.uuid}: epoch {permit.run_epoch} was stopped here")
            if permit.run_epoch < self._hosts.live.get(key, 0):
                raise Refused(f"{vm.uuid}: epoch {permit.run_epoch} is older than the run that is here")
            self._hosts.live[key] = permit.run_epoch

    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        self._reach()
        key = (host.uuid, vm_uuid)
        with self._hosts.lock:
            self._hosts.refused[key] = max(self._hosts.refused.get(key, 0), run_epoch)
            if self._hosts.live.get(key, 0) <= run_epoch:
                self._hosts.live.pop(key, None)

    @hookimpl
    def list_vms(self, host, deadline):
        self._reach()
        with self._hosts.lock:
            return tuple(
                VmReport(vm_uuid, GuestState.RUNNING, epoch)
                for (where, vm_uuid), epoch in self._hosts.live.items()
                if where == host.uuid
            )

    @hookimpl
    def attach(self, host, listener):
        listener.on_connected(host.uuid, "boot-1", 8, 2400, 2**35)
        self._hosts.listener = listener

    @hookimpl
    def detach(self, host_uuid):
        self._hosts.listener = None

    @hookimpl
    def reboot_vm(self, host, vm_uuid, run_epoch, deadline):
        """Nothing of a run in memory changes."""

    @hookimpl
    def migrate_vm(self, host, target, vm, permit, deadline):
        self.stop_vm(host, vm.uuid, permit.run_epoch, False, deadline)
        self.start_vm(target, vm, permit, deadline)

    def _reach(self) -> None:
        if self._hosts.silent:
            raise Unreachable("no answer from the host")


class TestACorrectHypervisor(HypervisorConformance):
    """The whole suite, with all optional methods."""

    capabilities = HypervisorCapabilities(reboots=True, migrates=True, delivers_beats=True)

    @pytest.fixture
    def bench(self) -> Hosts:
        """Fresh hosts."""
        return Hosts()

    @pytest.fixture
    def driver(self, bench: Hosts) -> MemoryHypervisor:
        """The hypervisor under test."""
        return MemoryHypervisor(bench)


class LivesNowhere(MemoryHypervisor):
    runs_on = "elsewhere"


class ForgetsTheEpoch(MemoryHypervisor):
    @hookimpl
    def list_vms(self, host, deadline):
        return tuple(VmReport(report.vm_uuid, report.state, 0) for report in super().list_vms(host, deadline))


class RefusesASecondStart(MemoryHypervisor):
    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        if (host.uuid, vm.uuid) in self._hosts.live:
            raise Refused("it runs already")
        super().start_vm(host, vm, permit, deadline)


class TakesAnyStart(MemoryHypervisor):
    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        self._reach()
        self._hosts.live[host.uuid, vm.uuid] = permit.run_epoch


class StopsOnlyWhatIsThere(MemoryHypervisor):
    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        self._reach()
        if (host.uuid, vm_uuid) in self._hosts.live:
            super().stop_vm(host, vm_uuid, run_epoch, graceful, deadline)


class AsksTheGuestAndHopes(MemoryHypervisor):
    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        if not graceful:
            super().stop_vm(host, vm_uuid, run_epoch, graceful, deadline)


class StopsEverything(MemoryHypervisor):
    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        super().stop_vm(host, vm_uuid, run_epoch, graceful, deadline)
        self._hosts.live.pop((host.uuid, vm_uuid), None)


class LastStopCounts(MemoryHypervisor):
    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        super().stop_vm(host, vm_uuid, run_epoch, graceful, deadline)
        self._hosts.refused[host.uuid, vm_uuid] = run_epoch


class RefusesTheVmForEver(MemoryHypervisor):
    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        if (host.uuid, vm.uuid) in self._hosts.refused:
            raise Refused("this VM was stopped here")
        super().start_vm(host, vm, permit, deadline)


class RemembersInTheProcess(MemoryHypervisor):
    def __init__(self, hosts: Hosts) -> None:
        super().__init__(hosts)
        hosts.refused = {}


class ListsWhatWasOrdered(MemoryHypervisor):
    def __init__(self, hosts: Hosts) -> None:
        super().__init__(hosts)
        self._ordered = {}

    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        super().start_vm(host, vm, permit, deadline)
        self._ordered[vm.uuid] = VmReport(vm.uuid, GuestState.RUNNING, permit.run_epoch)

    @hookimpl
    def list_vms(self, host, deadline):
        self._reach()
        return tuple(self._ordered.values())


class SilenceIsAnEmptyList(MemoryHypervisor):
    @hookimpl
    def list_vms(self, host, deadline):
        return () if self._hosts.silent else super().list_vms(host, deadline)


class SilenceIsASlowStop(MemoryHypervisor):
    @hookimpl
    def stop_vm(self, host, vm_uuid, run_epoch, graceful, deadline):
        if self._hosts.silent:
            self._hosts.gate.wait(30)
        super().stop_vm(host, vm_uuid, run_epoch, graceful, deadline)


class LosesConcurrentStarts(MemoryHypervisor):
    def __init__(self, hosts: Hosts) -> None:
        super().__init__(hosts)
        self._meeting = threading.Barrier(3)

    @hookimpl
    def start_vm(self, host, vm, permit, deadline):
        live = dict(self._hosts.live)
        with contextlib.suppress(threading.BrokenBarrierError):
            self._meeting.wait(5)
        super().start_vm(host, vm, permit, deadline)
        self._hosts.live = {**live, (host.uuid, vm.uuid): permit.run_epoch}


class RebootIsANewRun(MemoryHypervisor):
    @hookimpl
    def reboot_vm(self, host, vm_uuid, run_epoch, deadline):
        self._hosts.live[host.uuid, vm_uuid] += 1


class MigrationLeavesACopy(MemoryHypervisor):
    @hookimpl
    def migrate_vm(self, host, target, vm, permit, deadline):
        self.start_vm(target, vm, permit, deadline)


class NeverConnects(MemoryHypervisor):
    @hookimpl
    def attach(self, host, listener):
        self._hosts.listener = listener


class LacksList(MemoryHypervisor):
    list_vms = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksList],
    "test_runs_on_is_agent_or_server": [LivesNowhere],
    "test_a_started_vm_is_listed_as_running": [ForgetsTheEpoch],
    "test_starting_is_idempotent_for_one_epoch": [RefusesASecondStart],
    "test_an_older_permit_does_not_start_beside_a_newer_run": [TakesAnyStart],
    "test_a_stop_is_proof": [TakesAnyStart],
    "test_a_graceful_stop_is_proof_too": [AsksTheGuestAndHopes],
    "test_a_stop_before_the_start_still_counts": [StopsOnlyWhatIsThere],
    "test_a_stop_spares_newer_runs": [StopsEverything],
    "test_stopping_is_idempotent": [LastStopCounts],
    "test_a_new_epoch_starts_after_a_stop": [RefusesTheVmForEver],
    "test_refusals_outlive_the_agent": [RemembersInTheProcess],
    "test_a_guest_that_ended_is_no_longer_live": [ListsWhatWasOrdered],
    "test_silence_is_unreachable": [SilenceIsAnEmptyList, SilenceIsASlowStop],
    "test_one_driver_serves_many_threads": [LosesConcurrentStarts],
    "test_reboot_keeps_the_run": [RebootIsANewRun],
    "test_migration_leaves_one_run": [MigrationLeavesACopy],
    "test_beats_are_delivered_until_detached": [NeverConnects],
    "test_agrees_with_runs": [
        TakesAnyStart,
        StopsOnlyWhatIsThere,
        StopsEverything,
        LastStopCounts,
        RemembersInTheProcess,
    ],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_hypervisor_that_breaks_its_rule(check: str, wrong: type[MemoryHypervisor]) -> None:
    """A check that cannot fail proves nothing."""

    def fixtures() -> dict[str, object]:
        hosts = Hosts()
        return {"bench": hosts, "driver": wrong(hosts)}

    assert check in failures(TestACorrectHypervisor, fixtures, only=check)


def test_every_check_has_a_hypervisor_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(HypervisorConformance))
