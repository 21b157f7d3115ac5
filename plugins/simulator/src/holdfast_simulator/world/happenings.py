"""What happens in the world, told at the instant it happens to whoever watches for the truth."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class What(StrEnum):
    """Kinds of happening."""

    SENT = "sent"
    START_ARRIVED = "start-arrived"
    GUEST_BEGAN = "guest-began"
    GUEST_ENDED = "guest-ended"
    GUEST_CHANGED = "guest-changed"
    GUEST_REBOOTED = "guest-rebooted"
    STOP_ARRIVED = "stop-arrived"
    POWER_ORDERED = "power-ordered"
    POWER_CHANGED = "power-changed"
    SELF_FENCED = "self-fenced"
    HOST_CHANGED = "host-changed"
    CLAIMED = "claimed"
    FAULT = "fault"


MOVED = "moved here"
"""Detail of a guest that began because it was migrated live: its former run ended in the same instant."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One true fact. `host` and `vm` are uuids, `server` the management server whose doing it was ('' for nobody's)."""

    at: float
    what: What
    host: str = ""
    vm: str = ""
    run_epoch: int = -1
    server: str = ""
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """One line for a trace."""
        parts = [f"{self.at:12.4f} {self.what.value:<14}", self.host, self.vm]
        if self.run_epoch >= 0:
            parts.append(f"run {self.run_epoch}")
        if self.server:
            parts.append(f"by {self.server}")
        parts.append(self.detail)
        return " ".join(part for part in parts if part)


class Chronicle:
    """Tells watchers, and keeps the lines as a trace."""

    def __init__(self, now: Callable[[], float], keep: int = 100_000) -> None:
        self._now = now
        self._keep = keep
        self.watchers: list[Callable[[Happening], None]] = []
        self.trace: list[Happening] = []

    def tell(self, what: What, **facts: Any) -> None:
        """Something is about to become true; watchers see the world as it is just after it did."""
        happening = Happening(self._now(), what, **facts)
        if len(self.trace) < self._keep:
            self.trace.append(happening)
        for watcher in self.watchers:
            watcher(happening)
