"""Runs a suite outside pytest: for a driver's own tooling, and for proving that a check can fail."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from holdfast_conformance.agreement import without_shrinking
from holdfast_conformance.guard import standard_tests
from holdfast_conformance.suite import Conformance


def failures(
    suite: type[Conformance], fixtures: Callable[[], Mapping[str, Any]], only: str = ""
) -> dict[str, BaseException]:
    """Standard test → what it raised, for those that failed; skipped tests are left out.

    `fixtures` is called once for each test and gives fresh fixtures by name. `only` runs a single test.
    """
    found: dict[str, BaseException] = {}
    for name, function in standard_tests(suite).items():
        if only and name != only:
            continue
        lent = fixtures()
        wanted = list(inspect.signature(function).parameters)[1:]
        token = without_shrinking.set(True)
        try:
            function(suite(), **{parameter: lent[parameter] for parameter in wanted})
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception) as problem:
            found[name] = problem
        finally:
            without_shrinking.reset(token)
    return found
