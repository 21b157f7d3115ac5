"""The conformance kit on the stand-ins for drivers that live on hosts: through TLS, a real agent and its drivers."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from agents_site import HYPERVISOR, Agent, install_drivers, until
from holdfast.errors import HoldfastError
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import HostView, PoolView, VmSpec
from holdfast.protocol import questions as q
from holdfast_agents_port.drivers import AgentHeartbeat, AgentHypervisor, Asking
from holdfast_conformance.heartbeat import HeartbeatBench, HeartbeatCapabilities, HeartbeatConformance
from holdfast_conformance.hypervisor import HypervisorBench, HypervisorCapabilities, HypervisorConformance
from holdfast_conformance.wire_faults import CLEAN, TcpFaultProxy, WireFaults
from port_in_thread import UUID, PortInThread

pytestmark = pytest.mark.slow


class AgentBench(HypervisorBench):
    """One host with a real agent; the proxy between them can swallow everything."""

    def __init__(self, agent: Agent, proxy: TcpFaultProxy, driver: Hypervisor) -> None:
        self._agent, self._proxy, self._driver = agent, proxy, driver

    @property
    def host(self) -> HostView:
        return HostView(UUID, "host1", HYPERVISOR, "z", "p", "c", owner_epoch=1)

    def new_vm(self) -> VmSpec:
        name = f"vm-{uuid.uuid4()}"  # the agent is shared, and remembers the VMs of all tests
        return VmSpec(name, name, name, 1, 500, 256)

    def make_unreachable(self) -> None:
        self._proxy.faults = WireFaults(silent=True)

    def make_reachable(self) -> None:
        self._proxy.faults = CLEAN
        until("the agent answers", self._answers)

    def restarted(self, driver: Hypervisor) -> Hypervisor:
        self._agent.kill()
        self._agent.start()
        until("the agent answers", self._answers)
        return driver

    def stop_guest(self, vm_uuid: str) -> None:
        os.kill(self._agent.running()[vm_uuid]["pid"], signal.SIGTERM)
        until("the guest ended", lambda: vm_uuid not in self._agent.running())

    def _answers(self) -> bool:
        try:
            self._driver.list_vms(self.host, 1.0)
        except HoldfastError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Stand:
    """One host's agent, and the stand-ins that reach it."""

    bench: AgentBench
    hypervisor: Hypervisor
    heartbeat: HeartbeatDriver


class AnyHostsAgent(Asking):
    """The one agent that there is answers for whatever host is asked: the kit's hosts are names to its driver."""

    def ask(self, host_uuid: str, asked: q.Asked, deadline: float) -> Any:
        return super().ask(UUID, asked, deadline)


class SharedFolderBench(HeartbeatBench):
    """A file system of its own, which the agent's driver takes for a share. The proxy makes all of it unreachable."""

    def __init__(self, folder: Path, agent: AgentBench) -> None:
        self._agent = agent
        self._point = folder / "share"
        self._point.mkdir()
        self._mount("-t", "tmpfs", "share", str(self._point))
        self._pool = PoolView(f"pool-{id(self):x}", "share", "SharedMountPoint", "nfs", "", 0, str(self._point))

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words], check=True)

    @property
    def pool(self) -> PoolView:
        return self._pool

    def make_unreachable(self) -> None:
        self._agent.make_unreachable()

    def make_reachable(self) -> None:
        self._agent.make_reachable()

    def refuse_writes(self) -> None:
        self._mount("-o", "remount,ro", str(self._point))

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self._point)], check=False)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("conformance")
    install_drivers(folder / "site")
    server = PortInThread(folder / "server")
    with TcpFaultProxy(("127.0.0.1", server.number), CLEAN) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        agent = Agent(folder / "host1", folder / "site", "host1", [address])
        joined = agent.run("agent", "join", "--server", address, feed=server.token())
        assert joined.returncode == 0, joined.stderr
        agent.start()
        driver = AgentHypervisor(Asking(server.port.switchboard, server.loop), server.port.switchboard)
        heartbeat = AgentHeartbeat(AnyHostsAgent(server.port.switchboard, server.loop))
        try:
            until("the agent connects", lambda: UUID in server.port.switchboard.local)
            yield Stand(AgentBench(agent, proxy, driver), driver, heartbeat)
        finally:
            agent.stop()
            agent.end_vms()
            server.close()


class TestAgentHypervisor(HypervisorConformance):
    """What the manager calls."""

    capabilities: ClassVar[HypervisorCapabilities] = HypervisorCapabilities(delivers_beats=True, deadline_seconds=20.0)
    model_examples = 3
    """Each restarts a real agent several times."""

    @pytest.fixture
    def driver(self, stand: Stand) -> Hypervisor:
        return stand.hypervisor

    @pytest.fixture
    def bench(self, stand: Stand) -> HypervisorBench:
        return stand.bench


class TestAgentHeartbeat(HeartbeatConformance):
    """What the manager asks of the hosts about their storage."""

    capabilities: ClassVar[HeartbeatCapabilities] = HeartbeatCapabilities(deadline_seconds=20.0)

    @pytest.fixture
    def driver(self, stand: Stand) -> HeartbeatDriver:
        return stand.heartbeat

    @pytest.fixture
    def bench(self, stand: Stand, tmp_path: Path) -> Iterator[HeartbeatBench]:
        if os.geteuid() != 0:
            pytest.skip("NOT TESTED: a file system of its own needs root")
        bench = SharedFolderBench(tmp_path, stand.bench)
        yield bench
        bench.close()
