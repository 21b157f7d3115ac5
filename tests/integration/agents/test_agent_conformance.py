"""The conformance kit on the stand-in for drivers that live on hosts: through TLS, a real agent and its driver."""

import os
import signal
import uuid
from collections.abc import Iterator
from typing import ClassVar

import pytest
from agents_site import HYPERVISOR, Agent, install_drivers, until
from holdfast.errors import HoldfastError
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.views import HostView, VmSpec
from holdfast_agents_port.drivers import AgentHypervisor, Asking
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


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Agent, TcpFaultProxy, Hypervisor]]:
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
        try:
            until("the agent connects", lambda: UUID in server.port.switchboard.local)
            yield agent, proxy, driver
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
    def driver(self, stand: tuple[Agent, TcpFaultProxy, Hypervisor]) -> Hypervisor:
        return stand[2]

    @pytest.fixture
    def bench(self, stand: tuple[Agent, TcpFaultProxy, Hypervisor]) -> HypervisorBench:
        return AgentBench(*stand)
