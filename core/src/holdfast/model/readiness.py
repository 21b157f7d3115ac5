"""Whether a fence path would work now: what a harmless look at one device found, and what that means for its host."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class ReadinessState(StrEnum):
    """Of one fence device, or of a host by all of its devices (column `oobm.readiness`; '' while nobody has looked)."""

    READY = "Ready"
    WARNING = "Warning"
    NOT_READY = "NotReady"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a driver found at one device. Sentences that name the device and what to do; no text carries a secret.

    `problems`: why a power cut through it would fail if it were sent now. `warnings`: why it will, or might.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def state(self) -> ReadinessState:
        """One word for it."""
        if self.problems:
            return ReadinessState.NOT_READY
        return ReadinessState.WARNING if self.warnings else ReadinessState.READY

    @property
    def detail(self) -> str:
        """All sentences, the problems first."""
        return "; ".join((*self.problems, *self.warnings))


def host_readiness(levels: Mapping[int, Iterable[str]]) -> str:
    """What the devices' states, by fence level, mean for their host: one of `ReadinessState`, or '' while unknown.

    A fence needs one whole level. NotReady: none is left whole. Warning: one is, but some device elsewhere is not well.
    """
    states = {level: tuple(found) for level, found in levels.items()}
    devices = [state for found in states.values() for state in found]
    if not devices:
        return ""
    if all(ReadinessState.NOT_READY in found for found in states.values()):
        return ReadinessState.NOT_READY
    if any(state in (ReadinessState.NOT_READY, ReadinessState.WARNING) for state in devices):
        return ReadinessState.WARNING
    return ReadinessState.READY if all(devices) else ""
