"""Hosts for the benchmark of the agent: one whose VMs are plain processes, and one with a real libvirtd and QEMU."""

import subprocess
import sys
from pathlib import Path
from typing import Protocol
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "agents"))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "kvm"))

from agents_site import HYPERVISOR, Agent
from holdfast.model.views import DiskSpec, HostOrders, PoolView, VmSpec
from kvm_site import KvmAgent
from real_libvirt import LibvirtHost, need_packages


class Ground(Protocol):
    """What the agent runs on."""

    hypervisor: str
    orders: HostOrders | None
    """What the owner orders; None where there is no storage to beat on."""

    def agent(self, folder: Path, site: Path, server: str) -> Agent:
        """Its agent, not started."""

    def pid(self, agent: Agent) -> int:
        """The process that is the agent itself, once it runs."""

    def vm(self, number: int) -> VmSpec:
        """A VM for it."""

    def settle(self) -> None:
        """All VMs run: let them cost nothing from now on."""

    def end(self) -> None:
        """Leave nothing behind."""


class ProcessGround:
    """The driver waits for the ends of its processes, as it would for events."""

    hypervisor = HYPERVISOR
    orders: HostOrders | None = None

    def agent(self, folder: Path, site: Path, server: str) -> Agent:
        return Agent(folder, site, "host1", [server])

    def pid(self, agent: Agent) -> int:
        return agent.pid

    def vm(self, number: int) -> VmSpec:
        name = f"vm-{number}"
        return VmSpec(name, name, name, 1, 500, 256)

    def settle(self) -> None:
        pass

    def end(self) -> None:
        pass


class KvmGround:
    """A libvirtd in namespaces of its own, and a mounted share that takes the host's heartbeats and has its disks.

    The guests have no system and are paused once they run: an emulated CPU that looks for one would take the cores.
    """

    hypervisor = "kvm"

    def __init__(self, folder: Path) -> None:
        need_packages()
        self._share = folder / "share"
        self._share.mkdir(parents=True)
        subprocess.run(["mount", "--bind", self._share, self._share], check=True)
        self._libvirt = LibvirtHost(folder / "libvirt", f"bench-{uuid4().hex[:6]}")
        self._libvirt.boot()
        self._pool = PoolView("pool-1", "primary1", "SharedMountPoint", "nfs", path=str(self._share), scope="CLUSTER")
        self.orders: HostOrders | None = HostOrders((self._pool,), ha=True)

    def agent(self, folder: Path, site: Path, server: str) -> Agent:
        return KvmAgent(folder, site, "host1", [server], self._libvirt, self._libvirt)

    def pid(self, agent: Agent) -> int:
        """`nsenter` stays before it, for a new PID namespace begins with a child."""
        (inner,) = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
        return int(inner)

    def vm(self, number: int) -> VmSpec:
        uuid = str(uuid4())
        disk = DiskSpec(self._pool, uuid, size=16 << 20)
        return VmSpec(uuid, f"vm-{number}", f"i-2-{number}-VM", 1, 500, 16, ha=True, disks=(disk,))

    def settle(self) -> None:
        for name in self._libvirt.virsh("list", "--name", "--state-running").split():
            self._libvirt.virsh("suspend", name)

    def end(self) -> None:
        self._libvirt.end()
        subprocess.run(["umount", "-l", self._share], check=False)
