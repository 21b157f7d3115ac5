"""The extension points are documented, small, and each has a real plugin."""

import inspect
import tomllib
from pathlib import Path

import pytest
from holdfast.adapter import contract, faults
from holdfast.hooks.markers import is_optional
from holdfast.hooks.points import POINTS, Point

ROOT = Path(__file__).resolve().parents[2]
MOST_MANDATORY_METHODS = 6

DECLARED = [
    (point, name, target)
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    for group, table in tomllib.loads(path.read_text(encoding="utf-8"))["project"].get("entry-points", {}).items()
    for point in [group.removeprefix("holdfast.")]
    for name, target in table.items()
]


@pytest.mark.parametrize("point", POINTS.values(), ids=lambda point: point.name)
def test_every_method_of_a_point_is_documented(point: Point) -> None:
    """The class and each of its methods have a docstring, and each parameter has a type."""
    assert inspect.getdoc(point.interface)
    assert point.group in (inspect.getdoc(point.interface) or ""), "the docstring names the entry-point group"
    methods = contract(point.interface)
    assert methods
    for name, method in methods.items():
        assert (method.__doc__ or "").strip(), f"{point.interface.__name__}.{name} is not documented"
        untyped = [key for key in list(inspect.signature(method).parameters)[1:] if key not in method.__annotations__]
        assert untyped == [], f"{point.interface.__name__}.{name}: {untyped}"


@pytest.mark.parametrize("point", POINTS.values(), ids=lambda point: point.name)
def test_a_point_asks_for_at_most_six_methods(point: Point) -> None:
    """A driver is quick to write."""
    mandatory = [name for name, method in contract(point.interface).items() if not is_optional(method)]
    assert 1 <= len(mandatory) <= MOST_MANDATORY_METHODS


def test_every_point_has_a_real_plugin() -> None:
    """No hook ships that nobody uses."""
    assert {point for point, _, _ in DECLARED} == set(POINTS)


@pytest.mark.parametrize(("point", "name", "target"), DECLARED)
def test_every_declared_plugin_keeps_its_contract(point: str, name: str, target: str) -> None:
    """What a pyproject.toml names can be imported, and passes the loader's checks."""
    module, _, attribute = target.partition(":")
    driver = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert faults(POINTS[point], driver) == [], f"{point} {name}"
