"""Where all connections of a process stand: one immutable value, replaced as a whole."""

from dataclasses import dataclass
from typing import Literal

from holdfast_mysqlfailover.plan import Host

Phase = Literal["new", "serving", "moving", "lost", "denied", "closed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """`generation` grows with each change of host, so that a connection knows whether it is out of date.

    `epoch` is the writer's, 0 where nothing is guarded. `reasons` say why no host serves.
    """

    generation: int = 0
    phase: Phase = "new"
    host: Host | None = None
    epoch: int = 0
    read_only: bool = False
    reasons: tuple[str, ...] = ()
