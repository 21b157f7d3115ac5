"""Makes a failing scenario small: fewer faults, a smaller world and rounder times, as long as it fails the same way."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from holdfast_simulator.scenario import Fault, Scenario
from holdfast_simulator.session import Result, run_scenario

Run = Callable[[Scenario, int], Result]


def shrink(failed: Result, run: Run = run_scenario, budget: int = 200) -> Result:
    """The smallest failing run found with at most `budget` further runs; it breaks the same rule as `failed`."""
    best, left = failed, budget
    rule = failed.violations[0].rule
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in _simpler(best.scenario):
            if left <= 0:
                break
            left -= 1
            result = run(candidate, best.seed)
            if result.failed and result.violations[0].rule == rule:
                best, improved = replace(result, scenario=candidate), True
                break
    return best


def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    """Simpler scenarios, the boldest steps first."""
    return chain(
        _without_faults(scenario), _smaller_worlds(scenario), _fewer_devices(scenario), _plainer_faults(scenario)
    )


def _without_faults(scenario: Scenario) -> Iterator[Scenario]:
    faults = scenario.faults
    size = len(faults) // 2
    while size >= 1:
        for begin in range(0, len(faults), size):
            kept = faults[:begin] + faults[begin + size :]
            if kept:
                yield scenario.with_faults(kept)
        size //= 2


def _smaller_worlds(scenario: Scenario) -> Iterator[Scenario]:
    for name, least in (("servers", 1), ("vms", 1), ("pools", 0)):
        value = getattr(scenario.world, name)
        prefix = {"servers": "ms", "vms": "vm", "pools": "p"}[name]
        used = {getattr(fault, name.removesuffix("s")) for fault in scenario.faults}
        if value > least and f"{prefix}{value}" not in used:
            yield replace(scenario, world=replace(scenario.world, **{name: value - 1}))


def _fewer_devices(scenario: Scenario) -> Iterator[Scenario]:
    if scenario.world.fences != "1" and not any(fault.device for fault in scenario.faults):
        yield replace(scenario, world=replace(scenario.world, fences="1"))


def _plainer_faults(scenario: Scenario) -> Iterator[Scenario]:
    for index, fault in enumerate(scenario.faults):
        for plainer in _plainer(fault):
            yield scenario.with_faults((*scenario.faults[:index], plainer, *scenario.faults[index + 1 :]))


def _plainer(fault: Fault) -> Iterator[Fault]:
    blank = Fault(at=fault.at, kind=fault.kind)
    for name in ("way", "amount", "lasts", "step"):
        if getattr(fault, name) != getattr(blank, name):
            yield replace(fault, **{name: getattr(blank, name)})
    for name in ("at", "lasts", "amount"):
        value = getattr(fault, name)
        if value != round(value):
            yield replace(fault, **{name: float(round(value))})  # type: ignore[arg-type]
