"""A management server and agents on hosts with a real libvirtd: everything but the hardware is as in production."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from real_libvirt import LibvirtHost

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

from agents_site import Agent, Site, until

__all__ = ["KvmAgent", "KvmSite", "until"]

_AGENT = """
[hypervisor.kvm]
domain_type = "qemu"
bridge = "none"
shutdown_seconds = 5.0
migration_uri = "{peer}"
migration_unsafe = true
"""


class KvmAgent(Agent):
    """The agent, among the other processes of its host."""

    def __init__(
        self, folder: Path, site: Path, name: str, servers: list[str], host: LibvirtHost, peer: LibvirtHost
    ) -> None:
        self.libvirt = host
        self._peer = peer
        super().__init__(folder, site, name, servers)

    def point_at(self, servers: list[str]) -> None:
        super().point_at(servers)
        text = self.configuration.read_text().replace('hypervisor = "processes"', 'hypervisor = "kvm"')
        self.configuration.write_text(text + _AGENT.format(peer=self._peer.tcp_uri))

    def command(self, *words: str) -> list[str]:
        (first, *_) = self.libvirt.processes("tini")
        return ["nsenter", "-t", str(first), "-m", "-p", "-u", *super().command(*words)]

    def kill(self) -> None:
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def signal(self, number: int) -> None:
        if self.child is not None and self.child.poll() is None:
            os.killpg(self.child.pid, number)

    def end_vms(self) -> None:
        """They end with their host."""

    def qemus(self, vm: str) -> list[int]:
        """The truth: processes that run the VM here."""
        found = []
        for pid in self.libvirt.processes("qemu-system-x86_64"):
            with suppress(OSError):
                if vm.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


class KvmSite(Site):
    """One cluster of KVM hosts on a shared mount point."""

    def __init__(self, folder: Path, image: Path) -> None:
        super().__init__(folder)
        self.image = image
        self.storage = folder / "primary"
        self.storage.mkdir()
        subprocess.run(["mount", "--bind", self.storage, self.storage], check=True)
        # Two at most: hosts share the machine's loopback, so that each knows the other's libvirtd by its port.
        self._hosts = {
            name: LibvirtHost(folder / f"{name}-libvirt", f"{name}-{uuid4().hex[:6]}") for name in ("host1", "host2")
        }

    def add_host(self, name: str, servers: list[str] | None = None) -> Agent:
        host = self._hosts[name]
        (peer,) = (other for known, other in self._hosts.items() if known != name)
        host.boot()
        addresses = [server.address for server in self.servers]
        self.agents[name] = agent = KvmAgent(self.folder / name, self.site, name, addresses, host, peer)
        agent.uuid = self.add_row(name)
        joined = self.join(agent, self.token(agent.uuid))
        assert joined.returncode == 0, joined.stderr
        agent.start()
        self.until_state(agent, "Up")
        return agent

    def _make_cloud(self) -> None:
        call, items = self.client.call, self.client.items
        self.zone = call("createZone", name="z1", dns1="192.0.2.53", internaldns1="192.0.2.53", networktype="Advanced")[
            "zone"
        ]["id"]
        self.pod = call(
            "createPod", zoneid=self.zone, name="p1", gateway="192.0.2.1", netmask="255.255.255.0",
            startip="192.0.2.10", endip="192.0.2.30",
        )["pod"]["id"]  # fmt: skip
        self.cluster = items(
            "addCluster", zoneid=self.zone, podid=self.pod, clustername="c1", clustertype="CloudManaged",
            hypervisor="KVM",
        )[0]["id"]  # fmt: skip
        self.pool = call(
            "createStoragePool", zoneid=self.zone, podid=self.pod, clusterid=self.cluster, name="primary1",
            url=f"sharedmountpoint://localhost{self.storage}", heartbeat="none",
        )["storagepool"]["id"]  # fmt: skip
        self.network = call(
            "createNetwork", zoneid=self.zone, name="n1", displaytext="n1", gateway="198.51.100.1",
            netmask="255.255.255.0",
        )["network"]["id"]  # fmt: skip
        self.template = items(
            "registerTemplate", zoneid=self.zone, name="guest", displaytext="guest", format="QCOW2", hypervisor="KVM",
            url=f"file://{self.image}",
        )[0]["id"]  # fmt: skip
        self.offering = call(
            "createServiceOffering", name="HA", displaytext="HA", cpunumber=1, cpuspeed=200, memory=96, offerha="true",
        )["serviceoffering"]["id"]  # fmt: skip

    def add_row(self, name: str) -> str:
        return str(
            self.client.items(
                "addHost", zoneid=self.zone, podid=self.pod, clusterid=self.cluster, hypervisor="KVM",
                url=f"http://127.0.0.{name[-1]}",
            )[0]["id"]
        )  # fmt: skip

    def where(self, vm: str) -> list[tuple[str, int]]:
        """The truth: (host, process) of everything that runs the VM."""
        return [(name, pid) for name, agent in self.agents.items() for pid in agent.qemus(vm)]  # type: ignore[attr-defined]

    def set(self, name: str, value: str) -> None:
        self.client.call("updateConfiguration", name=name, value=value)

    def alerts(self) -> list[dict[str, Any]]:
        return list(self.client.items("listAlerts"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            for host in self._hosts.values():
                host.end()
            subprocess.run(["umount", "-l", self.storage], check=False)
