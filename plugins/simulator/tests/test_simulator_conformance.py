"""The simulated drivers pass the published suites, in a shared world in real time, as an outsider's would."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from holdfast.errors import HoldfastError
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.provider import Surroundings
from holdfast.model import GuestState, PowerAction, PowerState, Secret
from holdfast.model.views import BmcView, HostView, PoolView, VmSpec
from holdfast_conformance.calls import together
from holdfast_conformance.coordinator import CoordinatorBench, CoordinatorCapabilities, CoordinatorConformance
from holdfast_conformance.heartbeat import HeartbeatBench, HeartbeatConformance
from holdfast_conformance.hypervisor import HypervisorBench, HypervisorCapabilities, HypervisorConformance
from holdfast_conformance.oobm import OobmBench, OobmCapabilities, OobmConformance
from holdfast_conformance.provider import ProviderCapabilities, ProviderConformance
from holdfast_simulator.coordinator import SimulatorCoordinator
from holdfast_simulator.heartbeat import SimulatorHeartbeat
from holdfast_simulator.hypervisor import SimulatorHypervisor
from holdfast_simulator.oobm import SimulatorOobm
from holdfast_simulator.provider import SimulatorHAProvider
from holdfast_simulator.shared import SharedWorld
from holdfast_simulator.site import VirtualSite
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.network import AGENT
from holdfast_simulator.world.physics import Physics

SWIFT = Physics(
    vm_start=0.02,
    vm_stop=0.01,
    vm_graceful_stop=0.03,
    vm_migrate=0.05,
    host_boot=0.05,
    bmc_status=0.002,
    bmc_off=0.02,
    bmc_on=0.02,
    bmc_reset=0.01,
    guest_os_shutdown=0.05,
    beat_interval=0.1,
    storage_beat=1e6,
    watchdog_armed=False,
)


@pytest.fixture
def shared() -> Iterator[SharedWorld]:
    shared = SharedWorld(None, SWIFT)
    yield shared
    shared.close()


class PowerBench(OobmBench):
    """Two hosts with BMCs that know their passwords."""

    def __init__(self, shared: SharedWorld | VirtualSite) -> None:
        self.world = shared.world
        self.first = self.world.add_host("first")
        self.second = self.world.add_host("second")
        self.second.power_off("bench")
        for view in (self.bmc, self.other_bmc):
            self.world.host(view.host_uuid).bmc().accept_only(view.password)

    @property
    def bmc(self) -> BmcView:
        return BmcView("first", "simulator", "10.0.0.1", "623", "operator", Secret("correct-horse-1"))

    @property
    def other_bmc(self) -> BmcView:
        return BmcView("second", "simulator", "10.0.0.2", "623", "operator", Secret("battery-staple-2"))

    def force_power(self, state: PowerState) -> None:
        with self.world.lock:
            self.first.bmc().forget_orders()
            if state is PowerState.ON:
                self.first.power_on("button")
            else:
                self.first.power_off("button")

    def make_unreachable(self) -> None:
        self.first.bmc().set_mode(BmcMode.DEAD)

    def make_reachable(self) -> None:
        self.first.bmc().set_mode(BmcMode.OK)

    def wrong_password(self) -> BmcView:
        return replace(self.bmc, password=Secret("wrong-password-3"))

    def refuse_actions(self) -> None:
        self.first.bmc().set_mode(BmcMode.REFUSING)

    def ignore_actions(self) -> None:
        self.first.bmc().set_mode(BmcMode.LYING)

    def show_odd_state(self) -> None:
        self.first.bmc().odd_answers = 1


class VirtualPowerBench(PowerBench):
    """The same under virtual time, where a silent BMC costs no waiting."""

    def __init__(self, site: VirtualSite) -> None:
        self.site = site
        super().__init__(site)

    def pause(self, seconds: float) -> None:
        self.site.run(seconds)


class VirtualOobm:
    """Calls the driver under virtual time, one call after the other."""

    def __init__(self, site: VirtualSite) -> None:
        self._site = site
        self._driver = site.open("ms1").oobm
        self._turn = threading.Lock()

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        with self._turn:
            return self._site.call(self._driver.power_state, bmc, deadline)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        with self._turn:
            return self._site.call(self._driver.power_action, bmc, action, deadline)

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> Mapping[str, PowerState | HoldfastError]:
        with self._turn:
            return self._site.call(self._driver.power_states, bmcs, deadline)

    @hookimpl
    def set_password(self, bmc: BmcView, new_password: str, deadline: float) -> None:
        with self._turn:
            self._site.call(self._driver.set_password, bmc, new_password, deadline)


class TestOobm(OobmConformance):
    """`simulator` of holdfast.oobm."""

    capabilities = OobmCapabilities(changes_password=True, settle_seconds=2.0)

    @pytest.fixture
    def site(self) -> Iterator[VirtualSite]:
        with VirtualSite(physics=SWIFT) as site:
            yield site

    @pytest.fixture
    def bench(self, site: VirtualSite) -> VirtualPowerBench:
        return VirtualPowerBench(site)

    @pytest.fixture
    def driver(self, site: VirtualSite) -> VirtualOobm:
        return VirtualOobm(site)


def test_one_oobm_driver_serves_many_threads(shared: SharedWorld) -> None:
    """In real time, each thread gets the answer to its own question."""
    bench, driver = PowerBench(shared), SimulatorOobm(gateway=shared.gateway)
    calls = [lambda view=view: driver.power_state(view, 5.0) for view in (bench.bmc, bench.other_bmc) * 8]
    answers = together(calls, 20.0)
    assert answers == [PowerState.ON, PowerState.OFF] * 8


class PoolBench(HeartbeatBench):
    """A pool that hosts write to only when they are told to."""

    def __init__(self, shared: SharedWorld) -> None:
        self.world = shared.world

    @property
    def pool(self) -> PoolView:
        return PoolView("pool", "pool", "NetworkFilesystem", "simulator")

    def make_unreachable(self) -> None:
        with self.world.lock:
            self.world.set_pool("pool", up=False)

    def make_reachable(self) -> None:
        with self.world.lock:
            self.world.set_pool("pool", up=True)

    def refuse_writes(self) -> None:
        with self.world.lock:
            self.world.pool("pool").read_only = True


class TestHeartbeat(HeartbeatConformance):
    """`simulator` of holdfast.heartbeat."""

    @pytest.fixture
    def bench(self, shared: SharedWorld) -> PoolBench:
        return PoolBench(shared)

    @pytest.fixture
    def driver(self, shared: SharedWorld) -> SimulatorHeartbeat:
        return SimulatorHeartbeat(gateway=shared.gateway)


class RunBench(HypervisorBench):
    """Two hosts that run VMs."""

    def __init__(self, shared: SharedWorld) -> None:
        self.shared = shared
        self.count = 0

    @property
    def host(self) -> HostView:
        return HostView("u-first", "first", "Simulator", "z", "p", "c", url="http://sim/first")

    @property
    def other_host(self) -> HostView:
        return HostView("u-second", "second", "Simulator", "z", "p", "c", url="http://sim/second")

    def new_vm(self) -> VmSpec:
        self.count += 1
        name = f"vm-{self.count}"
        return VmSpec(name, name, f"i-{self.count}-VM", 1, 500, 512)

    def _link(self, up: bool) -> None:
        with self.shared.world.lock:
            self.shared.world.network.set_up(AGENT, "u-first", self.shared.gateway.server, up)

    def make_unreachable(self) -> None:
        self._link(False)

    def make_reachable(self) -> None:
        self._link(True)

    def restarted(self, driver: SimulatorHypervisor) -> SimulatorHypervisor:
        with self.shared.world.lock:
            host = self.shared.world.host("u-first")
            host.kill_agent()
            host.start_agent()
        return driver

    def stop_guest(self, vm_uuid: str) -> None:
        with self.shared.world.lock:
            self.shared.world.host("u-first").end_guest(vm_uuid, GuestState.SHUT_DOWN)


class TestHypervisor(HypervisorConformance):
    """`simulator` of holdfast.hypervisor."""

    # In real time: on a machine with ten times as much to do as it has cores, a thread waits for seconds.
    capabilities = HypervisorCapabilities(reboots=True, migrates=True, delivers_beats=True, deadline_seconds=60.0)

    @pytest.fixture
    def bench(self, shared: SharedWorld) -> RunBench:
        return RunBench(shared)

    @pytest.fixture
    def driver(self, shared: SharedWorld) -> SimulatorHypervisor:
        return SimulatorHypervisor(gateway=shared.gateway)


class ServiceBench(CoordinatorBench):
    """Real time, and clients of the same service."""

    def __init__(self, shared: SharedWorld) -> None:
        self.shared = shared

    def client(self) -> SimulatorCoordinator:
        return SimulatorCoordinator(self.shared.gateway)


class TestCoordinator(CoordinatorConformance):
    """The simulation's coordinator."""

    capabilities = CoordinatorCapabilities(lease_seconds=0.4)

    @pytest.fixture
    def bench(self, shared: SharedWorld) -> ServiceBench:
        return ServiceBench(shared)

    @pytest.fixture
    def driver(self, shared: SharedWorld) -> SimulatorCoordinator:
        return SimulatorCoordinator(shared.gateway)


class TestProvider(ProviderConformance):
    """`simulatorhaprovider`, honest."""

    @pytest.fixture
    def driver(self) -> SimulatorHAProvider:
        return SimulatorHAProvider()


class TestScriptedProvider(ProviderConformance):
    """`simulatorhaprovider`, with a script."""

    capabilities = ProviderCapabilities(
        needs_oobm=False,
        needs_neighbours=False,
        judges_by_probes=False,
        details={f"simulator.ha.{name}": "true" for name in ("health", "activity", "recover", "fence")},
        surroundings=Surroundings(),
    )

    @pytest.fixture
    def driver(self) -> SimulatorHAProvider:
        return SimulatorHAProvider()
