"""`holdfast simulate SCENARIO.toml`: run a scenario under virtual time, and check the safety rules at every step."""

import argparse
import sys
import time
from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.hooks.markers import hookimpl

from holdfast_simulator.scenario import Scenario, load_scenario, write_scenario
from holdfast_simulator.session import Result, run_scenario
from holdfast_simulator.shrinker import shrink

_PROGRESS_SECONDS = 0.5


class SimulateCommand:
    """Runs a scenario once or many times, each with a seed of its own; a failing one is shrunk and written down."""

    summary = "run a scenario in a simulated world and check the safety rules"

    @hookimpl
    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""
        parser.add_argument("scenario", type=Path, metavar="SCENARIO.toml", help="what there is and what goes wrong")
        parser.add_argument("--seed", type=int, help="seed of the first run (default: the scenario's)")
        parser.add_argument("--runs", type=int, default=1, help="how many runs, each with the next seed (default: 1)")
        parser.add_argument("--trace", action="store_true", help="print what happened in the last run")
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="where a failing scenario goes (default: beside it)"
        )

    @hookimpl
    def run(self, arguments: argparse.Namespace) -> int:
        """0 if no rule was broken, else 1."""
        if arguments.runs < 1:
            raise ConfigurationError(f"--runs is {arguments.runs}; give at least 1")
        scenario = load_scenario(arguments.scenario)
        first = scenario.seed if arguments.seed is None else arguments.seed
        progress = _Progress(arguments.runs)
        for number in range(arguments.runs):
            result = run_scenario(scenario, first + number)
            progress.add(result)
            if arguments.trace and (result.failed or number == arguments.runs - 1):
                _say("\n".join(result.trace))
            if result.failed:
                progress.end()
                folder = arguments.out or arguments.scenario.parent
                _say(_explain_failure(scenario, result, folder))
                return 1
        progress.end()
        return 0


class _Progress:
    """One line, renewed now and then on a terminal; printed once elsewhere."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._done = 0
        self._seconds = 0.0
        self._begun = self._shown = time.monotonic()

    def add(self, result: Result) -> None:
        self._done += 1
        self._seconds += result.virtual_seconds
        if sys.stderr.isatty() and time.monotonic() - self._shown >= _PROGRESS_SECONDS:
            self._shown = time.monotonic()
            sys.stderr.write(f"\r{self._line()}")
            sys.stderr.flush()

    def end(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        _say(self._line())

    def _line(self) -> str:
        took = max(time.monotonic() - self._begun, 1e-6)
        return (
            f"{self._done} of {self._runs} runs, {self._seconds:.0f} virtual seconds in {took:.1f} s "
            f"({self._seconds / took:.0f} times faster than life)"
        )


def _explain_failure(scenario: Scenario, result: Result, folder: Path) -> str:
    smallest = shrink(result)
    path = folder / f"{scenario.name}-seed-{result.seed}.toml"
    named = write_scenario(smallest.scenario).replace(f"seed = {scenario.seed}\n", f"seed = {result.seed}\n", 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(named, encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path}: the failing scenario cannot be written: {problem}") from problem
    lines = [f"seed {result.seed} broke a rule:", *(f"  {violation}" for violation in smallest.violations)]
    faults = len(smallest.scenario.faults)
    lines.append(
        f"shrunk to {faults} fault{'' if faults == 1 else 's'}; replay it with: holdfast simulate --trace {path}"
    )
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
