"""How much faster than life a simulation runs: virtual seconds per second, for 3 hosts, 3 VMs and 2 managers.

The managers are the shipped ones; S1 to S11 are checked after every step. `steady` runs without a fault; `faults` is
what `holdfast simulate` does by the thousand: five random faults within a minute, then settling, one seed after the
other. The rate counts CPU time of this process, which on an idle machine is the wall time; both are shown.
Goal: at least 1,000 virtual seconds a second.

Usage: bench_simulation.py [--full] [--json]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import measuring
from holdfast_simulator.scenario import Randomness, Scenario
from holdfast_simulator.session import Result, Session, run_scenario

_GOAL = 1000


def steady(pieces: int, seconds: float) -> Iterator[tuple[float, int, int]]:
    """One world without faults; virtual seconds, steps and violations, piece by piece, after a warm-up."""
    session = Session(Scenario(name="steady"), 1)
    try:
        for name in session.server_names:
            session.start_server(name)
        session.site.run(30.0)
        for _ in range(pieces):
            before = session.site.loop.handles_run
            session.site.run(seconds)
            yield seconds, session.site.loop.handles_run - before, len(session.checker.violations)
    finally:
        session.close()


def with_faults(runs: int) -> Iterator[tuple[float, int, int]]:
    """Seeded runs; virtual seconds, steps and violations of each."""
    scenario = Scenario(name="faults", random=Randomness(faults=5))
    for seed in range(runs):
        result: Result = run_scenario(scenario, seed)
        yield result.virtual_seconds, result.steps, len(result.violations)


def measure(name: str, pieces: Callable[[], Iterator[tuple[float, int, int]]]) -> dict[str, Any]:
    """Rates over the pieces."""
    by_cpu, by_wall, steps, virtual, violations = [], [], [], 0.0, 0
    cpu, wall = measuring.cpu_seconds(), time.perf_counter()
    total_cpu = cpu
    for seconds, handles, broken in pieces():
        by_cpu.append(seconds / (measuring.cpu_seconds() - cpu))
        by_wall.append(seconds / (time.perf_counter() - wall))
        steps.append(handles / seconds)
        virtual += seconds
        violations += broken
        cpu, wall = measuring.cpu_seconds(), time.perf_counter()
    return {
        "world": name,
        "pieces": len(by_cpu),
        "virtual seconds in all": round(virtual),
        "virtual s per CPU s, all": round(virtual / (cpu - total_cpu)),
        "virtual s per CPU s": measuring.spread(by_cpu, 0),
        "virtual s per wall s": measuring.spread(by_wall, 0),
        "callbacks per virtual s": round(statistics.median(steps)),
        "violations": violations,
        "goal": f"at least {_GOAL}",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    full = parser.parse_args().full
    run_scenario(Scenario(name="warm"), 0)  # plugins are found and modules imported here, once
    found = [
        measure("steady", lambda: steady(20 if full else 6, 500.0)),
        measure("faults", lambda: with_faults(100 if full else 20)),
    ]
    measuring.show("simulation of 3 hosts and 2 managers", found)


if __name__ == "__main__":
    main()
