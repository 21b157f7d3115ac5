"""The real manager in the simulated world: it does its work, the same way each time, and survives a crash anywhere."""

import argparse
import random
from pathlib import Path

import pytest
from holdfast.errors import ConfigurationError
from holdfast.hooks.store import Query
from holdfast.model import Alert
from holdfast_simulator import command
from holdfast_simulator.checker import Violation
from holdfast_simulator.command import SimulateCommand
from holdfast_simulator.scenario import Fault, Randomness, Scenario, WorldSize, load_scenario
from holdfast_simulator.schedule import random_faults
from holdfast_simulator.session import Result, Session, run_scenario

SCENARIOS = Path(__file__).with_name("scenarios")
POWER_LOSS = Scenario(
    name="power-loss", settle=60.0, duration=30.0, faults=(Fault(at=2.0, kind="power-loss", host="h1"),)
)


def test_vms_of_a_dead_host_run_elsewhere_within_seconds() -> None:
    """One host loses power; its VM is started once, elsewhere, within the time budget of design §4."""
    result = run_scenario(POWER_LOSS)
    assert result.violations == []
    began = [line for line in result.trace if "guest-began" in line]
    assert len(began) == 1
    assert "vm1 run 2" in began[0]
    assert " h1 " not in began[0]
    lost = next(float(line.split()[0]) for line in result.trace if "guest-ended" in line)
    assert float(began[0].split()[0]) - lost <= 6.5


def test_the_same_seed_gives_the_same_run() -> None:
    """Manager, faults and network together, line by line and step by step."""
    scenario = Scenario(name="twice", random=Randomness(faults=6), settle=30.0)
    first, second, other = run_scenario(scenario, 11), run_scenario(scenario, 11), run_scenario(scenario, 12)
    assert first.trace == second.trace
    assert first.steps == second.steps
    assert first.trace != other.trace


@pytest.mark.slow
def test_a_server_may_be_killed_at_any_step_of_the_recovery() -> None:
    """The only server dies before its n-th step, for many n, and starts again: the VM still runs once, elsewhere."""
    world = WorldSize(servers=1, vms=1)
    whole = Scenario(name="kill", world=world, duration=20.0, settle=60.0)
    power_loss = Fault(at=1.0, kind="power-loss", host="h1")
    for step in range(1, 900, 7):
        kill = Fault(at=3.0, kind="server-crash", server="ms1", step=step, lasts=15.0)
        result = run_scenario(whole.with_faults((power_loss, kill)))
        assert [str(violation) for violation in result.violations] == [], f"killed at step {step}"
        assert sum("guest-began" in line for line in result.trace) == 1, f"killed at step {step}"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_kept_scenarios_break_no_rule(path: Path) -> None:
    """Each is a story that once went wrong, or one that must never."""
    assert [str(violation) for violation in run_scenario(load_scenario(path)).violations] == []


@pytest.mark.parametrize("path", sorted((SCENARIOS / "open").glob("*.toml")), ids=lambda path: path.stem)
def test_open_scenarios_are_still_open(path: Path) -> None:
    """A mended one moves one folder up, so that it is replayed for ever."""
    assert run_scenario(load_scenario(path)).failed, f"{path.name} breaks no rule any more: move it one folder up"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, 100))
def test_random_schedules_break_no_rule(first: int) -> None:
    """Of all kinds of fault and of orders, several at once; the last quarter in a cloud of two clusters.

    In every fourth hundred fenced hosts return by themselves.
    """
    world = WorldSize() if first < 1500 else WorldSize(hosts=4, clusters=2, vms=4)
    settings = {"ha.return.after.fence": "5"} if first % 400 == 300 else {}
    scenario = Scenario(
        name="random", duration=45.0, world=world, settings=settings, random=Randomness(faults=5, window=40.0)
    )
    for seed in range(first, first + 100):
        result = run_scenario(scenario, seed)
        assert [str(violation) for violation in result.violations] == [], f"seed {seed}: {result.scenario.faults}"


@pytest.mark.slow
def test_hosts_that_fall_silent_together_are_not_cut_for_it() -> None:
    """A switch is lost, or all of them stand still, beside other faults: without a proof, the brake holds (S7)."""
    held = 0
    for seed in range(40):
        chance = random.Random(seed)
        lasts, kind = chance.uniform(20.0, 40.0), chance.choice(("isolate-host", "hang"))
        hosts = chance.sample(range(1, 6), chance.randint(3, 5))
        together = tuple(Fault(at=8.0, kind=kind, host=f"h{number}", lasts=lasts) for number in hosts)
        world = WorldSize(hosts=5, servers=3, pools=2, vms=5, watchdog=chance.random() < 0.3)
        scenario = Scenario(name="switch", duration=45.0, world=world, random=Randomness(faults=3, window=30.0))
        session = Session(scenario.with_faults((*together, *random_faults(scenario, seed))), seed)
        violations = session.run().violations
        held += any(one.subject.startswith("ALERT.HA.BRAKE") for one in session.site.store.select(Alert, Query()))
        session.close()
        assert [str(violation) for violation in violations] == [], f"seed {seed}"
    assert held > 20


def test_a_session_leaves_nothing_behind() -> None:
    """Crashed servers too: their tasks and half-finished calls are freed without a sound."""
    scenario = POWER_LOSS.with_faults(
        (*POWER_LOSS.faults, Fault(at=4.0, kind="server-crash", server="ms1"), Fault(at=5.0, kind="hang", host="h2"))
    )
    session = Session(scenario, 0)
    session.run()
    lives = list(session.site.lives)
    session.close()
    assert len(lives) >= 3
    assert all(not life.process.remains and not life.process.greenlets for life in lives)


# --- the command


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    SimulateCommand().configure(parser)
    return parser.parse_args(words)


def quick(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text("duration = 5\nsettle = 5\nwarm_up = 5\n[random]\nfaults = 3\n")
    return path


def test_the_command_runs_many_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, and one line that says how many and how fast."""
    path = tmp_path / "calm.toml"
    path.write_text("duration = 5\nsettle = 5\nwarm_up = 5\n")
    assert SimulateCommand().run(arguments(str(path), "--runs", "3")) == 0
    assert "3 of 3 runs" in capsys.readouterr().out


def test_a_failing_seed_is_shrunk_and_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1, and a file that replays it."""
    scenario = Scenario(name="quick", random=Randomness(faults=3))

    def fails(candidate: Scenario, seed: int | None = None) -> Result:
        faults = candidate.faults or random_faults(scenario, seed or 0)
        broken = [Violation("S1", 1.0, "two runs")] if seed == 5 and faults else []
        return Result(candidate.with_faults(faults), seed or 0, broken)

    monkeypatch.setattr(command, "run_scenario", fails)
    monkeypatch.setattr(command, "shrink", lambda failed: command_shrink(failed, fails))
    assert SimulateCommand().run(arguments(str(quick(tmp_path)), "--seed", "4", "--runs", "9")) == 1
    said = capsys.readouterr().out
    assert "S1 at 1.000: two runs" in said
    kept = load_scenario(tmp_path / "quick-seed-5.toml")
    assert kept.seed == 5
    assert len(kept.faults) == 1
    assert str(tmp_path / "quick-seed-5.toml") in said


def command_shrink(failed: Result, run: object) -> Result:
    from holdfast_simulator.shrinker import shrink

    return shrink(failed, run)  # type: ignore[arg-type]


def test_no_runs_is_a_mistake(tmp_path: Path) -> None:
    """And said so."""
    with pytest.raises(ConfigurationError, match="--runs"):
        SimulateCommand().run(arguments(str(quick(tmp_path)), "--runs", "0"))
