"""The pytest plugin of the kit (entry point `pytest11`): refuses suites that dropped standard tests."""

import inspect

import pytest

from holdfast_conformance import guard


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Check each suite as it is collected. A broken one is a collection error, so the run cannot be green."""
    # The suites are looked up late: a pytest run without any suite shall not import the kit's machinery.
    if not inspect.isclass(obj) or not name.startswith("Test"):
        return
    if not any(parent.__module__ == f"{guard.KIT}.suite" for parent in obj.__mro__):
        return
    found = guard.violations(obj)
    if found:
        raise collector.CollectError("\n".join(found))
