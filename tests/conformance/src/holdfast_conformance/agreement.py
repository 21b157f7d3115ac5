"""Model agreement: drive a driver and a reference model together, in every order that Hypothesis can think of."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

without_shrinking: ContextVar[bool] = ContextVar("without_shrinking", default=False)
"""Set where only the verdict counts: shrinking a disagreement takes most of the time."""


def run_machine(make: Callable[[], RuleBasedStateMachine], examples: int, steps: int = 25) -> None:
    """Run the machines that `make` gives, one per example; the first disagreement fails, shrunk.

    Real devices are slow and drivers are lent to all examples, so Hypothesis's own limits on time are off. The
    examples are the same at each run: whether a driver passes shall not depend on luck.
    """
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate] if without_shrinking.get() else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    # Hypothesis asks for a class and only ever calls it.
    run_state_machine_as_test(cast(Any, make), settings=bounds)
