"""When this host sent each of its last beats: a grant names a beat, and counts from there."""

from collections import deque
from typing import Final

_REMEMBERED: Final = 256
"""Beats. A grant of an older one would renew nothing any more, at any interval that makes grants worth having."""


class SentBeats:
    """Times are those of `lease.uptime`. Event loop only."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def sending(self, sequence: int, now: float) -> None:
        """The beat is about to be sent. To be called before: the owner must not hear it earlier."""
        self._sent.append((sequence, now))

    def sent_at(self, sequence: int) -> float | None:
        """When it was sent; None if this agent did not send it, or long ago."""
        return next((at for number, at in reversed(self._sent) if number == sequence), None)
