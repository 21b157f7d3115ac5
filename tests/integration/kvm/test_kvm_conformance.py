"""The published kit, against a real libvirtd and real QEMUs."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import HostView, VmSpec
from holdfast_conformance.hypervisor import HypervisorBench, HypervisorCapabilities, HypervisorConformance
from kvm_host import KvmHost
from real_libvirt import LibvirtHost

pytestmark = pytest.mark.slow


class _Bench(HypervisorBench):
    def __init__(self, kvm: KvmHost, new_vm: Callable[..., VmSpec]) -> None:
        self._kvm = kvm
        self._new_vm = new_vm

    @property
    def host(self) -> HostView:
        return self._kvm.view

    def new_vm(self) -> VmSpec:
        return self._new_vm()

    def make_unreachable(self) -> None:
        self._kvm.libvirt.signal("libvirtd", signal.SIGSTOP)

    def make_reachable(self) -> None:
        self._kvm.libvirt.signal("libvirtd", signal.SIGCONT)

    def restarted(self, driver: Hypervisor) -> Any:
        return self._kvm.restarted()

    def stop_guest(self, vm_uuid: str) -> None:
        """As if the guest had powered off by itself: QEMU is asked to by its monitor. Returns when libvirt saw it."""
        self._kvm.libvirt.virsh("qemu-monitor-command", "--hmp", vm_uuid, "quit", may_fail=True)
        while self._kvm.libvirt.virsh("domid", vm_uuid, may_fail=True).strip():
            time.sleep(0.02)


@pytest.fixture(scope="module")
def libvirt_host(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LibvirtHost]:
    """One for all tests."""
    host = LibvirtHost(tmp_path_factory.mktemp("kit"), f"kit-{uuid4().hex[:6]}")
    try:
        host.boot()
        yield host
    finally:
        host.end()


class TestKvm(HypervisorConformance):
    capabilities: ClassVar = HypervisorCapabilities(reboots=True, deadline_seconds=30.0)
    model_examples = 4

    @pytest.fixture
    def bench(self, kvm: KvmHost, new_vm: Callable[..., VmSpec]) -> Iterator[_Bench]:
        made = _Bench(kvm, new_vm)
        yield made
        made.make_reachable()
        kvm.libvirt.destroy_all()

    @pytest.fixture
    def driver(self, kvm: KvmHost, bench: _Bench) -> Any:
        return kvm.driver
