"""The pluggy markers of Holdfast."""

from collections.abc import Callable
from typing import Any, TypeVar

import pluggy

PROJECT = "holdfast"
F = TypeVar("F", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks a mandatory method of an extension point."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a driver's implementation of a method. Drivers need not subclass the interface."""


def optional(method: F) -> F:
    """Mark a method that a driver may leave out; the interface's own body is then used."""
    method.__holdfast_optional__ = True  # type: ignore[attr-defined]
    return hookspec(method)


def is_optional(method: Callable[..., Any]) -> bool:
    """Whether an interface's method was marked `optional`."""
    return bool(getattr(method, "__holdfast_optional__", False))
