"""Grants of life, across changes of the owner: whatever is paused or late, nothing runs on a host proven dead."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from two_owners_model import TwoOwners

RUNS = 200


@given(st.integers(0, 2**32))
@settings(max_examples=RUNS, deadline=None)
def test_a_host_proven_dead_by_its_lease_runs_nothing_whoever_granted_it_life(seed: int) -> None:
    """Owners that are paused with their clocks, beats and grants that are late, hosts that live by grants alone."""
    model = TwoOwners(seed)
    model.run()
    assert model.violations == []


def test_hosts_live_by_grants_and_change_their_owner_in_the_model() -> None:
    """A model in which nothing ever happens would prove nothing."""
    models = [TwoOwners(seed) for seed in range(1, 60)]
    for model in models:
        model.run()
    assert sum(model.takeovers > 1 for model in models) > 20
    assert sum("kept" in model.reset_with and model.reset_at > model.strike_at + 16.0 for model in models) > 5
    assert sum(model.proven_at is not None for model in models) > 20


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        ({"rule": "clock"}, "an owner trusts its own clock, and grants what it hears without a renewal after it"),
        ({"rule": "nothing"}, "an owner grants as long as nobody told it that it is none"),
        ({"from_takeover": False}, "a new owner does not count from its takeover"),
        ({"from_sent": False}, "a grant counts from when it comes, not from when its beat was sent"),
    ],
)
def test_each_rule_of_granting_is_needed(fault: dict[str, Any], meaning: str) -> None:
    """Without it some run breaks the promise."""
    for seed in range(2000):
        model = TwoOwners(seed, **fault)
        model.run()
        if model.violations:
            return
    pytest.fail(f"no run was broken although {meaning}")
