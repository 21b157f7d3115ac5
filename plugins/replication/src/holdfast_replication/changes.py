"""From one poll's findings to the next: what began, what is over. Pure, so that a lasting fault is told once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast_replication.findings import Finding

_SETTLED_POLLS = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that began or is over."""

    finding: Finding
    over: bool

    @property
    def text(self) -> str:
        """For people."""
        return f"no longer true: {self.finding.text}" if self.over else self.finding.text


@dataclass(slots=True)
class Watch:
    """Remembers what was told. A finding is told when two polls in a row agree on it, so that one lost packet, or a
    stream that starts, makes no noise; it is over when two polls in a row do not see it."""

    _told: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    _seen: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _missed: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def take(self, findings: Sequence[Finding]) -> tuple[Change, ...]:
        """What has changed with this poll."""
        now = {one.key: one for one in findings}
        silent = {one.server for one in findings if one.kind == "unreachable"}
        changes = []
        for key, finding in now.items():
            self._missed.pop(key, None)
            if key in self._told:
                self._told[key] = finding
                continue
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] >= _SETTLED_POLLS:
                self._told[key] = finding
                changes.append(Change(finding, over=False))
        for key in [key for key in self._seen if key not in now]:
            del self._seen[key]
        for key, finding in list(self._told.items()):
            # A server that does not answer says nothing about what was wrong with it.
            if key in now or (finding.server in silent and finding.kind != "unreachable"):
                continue
            self._missed[key] = self._missed.get(key, 0) + 1
            if self._missed[key] >= _SETTLED_POLLS:
                del self._told[key], self._missed[key]
                changes.append(Change(finding, over=True))
        return tuple(changes)

    @property
    def standing(self) -> tuple[Finding, ...]:
        """What was told and is not over."""
        return tuple(self._told.values())
