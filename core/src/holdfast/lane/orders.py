"""Whether anybody still waits for the order that a lane's process is carrying out."""

import math
import time

_until = math.inf


def begin(until: float) -> None:
    """An order begins; its deadline, by the monotonic clock, which all processes of a machine share."""
    global _until  # noqa: PLW0603 - one order is underway at a time, and workers should not have to hand this on
    _until = until


def overdue() -> bool:
    """Whether the order that is being carried out has been given up by whoever gave it."""
    return time.monotonic() > _until
