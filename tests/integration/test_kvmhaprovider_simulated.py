"""`kvmhaprovider` in the simulated world: the real manager, random faults, and every safety rule checked."""

import pytest
from holdfast.hooks.provider import HaProvider
from holdfast_simulator import site
from holdfast_simulator.scenario import Fault, Randomness, Scenario
from holdfast_simulator.session import run_scenario
from kvmhaprovider.provider import KvmHaProvider


class _Provider(KvmHaProvider, HaProvider):
    """With the optional methods that the loader would add."""


@pytest.fixture(autouse=True)
def _judged_by_kvmhaprovider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "SimulatorHAProvider", _Provider)


def test_a_host_that_loses_power_is_fenced_and_its_vm_runs_elsewhere() -> None:
    """Within the time budget of the default settings."""
    fault = Fault(at=2.0, kind="power-loss", host="h1")
    result = run_scenario(Scenario(name="kvm-power-loss", settle=60.0, duration=30.0, faults=(fault,)))
    assert result.violations == []
    began = [line for line in result.trace if "guest-began" in line]
    lost = next(float(line.split()[0]) for line in result.trace if "guest-ended" in line)
    assert len(began) == 1
    assert float(began[0].split()[0]) - lost <= 6.5


@pytest.mark.slow
def test_random_faults_break_no_rule_under_kvmhaprovider() -> None:
    """Several faults at once, of all kinds."""
    scenario = Scenario(name="kvm-random", duration=45.0, random=Randomness(faults=5, window=40.0))
    for seed in range(40):
        result = run_scenario(scenario, seed)
        assert [str(violation) for violation in result.violations] == [], f"seed {seed}"
