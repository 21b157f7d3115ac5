"""Guard: a suite that inherits the standard tests keeps them all.

A standard test may be neither deleted nor overridden nor skipped. The one way out is to override it with
`@pytest.mark.xfail(reason="...")`: then the report of every run shows what the driver does not do, and why.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

KIT = __name__.rpartition(".")[0]


def _is_of_the_kit(cls: type) -> bool:
    return cls.__module__ == KIT or cls.__module__.startswith(f"{KIT}.")


def standard_tests(cls: type) -> dict[str, Callable[..., None]]:
    """Every standard test that `cls` inherits from the kit, by name, sorted."""
    found: dict[str, Callable[..., None]] = {}
    for parent in reversed(cls.__mro__):
        if _is_of_the_kit(parent):
            found.update({name: value for name, value in vars(parent).items() if name.startswith("test_")})
    return dict(sorted(found.items()))


def violations(cls: type) -> list[str]:
    """What is wrong with a suite, one sentence each; empty if it keeps all the standard tests."""
    return [*_changed_tests(cls), *_skipped(cls)]


def _changed_tests(cls: type) -> Iterator[str]:
    for name, standard in standard_tests(cls).items():
        found = inspect.getattr_static(cls, name, None)
        if found is standard:
            continue
        if found is None or not callable(found):
            yield f"{cls.__name__} deletes the standard test {name}; override it with xfail(reason=...) instead"
        elif not _has_expected_failure(found):
            yield f"{cls.__name__} overrides the standard test {name} without @pytest.mark.xfail(reason=...)"


def _skipped(cls: type) -> Iterator[str]:
    if _marks(cls) & {"skip", "skipif", "xfail"}:
        yield f"{cls.__name__} skips a whole suite by a mark; use its capabilities for what the device lacks"
    if vars(cls).get("__test__", True) is not True:
        yield f"{cls.__name__} takes itself out of collection by __test__"


def _marks(thing: Any) -> set[str]:
    return {mark.name for mark in _mark_list(thing)}


def _mark_list(thing: Any) -> list[Any]:
    found = getattr(thing, "pytestmark", [])
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _has_expected_failure(function: Any) -> bool:
    return any(
        mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip() and mark.kwargs.get("run", True)
        for mark in _mark_list(function)
    )
