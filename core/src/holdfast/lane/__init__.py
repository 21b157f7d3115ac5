"""A lane: a process of its own for calls that may hang, so that they hang alone."""

from holdfast.lane.lane import Lane
from holdfast.lane.orders import overdue

__all__ = ["Lane", "overdue"]
