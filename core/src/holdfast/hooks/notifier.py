"""Notifier: tells people and other systems what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.hooks.markers import hookspec


@dataclass(frozen=True, slots=True)
class Notice:
    """One event or alert on its way out. `kind` is "event" or "alert"; `level` INFO, WARN or ERROR."""

    kind: str
    name: str
    level: str
    subject: str
    text: str
    at: float
    resource: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Notifier:
    """Carries notices out of Holdfast. Group `holdfast.notifier`; all that are enabled get each notice, each alone."""

    @hookspec
    def notify(self, notice: Notice, deadline: float) -> None:
        """Deliver one notice; blocks at most `deadline` seconds. `Unreachable` asks the manager to try again later."""
        raise NotImplementedError
