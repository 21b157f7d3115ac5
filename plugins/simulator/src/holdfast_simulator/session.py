"""One run of one scenario: the world, the real manager's loops under virtual time, the faults, and the checker."""

import logging
import random
from dataclasses import dataclass, field
from typing import Any

from holdfast.model import GuestState

from holdfast_simulator.checker import Checker, Violation
from holdfast_simulator.faults import KINDS
from holdfast_simulator.furnishing import furnish
from holdfast_simulator.hub import SimulatedHub, manager_class
from holdfast_simulator.orders import Operator
from holdfast_simulator.outcome import is_calm
from holdfast_simulator.scenario import Fault, Scenario
from holdfast_simulator.schedule import random_faults
from holdfast_simulator.site import ServerLife, VirtualSite
from holdfast_simulator.virtual_loop import Process
from holdfast_simulator.world.happenings import What
from holdfast_simulator.world.host import Condition
from holdfast_simulator.world.physics import Physics
from holdfast_simulator.world.world import World

_LOGGERS = ("holdfast.manager",)
_GLANCE = 5.0
_CALM = 30.0
"""Seconds of calm that end a run early: longer than any message is under way."""
_DRIFT = 0.0005
"""The clocks of machines run too fast or too slow by up to so much."""


@dataclass(slots=True)
class Result:
    """What came of a run. `scenario` has the faults that struck, so that a random run can be replayed."""

    scenario: Scenario
    seed: int
    violations: list[Violation] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    virtual_seconds: float = 0.0
    steps: int = 0

    @property
    def failed(self) -> bool:
        """Whether a rule was broken."""
        return bool(self.violations)


