"""A simulated site under virtual time: one loop, one world, one database, and management servers that live and die."""

import random
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from holdfast_simulator.coordinator import SimulatorCoordinator
from holdfast_simulator.faulty_store import FaultyStore
from holdfast_simulator.heartbeat import SimulatorHeartbeat
from holdfast_simulator.hypervisor import SimulatorHypervisor
from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.oobm import SimulatorOobm
from holdfast_simulator.owner import VirtualOwner
from holdfast_simulator.provider import SimulatorHAProvider
from holdfast_simulator.virtual_loop import Process, VirtualLoop
from holdfast_simulator.virtual_runtime import VirtualClock, VirtualRuntime, VirtualTime, run_virtually
from holdfast_simulator.world.physics import Physics
from holdfast_simulator.world.world import World

P = ParamSpec("P")
T = TypeVar("T")


class ServerLife:
    """One life of one management server: its process, clocks, runtime, and its own drivers, store and coordinator."""

    def __init__(self, site: "VirtualSite", name: str, life: int, skew: float, rate: float) -> None:
        self.name = name
        self.process = Process(f"{name}#{life}")
        offset = random.Random(f"{site.seed}/{self.process.name}/clock").random() * 1e6  # noqa: S311 - reproducible
        self.clock = VirtualClock(site.loop, offset, rate, skew)
        self.runtime = VirtualRuntime(site.loop, self.process, site.seed, self.clock)
        self.gateway = site.world.gateway(name, VirtualOwner(site.loop, self.process))
        self.store = FaultyStore(site.store, self.gateway)
        self.coordinator = SimulatorCoordinator(self.gateway)
        self.oobm = SimulatorOobm(gateway=self.gateway)
        self.heartbeat = SimulatorHeartbeat(gateway=self.gateway)
        self.hypervisor = SimulatorHypervisor(gateway=self.gateway)
        self.provider = SimulatorHAProvider()


class VirtualSite:
    """Everything that a simulation shares. Close it: crashed processes keep their memory until then."""

    def __init__(self, seed: str = "0", physics: Physics | None = None) -> None:
        self.seed = seed
        self.loop = VirtualLoop()
        self.time = VirtualTime(self.loop)
        self.world = World(self.time, seed=seed, physics=physics)
        self.store = MemoryStore()
        self.lives: list[ServerLife] = []

    def open(self, name: str, skew: float = 0.0, rate: float = 1.0) -> ServerLife:
        """A new life of a management server; an earlier one must have ended."""
        life = ServerLife(self, name, 1 + sum(one.name == name for one in self.lives), skew, rate)
        self.lives.append(life)
        return life

    def crash(self, life: ServerLife) -> None:
        """`kill -9`."""
        self.loop.crash(life.process)
        self.world.agents.detach_all(life.gateway)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.run_until(self.loop.time() + seconds)

    def run_until(self, when: float) -> None:
        """Let virtual time pass up to `when`."""
        self.loop.call_at(when, self.loop.stop, context=self.loop.world_context)
        self.loop.run_forever()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking driver function, and let time pass until it returns."""
        return run_virtually(self.loop, function, *args, **kwargs)

    def close(self) -> None:
        """End every process, and free everything."""
        for life in self.lives:
            self.loop.bury(life.process)
        self.lives.clear()
        self.loop.close()

    def __enter__(self) -> "VirtualSite":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
