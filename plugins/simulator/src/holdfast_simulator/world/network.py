"""Networks: one path per kind, sender and receiver, each way on its own, with faults."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from holdfast_simulator.world.timing import WorldTime

AGENT, BMC, STORAGE, DATABASE, COORDINATOR = "agent", "bmc", "storage", "database", "coordinator"
"""Kinds of path. An agent path joins a management server and a host, a storage path a host and a pool."""

KINDS = (AGENT, BMC, STORAGE, DATABASE, COORDINATOR)


@dataclass(slots=True)
class Path:
    """One direction between two ends. Times are seconds; `duplicate`, `loss`, `reorder` are chances per message.

    A reordered message is held back by up to `reorder_delay`, so that later ones overtake it. `generation` grows each
    time the path comes back: connections over it are new ones. It is `faultless` while every message arrives once, in
    order: its network sees to that, because it is asked for each message. Change it through the network alone.
    """

    kind: str
    source: str
    target: str
    up: bool = True
    delay: float = 0.0005
    jitter: float = 0.0
    duplicate: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    reorder_delay: float = 0.0
    generation: int = 0
    faultless: bool = True

    def changed(self) -> None:
        """Judge anew whether it is faultless."""
        self.faultless = self.up and not (self.jitter or self.duplicate or self.loss or self.reorder)


class Network:
    """All paths of the world, made when first used."""

    def __init__(self, time: WorldTime, chance: Random) -> None:
        self._time = time
        self._chance = chance
        self._paths: dict[tuple[str, str, str], Path] = {}
        self.changed: Callable[[Path], None] = lambda path: None

    def path(self, kind: str, source: str, target: str) -> Path:
        """The path from `source` to `target`."""
        key = (kind, source, target)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = Path(kind, source, target)
        return found

    def set_up(self, kind: str, source: str, target: str, up: bool, both_ways: bool = True) -> None:
        """Cut or mend a path; `both_ways` takes the way back too."""
        ways = [(source, target), (target, source)] if both_ways and kind != STORAGE else [(source, target)]
        for here, there in ways:
            path = self.path(kind, here, there)
            if path.up != up:
                path.up = up
                path.generation += up
                path.changed()
                self.changed(path)

    def degrade(self, kind: str, source: str, target: str, **conditions: float) -> None:
        """Set delay, jitter, duplicate, loss, reorder or reorder_delay both ways."""
        for here, there in ((source, target), (target, source)):
            path = self.path(kind, here, there)
            for name, value in conditions.items():
                if name not in ("delay", "jitter", "duplicate", "loss", "reorder", "reorder_delay"):
                    raise ValueError(f"a path has no condition {name!r}")
                setattr(path, name, value)
            path.changed()

    def send(self, path: Path, deliver: Callable[..., object], *args: Any) -> None:
        """Carry one message: `deliver(*args)` runs on arrival, never if it is lost, twice if it is duplicated.

        A message that is under way when the path is cut still arrives: that is the worse case.
        """
        if not path.up:
            return
        if path.faultless:
            self._time.call_at(self._time.now() + path.delay, deliver, *args)
            return
        copies = 1 if self._chance.random() >= path.duplicate else 2
        for _ in range(copies):
            if self._chance.random() >= path.loss:
                self._time.call_at(self._time.now() + self._draw_delay(path), deliver, *args)

    def _draw_delay(self, path: Path) -> float:
        delay = path.delay + path.jitter * self._chance.random()
        if path.reorder and self._chance.random() < path.reorder:
            delay += path.reorder_delay * self._chance.random()
        return delay
