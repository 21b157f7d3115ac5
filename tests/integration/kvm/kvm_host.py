"""One host's driver with a real libvirtd under it, and a listener for what it says."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from holdfast.model.evidence import PermitGrant
from holdfast.model.views import Beat, HostView, VmReport, VmSpec
from holdfast_conformance.hypervisor_bench import grant
from holdfast_hypervisor_kvm.driver import KvmHypervisor
from holdfast_hypervisor_kvm.processes import Processes
from real_libvirt import LibvirtHost

SECONDS = 60.0


class Ear:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.connected: list[tuple[str, int, int, int]] = []
        self.reports: list[VmReport] = []

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        with self._news:
            self.connected.append((boot_id, cpus, speed, ram))
            self._news.notify_all()

    def on_beat(self, beat: Beat) -> None:
        raise AssertionError("the agent beats, not this driver")

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        with self._news:
            self.reports.append(report)
            self._news.notify_all()

    def wait(self, wanted: Callable[["Ear"], bool], seconds: float = SECONDS) -> None:
        with self._news:
            assert self._news.wait_for(lambda: wanted(self), seconds), f"not heard: {self.reports}"

    def hear(self, report: VmReport, seconds: float = SECONDS) -> VmReport:
        """Wait for a report that equals this one; as it came, with its reason."""
        self.wait(lambda ear: report in ear.reports, seconds)
        return next(found for found in reversed(self.reports) if found == report)


class KvmHost:
    """A libvirtd and the driver on it, as an agent would have it."""

    def __init__(self, libvirt: LibvirtHost, **settings: Any) -> None:
        self.libvirt = libvirt
        self.view = HostView(f"host-{libvirt.name}", libvirt.name, "KVM", "z", "p", "c", address="127.0.0.1")
        folder = libvirt.folder
        self._settings = {
            "uri": libvirt.uri,
            "state_dir": folder / f"holdfast-{uuid4().hex[:8]}",
            "console_dir": str(folder / "console"),
            "qemu_log_dir": str(libvirt.logs),
            "bridge": "none",
            "domain_type": "qemu",
            "shutdown_seconds": 3.0,
            "resume_seconds": 0.3,
            **settings,
        }
        self.driver = self.restarted()

    def restarted(self) -> KvmHypervisor:
        """A driver that remembers nothing but what is on the disk."""
        self.driver = KvmHypervisor(self._settings, processes=Processes(self.libvirt.owns))
        return self.driver

    def start(self, vm: VmSpec, epoch: int = 1, seconds: float = SECONDS) -> None:
        self.driver.start_vm(self.view, vm, self.permit(vm, epoch), seconds)

    def stop(self, vm: VmSpec, epoch: int = 1, graceful: bool = False, seconds: float = SECONDS) -> None:
        self.driver.stop_vm(self.view, vm.uuid, epoch, graceful, seconds)

    def permit(self, vm: VmSpec, epoch: int) -> PermitGrant:
        return grant(self.view, vm, epoch)

    def report(self, vm: VmSpec, seconds: float = SECONDS) -> VmReport | None:
        """What it says of one VM."""
        return next((one for one in self.driver.list_vms(self.view, seconds) if one.vm_uuid == vm.uuid), None)
