"""Model agreement: drive a driver and a reference model together, in every order that Hypothesis can think of."""

from collections.abc import Callable
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_machine(make: Callable[[], RuleBasedStateMachine], examples: int = 15, steps: int = 12) -> None:
    """Run the machines that `make` gives, one per example; the first disagreement fails, shrunk.

    Real devices are slow and drivers are lent to all examples, so Hypothesis's own limits on time are off.
    """
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    # Hypothesis asks for a class and only ever calls it.
    run_state_machine_as_test(cast(Any, make), settings=bounds)
