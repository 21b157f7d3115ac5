"""What the disks said, and when: which runs of a VM were alive, and whether two ever were at one time. Pure.

A guest writes its run's token to its disk again and again, with a count that grows. A run lives while its count grows.
Nothing of Holdfast is asked, and no clocks are compared: only the order of what one reader saw counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Word:
    """One token as it stood on a disk. `token` is that boot's own, `run` the run epoch that the guest was told."""

    vm: str
    run: int
    token: str
    count: int


@dataclass(slots=True)
class Life:
    """One boot of one run of one VM. Moments are seconds since 1970; `looks` are numbers of looks at the disks."""

    vm: str
    run: int
    token: str
    count: int
    first_seen: float
    last_seen: float
    first_look: int
    last_look: int
    words: int = 1

    @property
    def was_alive(self) -> bool:
        """Whether it was seen to write. What stood on a disk at the first look may be left from long ago."""
        return self.words > 1 or self.first_look > 1

    def __str__(self) -> str:
        return f"run {self.run} (token {self.token})"


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two lives of one VM at one time: the disk was written by `older` after `newer` had begun."""

    vm: str
    older: str
    newer: str
    at: float

    def __str__(self) -> str:
        return f"VM {self.vm}: {self.older} still wrote after {self.newer} had begun"


@dataclass(slots=True)
class Sightings:
    """Everything seen so far. `longest_gap` is the longest time between two looks, in seconds."""

    lives: dict[tuple[str, int, str], Life] = field(default_factory=dict)
    overlaps: list[Overlap] = field(default_factory=list)
    looks: int = 0
    last_look_at: float = 0.0
    longest_gap: float = 0.0

    def look(self, words: Iterable[Word], at: float) -> None:
        """One look at all disks. A token whose count has not grown since the last look is no sign of life."""
        self.looks += 1
        if self.last_look_at:
            self.longest_gap = max(self.longest_gap, at - self.last_look_at)
        self.last_look_at = at
        for word in words:
            key = (word.vm, word.run, word.token)
            life = self.lives.get(key)
            if life is None:
                self.lives[key] = Life(*key, word.count, at, at, self.looks, self.looks)
            elif word.count != life.count:
                life.count, life.last_seen, life.last_look, life.words = word.count, at, self.looks, life.words + 1
                self._compare(life, at)

    def _compare(self, life: Life, at: float) -> None:
        """`life` has just written: a younger one that was there in an earlier look overlaps with it."""
        for other in self.of(life.vm):
            if other is not life and other.was_alive and life.first_look <= other.first_look < self.looks:
                found = Overlap(life.vm, str(life), str(other), at)
                if all((one.older, one.newer, one.vm) != (found.older, found.newer, found.vm) for one in self.overlaps):
                    self.overlaps.append(found)

    def of(self, vm: str) -> list[Life]:
        """The lives of a VM, in the order in which they were seen."""
        return sorted((life for life in self.lives.values() if life.vm == vm), key=lambda life: life.first_look)

    def unproven(self) -> list[str]:
        """Changes from one life to the next that happened between two looks, so that their order was not seen."""
        found = []
        for vm in sorted({life.vm for life in self.lives.values()}):
            lives = [life for life in self.of(vm) if life.was_alive]
            found += [
                f"VM {vm}: {older} wrote, and {newer} began, between two looks: nobody saw in which order"
                for older, newer in pairwise(lives)
                if older.last_look == newer.first_look
            ]
        return found
