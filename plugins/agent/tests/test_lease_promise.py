"""The promise of the storage lease, against everything that can be late, and its price (S11)."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from lease_model import Model

RUNS = 400


@given(st.integers(0, 2**32))
@settings(max_examples=RUNS, deadline=None)
def test_a_host_proven_dead_by_its_lease_runs_nothing(seed: int) -> None:
    """Whatever drifts, hangs, lands late or freezes; and nobody is reset for nothing."""
    model = Model(seed)
    model.run()
    assert model.violations == []


def test_proofs_resets_and_spared_hosts_all_happen_in_the_model() -> None:
    """A model in which nothing ever happens would prove nothing."""
    models = [Model(seed) for seed in range(RUNS)]
    for model in models:
        model.run()
    assert sum(model.proven_at is not None for model in models) > RUNS / 50
    assert sum(bool(model.reset_with) for model in models) > RUNS / 50
    assert sum(model.proven_at is not None and model.reset_at is None for model in models) > 0


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        ({"half": False}, "the device gets the whole watchdog time, so a late feeding takes twice as long"),
        ({"from_begin": False}, "a write renews from when it is known, not from when it was begun"),
        ({"recheck": ""}, "a start that waited long is not checked again"),
        ({"recheck": "now"}, "a start is carried out although the lease lapsed while it waited"),
    ],
)
def test_each_rule_is_needed(fault: dict[str, Any], meaning: str) -> None:
    """Without it some run breaks the promise."""
    for seed in range(2000):
        model = Model(seed, **fault)
        model.run()
        if model.violations:
            return
    pytest.fail(f"no run was broken although {meaning}")