class Session:
    """Put together, run, and taken apart again by `run_scenario`."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        physics = Physics(watchdog_armed=scenario.world.watchdog)
        self.site = VirtualSite(f"{scenario.name}/{seed}", physics)
        self.world: World = self.site.world
        self.server_names = [f"ms{number}" for number in range(1, scenario.world.servers + 1)]
        self.alive: dict[str, ServerLife] = {}
        self.managers: dict[str, Any] = {}
        self._skews: dict[str, float] = {}
        self._wanted: set[str] = set(self.server_names)
        furnish(scenario, self.world, self.site.store)
        drift = random.Random(f"{scenario.name}/{seed}/drift")  # noqa: S311 - reproducible on purpose
        self._rates = {name: 1.0 + drift.uniform(-_DRIFT, _DRIFT) for name in self.server_names}
        for host in self.world.hosts.values():
            host.clock_rate = 1.0 + drift.uniform(-_DRIFT, _DRIFT)
        self.checker = Checker(self.world, self.site.store, scenario)
        self.operator: Operator = Operator(self.world, self.site.store)

    # --- servers

    def start_server(self, name: str) -> None:
        """Power a management server on, unless it runs."""
        self._wanted.add(name)
        if name in self.alive:
            return
        life = self.site.open(name, self._skews.get(name, 0.0), self._rates[name])
        life.process.on_crash = self._crashed
        self.alive[name] = life
        manager = manager_class()(name, life.runtime, life.store, life.coordinator, SimulatedHub(life))
        self.managers[name] = manager
        self.site.loop.spawn(life.process, _serve(manager))
        self.world.tell(What.FAULT, server=name, detail="server started")

    def kill(self, name: str, step: int) -> None:
        """`kill -9`, now or at the `step`-th step from now. It stays down until it is started."""
        self._wanted.discard(name)
        life = self.alive.get(name)
        if life is None:
            return
        if step:
            life.process.crash_at_step = life.process.steps + step
        else:
            self.site.crash(life)

    def _crashed(self, process: Process) -> None:
        name = process.name.split("#")[0]
        life = self.alive.get(name)
        if life is None or life.process is not process:
            return
        del self.alive[name]
        del self.managers[name]
        self.site.crash(life)
        self.world.tell(What.FAULT, server=name, detail=f"server crashed at its step {process.steps}")
        if name in self._wanted:
            self.site.time.call_at(self.site.time.now() + 1.0, self.start_server, name)

    def skew(self, name: str, seconds: float) -> None:
        """Let a server's wall clock be off by so much."""
        self._skews[name] = seconds
        if name in self.alive:
            self.alive[name].clock.skew = seconds

    # --- things that happen

    def end_guest(self, vm: str, state: GuestState) -> None:
        """A guest ends, wherever it runs."""
        for host_uuid, _ in self.world.live_runs(vm):
            self.world.host(host_uuid).end_guest(vm, state)

    def fail_starts(self, host: str, reason: str) -> None:
        """Let a host refuse every start, or none."""
        self.world.host(host).start_failure = reason

    def _strike(self, fault: Fault) -> None:
        self.world.tell(What.FAULT, host=fault.host, vm=fault.vm, server=fault.server, detail=_words(fault))
        KINDS[fault.kind].strike(self, fault)
        if fault.lasts:
            self.site.time.call_at(self.site.time.now() + fault.lasts, self._mend, fault)

    def _mend(self, fault: Fault) -> None:
        self.world.tell(What.FAULT, host=fault.host, server=fault.server, detail=f"{fault.kind} mended")
        KINDS[fault.kind].mend(self, fault)

    def _mend_everything(self, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            self._mend(fault)
        for host in self.world.hosts.values():
            host.unhang()
            host.start_agent()
            if host.condition is Condition.OFF:
                host.power_on("everything is mended")
        for name in self.server_names:
            self.start_server(name)

    # --- the run

    def run(self) -> Result:
        """Run it to its end, or to the first violation."""
        scenario = self.scenario
        faults = scenario.faults or (random_faults(scenario, self.seed) if scenario.random.faults else ())
        result = Result(scenario.with_faults(faults), self.seed)
        begun = self.site.loop.time()
        zero = begun + scenario.warm_up
        for name in self.server_names:
            self.start_server(name)
        for fault in faults:
            self.site.time.call_at(zero + fault.at, self._strike, fault)
        last = max([scenario.duration, *(fault.at + fault.lasts for fault in faults)])
        self.checker.on_violation = self.site.loop.stop
        self.site.run_until(zero + last)
        if not self.checker.violations:
            self._mend_everything(faults)
            self._settle()
        if not self.checker.violations:
            self.checker.check_end()
        problems = [Violation("BUG", self.site.loop.time(), problem) for problem in self.site.loop.problems]
        result.violations = [*self.checker.violations, *problems]
        result.trace = [event.line() for event in self.world.chronicle.trace]
        result.virtual_seconds = self.site.loop.time() - begun
        result.steps = self.site.loop.handles_run
        return result

    def _settle(self) -> None:
        """Wait until all is as it should be and stays so, or the scenario's patience ends."""
        end = self.site.loop.time() + self.scenario.settle
        calm = 0.0
        while self.site.loop.time() < end and not self.checker.violations:
            step = min(_GLANCE, end - self.site.loop.time())
            self.site.run(step)
            self.operator.start_what_was_stopped()
            self.operator.make_room()
            settled = not self.operator.pending() and is_calm(self.world, self.site.store)
            calm = calm + step if settled else 0.0
            if calm >= _CALM:
                return

    def close(self) -> None:
        """Take it apart."""
        for life in self.alive.values():
            life.process.on_crash = None
        self.site.close()


async def _serve(manager: Any) -> None:
    await manager.start()
    await manager.wait()


def _words(fault: Fault) -> str:
    way = fault.way if fault.way != "both" else ""
    return " ".join(part for part in (fault.kind, fault.pool, fault.device, fault.mode, way) if part)


def run_scenario(scenario: Scenario, seed: int | None = None) -> Result:
    """Run a scenario once under its own or the given seed. The manager's log lines are left out."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    session = Session(scenario, scenario.seed if seed is None else seed)
    try:
        return session.run()
    finally:
        session.close()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
