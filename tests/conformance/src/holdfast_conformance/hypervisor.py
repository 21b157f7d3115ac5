"""Conformance of hypervisors: runs under permits, and stops that are proof."""

import threading
from typing import ClassVar

import pytest
from holdfast.errors import Refused, Unreachable
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.states import GuestState
from holdfast.model.views import Beat, VmReport, VmSpec

from holdfast_conformance.agreement import run_machine
from holdfast_conformance.calls import kept_deadline, raised_by, together
from holdfast_conformance.hypervisor_bench import HypervisorBench, HypervisorCapabilities, grant, live_epochs
from holdfast_conformance.hypervisor_machine import RunMachine
from holdfast_conformance.suite import Conformance

__all__ = ["HypervisorBench", "HypervisorCapabilities", "HypervisorConformance"]

SHORT_DEADLINE = 1.0


class HypervisorConformance(Conformance):
    """Subclass it; give the fixtures `bench` (a `HypervisorBench`, fresh for each test) and `driver`."""

    point = "hypervisor"
    capabilities: ClassVar[HypervisorCapabilities] = HypervisorCapabilities()

    def test_runs_on_is_agent_or_server(self, driver: Hypervisor) -> None:
        """The manager has to know where the driver lives."""
        assert driver.runs_on in ("agent", "server")

    def test_a_started_vm_is_listed_as_running(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """When `start_vm` returns, the guest runs and carries the epoch of its permit."""
        vm = bench.new_vm()
        self._start(driver, bench, vm, 3)
        reports = [report for report in self._list(driver, bench) if report.vm_uuid == vm.uuid]
        assert reports == [VmReport(vm.uuid, GuestState.RUNNING, 3)]

    def test_starting_is_idempotent_for_one_epoch(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """The same permit twice leads to one run."""
        vm = bench.new_vm()
        for _ in range(2):
            self._start(driver, bench, vm, 1)
        assert self._live(driver, bench, vm) == [1]

    def test_an_older_permit_does_not_start_beside_a_newer_run(
        self, driver: Hypervisor, bench: HypervisorBench
    ) -> None:
        """A delayed start of an earlier epoch is refused while a later run is there."""
        vm = bench.new_vm()
        self._start(driver, bench, vm, 2)
        raised_by(self._deadline, lambda: self._start(driver, bench, vm, 1), Refused)
        assert self._live(driver, bench, vm) == [2]

    def test_a_stop_is_proof(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """When `stop_vm` returns, no run up to that epoch is live, and a later start at or below it is refused."""
        self._prove_a_stop(driver, bench, graceful=False)

    def test_a_graceful_stop_is_proof_too(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """Asking the guest first changes nothing about what is certain at the end."""
        self._prove_a_stop(driver, bench, graceful=True)

    def test_a_stop_before_the_start_still_counts(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """A start that arrives after its own revocation is refused, though the host never saw the VM."""
        vm = bench.new_vm()
        self._stop(driver, bench, vm, 2)
        raised_by(self._deadline, lambda: self._start(driver, bench, vm, 2), Refused)
        assert self._live(driver, bench, vm) == []

    def test_a_stop_spares_newer_runs(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """A delayed stop of an old epoch does not end the run that replaced it."""
        vm = bench.new_vm()
        self._start(driver, bench, vm, 5)
        self._stop(driver, bench, vm, 4)
        assert self._live(driver, bench, vm) == [5]

    def test_stopping_is_idempotent(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """A second stop, and one of an epoch below, are success and lower nothing."""
        vm = bench.new_vm()
        self._start(driver, bench, vm, 3)
        for epoch in (3, 3, 1):
            self._stop(driver, bench, vm, epoch)
        raised_by(self._deadline, lambda: self._start(driver, bench, vm, 3), Refused)

    def test_a_new_epoch_starts_after_a_stop(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """What was refused are old runs, not the VM."""
        vm = bench.new_vm()
        self._start(driver, bench, vm, 1)
        self._stop(driver, bench, vm, 1)
        self._start(driver, bench, vm, 2)
        assert self._live(driver, bench, vm) == [2]

    def test_refusals_outlive_the_agent(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """After the agent was killed and started again, a stopped epoch is still refused, and live runs are listed."""
        if not self.capabilities.can_restart:
            pytest.skip("the bench cannot restart the agent")
        stopped, running = bench.new_vm(), bench.new_vm()
        self._start(driver, bench, stopped, 2)
        self._stop(driver, bench, stopped, 2)
        self._start(driver, bench, running, 7)
        driver = bench.restarted(driver)
        raised_by(self._deadline, lambda: self._start(driver, bench, stopped, 2), Refused)
        assert self._live(driver, bench, running) == [7]

    def test_a_guest_that_ended_is_no_longer_live(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """The list is what is there now, not what was ordered."""
        if not self.capabilities.can_stop_guests:
            pytest.skip("the bench cannot end a guest")
        vm = bench.new_vm()
        self._start(driver, bench, vm, 1)
        bench.stop_guest(vm.uuid)
        assert self._live(driver, bench, vm) == []

    def test_silence_is_unreachable(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """No answer raises `Unreachable` in time from every method: the outcome is unknown, and no list is empty."""
        self._need_silence()
        vm = bench.new_vm()
        bench.make_unreachable()
        host, short = bench.host, SHORT_DEADLINE
        raised_by(short, lambda: driver.list_vms(host, short), Unreachable)
        raised_by(short, lambda: driver.stop_vm(host, vm.uuid, 1, False, short), Unreachable)
        # A later run: a driver on the host itself may have refused the stopped one without asking anybody.
        raised_by(short, lambda: driver.start_vm(host, vm, grant(host, vm, 2), short), Unreachable)
        bench.make_reachable()
        self._list(driver, bench)

    def test_one_driver_serves_many_threads(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """VMs started at the same moment all run, and a start that races with its stop never survives it."""
        vms = [bench.new_vm() for _ in range(3)]
        patience = self._deadline * 6
        together([lambda vm=vm: self._start(driver, bench, vm, 1) for vm in vms], patience)  # type: ignore[misc]
        assert [self._live(driver, bench, vm) for vm in vms] == [[1], [1], [1]]
        raced = bench.new_vm()

        def start() -> None:
            kept_deadline(patience, lambda: self._start(driver, bench, raced, 1))

        together([start, lambda: self._stop(driver, bench, raced, 1)], patience)
        assert self._live(driver, bench, raced) == []

    def test_reboot_keeps_the_run(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """After `reboot_vm` the guest runs under the same epoch."""
        if not self.capabilities.reboots:
            pytest.skip("the driver does not reboot")
        vm = bench.new_vm()
        self._start(driver, bench, vm, 1)
        driver.reboot_vm(bench.host, vm.uuid, 1, self._deadline)
        assert self._live(driver, bench, vm) == [1]

    def test_migration_leaves_one_run(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """After `migrate_vm` the guest runs there under the new permit and not here, and its old epoch is refused."""
        if not self.capabilities.migrates:
            pytest.skip("the driver does not migrate")
        vm, target = bench.new_vm(), bench.other_host
        self._start(driver, bench, vm, 1)
        driver.migrate_vm(bench.host, target, vm, grant(target, vm, 2), self._deadline)
        assert self._live(driver, bench, vm) == []
        assert live_epochs(driver.list_vms(target, self._deadline), vm.uuid) == [2]

    def test_beats_are_delivered_until_detached(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """An attached listener hears of the connection, then of growing beats; detaching twice is harmless."""
        if not self.capabilities.delivers_beats:
            pytest.skip("the driver does not deliver beats itself")
        heard = _Heard()
        driver.attach(bench.host, heard)
        self._wait(bench, heard.connected)
        self._wait(bench, heard.two_beats)
        driver.detach(bench.host.uuid)
        driver.detach(bench.host.uuid)
        assert heard.host_uuids == {bench.host.uuid}
        assert all(heard.facts), f"boot id, CPUs, MHz and memory are all told: {heard.facts}"
        assert heard.sequences == sorted(set(heard.sequences)), f"beats do not grow: {heard.sequences}"

    def test_agrees_with_runs(self, driver: Hypervisor, bench: HypervisorBench) -> None:
        """Any order of starts, stops, restarts of the agent and late messages keeps at most one run, the right one."""
        run_machine(lambda: RunMachine(driver, bench, self.capabilities), self.model_examples)

    @property
    def _deadline(self) -> float:
        return self.capabilities.deadline_seconds

    def _prove_a_stop(self, driver: Hypervisor, bench: HypervisorBench, graceful: bool) -> None:
        vm = bench.new_vm()
        self._start(driver, bench, vm, 4)
        self._stop(driver, bench, vm, 4, graceful)
        assert self._live(driver, bench, vm) == []
        for epoch in (4, 3, 1):
            raised_by(self._deadline, lambda past=epoch: self._start(driver, bench, vm, past), Refused)  # type: ignore[misc]
        assert self._live(driver, bench, vm) == []

    def _need_silence(self) -> None:
        if not self.capabilities.can_be_unreachable:
            pytest.skip("the bench cannot be made unreachable")

    def _start(self, driver: Hypervisor, bench: HypervisorBench, vm: VmSpec, epoch: int) -> None:
        driver.start_vm(bench.host, vm, grant(bench.host, vm, epoch), self._deadline)

    def _stop(self, driver: Hypervisor, bench: HypervisorBench, vm: VmSpec, epoch: int, graceful: bool = False) -> None:
        driver.stop_vm(bench.host, vm.uuid, epoch, graceful, self._deadline)

    def _list(self, driver: Hypervisor, bench: HypervisorBench) -> tuple[VmReport, ...]:
        return driver.list_vms(bench.host, self._deadline)

    def _live(self, driver: Hypervisor, bench: HypervisorBench, vm: VmSpec) -> list[int]:
        return live_epochs(self._list(driver, bench), vm.uuid)

    def _wait(self, bench: HypervisorBench, event: threading.Event) -> None:
        waited = 0.0
        while not event.is_set() and waited < self._deadline:
            bench.pause(0.1)
            waited += 0.1
        assert event.is_set(), "the listener was not told in time"


class _Heard:
    def __init__(self) -> None:
        self.connected = threading.Event()
        self.two_beats = threading.Event()
        self.facts: tuple[str, int, int, int] = ("", 0, 0, 0)
        self.sequences: list[int] = []
        self.host_uuids: set[str] = set()

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        self.host_uuids.add(host_uuid)
        self.facts = (boot_id, cpus, speed, ram)
        self.connected.set()

    def on_beat(self, beat: Beat) -> None:
        self.host_uuids.add(beat.host_uuid)
        self.sequences.append(beat.sequence)
        if len(self.sequences) > 1:
            self.two_beats.set()

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        self.host_uuids.add(host_uuid)
