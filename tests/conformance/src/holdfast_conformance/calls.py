"""Calls with a deadline that is enforced from outside, because a broken driver may never return."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from holdfast.errors import DriverError, HoldfastError

T = TypeVar("T")

GRACE_SECONDS = 2.0
"""What a call may take beyond its deadline on a busy machine before it counts as one that ignores deadlines."""


@dataclass(slots=True)
class Outcome:
    """What came of a call: `value` or `error`; `finished` is False if it was still running when patience ended."""

    value: Any = None
    error: BaseException | None = None
    finished: bool = False


def attempt(deadline: float, call: Callable[[], object]) -> Outcome:
    """Run `call` in a thread of its own and wait for it at most `deadline` and the grace."""
    outcome = Outcome()

    def run() -> None:
        try:
            outcome.value = call()
        except BaseException as problem:
            outcome.error = problem
        outcome.finished = True

    thread = threading.Thread(target=run, name="conformance-call", daemon=True)
    thread.start()
    thread.join(deadline + GRACE_SECONDS)
    return outcome


def kept_deadline(deadline: float, call: Callable[[], object]) -> Outcome:
    """The outcome of `call`; fails the test if it neither returned nor raised in time."""
    outcome = attempt(deadline, call)
    if not outcome.finished:
        pytest.fail(f"the call neither returned nor raised within its deadline of {deadline:g} s")
    return outcome


def raised_by(deadline: float, call: Callable[[], object], wanted: type[HoldfastError]) -> HoldfastError:
    """The `wanted` error that `call` raised in time; anything else fails the test."""
    outcome = kept_deadline(deadline, call)
    if outcome.error is None:
        pytest.fail(f"expected {wanted.__name__}, but the call returned {outcome.value!r}")
    if not isinstance(outcome.error, wanted):
        pytest.fail(f"expected {wanted.__name__}, not {type(outcome.error).__name__}: {outcome.error}")
    assert str(outcome.error).strip(), f"{type(outcome.error).__name__} says nothing: name what failed and where"
    return outcome.error


def only_driver_errors(outcome: Outcome) -> None:
    """Fail if the call raised anything but a `DriverError`."""
    if outcome.error is not None and not isinstance(outcome.error, DriverError):
        pytest.fail(f"{type(outcome.error).__name__} left the driver; raise one of holdfast.errors: {outcome.error}")


def together(calls: Sequence[Callable[[], T]], deadline: float) -> list[T]:
    """Results of all `calls`, started at the same moment in threads of their own; the first error is raised."""
    barrier = threading.Barrier(len(calls))
    outcomes = [Outcome() for _ in calls]

    def run(call: Callable[[], T], outcome: Outcome) -> None:
        try:
            barrier.wait()
            outcome.value = call()
        except BaseException as problem:
            outcome.error = problem
        outcome.finished = True

    threads = [
        threading.Thread(target=run, args=pair, daemon=True, name="conformance-call")
        for pair in zip(calls, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline + GRACE_SECONDS)
    if not all(outcome.finished for outcome in outcomes):
        pytest.fail(f"calls from several threads block each other: not all ended within {deadline:g} s")
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in outcomes]
