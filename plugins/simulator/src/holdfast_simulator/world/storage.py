"""Storage pools, and the heartbeats that hosts write there: computed when somebody looks, not one by one.

A beat sequence is a function of time between two changes of circumstance. Readers watch all the time while they can,
so what a reader has seen is a function of time too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.beats.disks import DiskSightings
from holdfast.errors import NotFound, Refused, Unreachable
from holdfast.model.views import DiskReading, HeartbeatReading


@dataclass(slots=True)
class BeatLine:
    """The beats of one writer on one pool: `sequence` as it was when circumstances last changed, and the next ones.

    While `period` is above 0, beats land at `following`, `following + period` and so on.
    """

    sequence: int
    last: float
    following: float = 0.0
    period: float = 0.0

    def landed(self, now: float) -> int:
        """How many beats landed since the last change."""
        if self.period <= 0.0 or now < self.following:
            return 0
        return 1 + math.floor((now - self.following) / self.period + 1e-9)

    def sequence_at(self, now: float) -> int:
        """The sequence on the storage at `now`."""
        return self.sequence + self.landed(now)

    def last_at(self, now: float) -> float:
        """When the newest beat landed."""
        landed = self.landed(now)
        return self.last if not landed else self.following + (landed - 1) * self.period

    def settle(self, now: float) -> None:
        """Make `now` the time of the last change."""
        landed = self.landed(now)
        if landed:
            self.last = self.following + (landed - 1) * self.period
            self.sequence += landed
            self.following = self.last + self.period

    def run(self, now: float, period: float, first: float) -> None:
        """Beat each `period` from `first` on; 0 stops."""
        self.settle(now)
        self.period = period
        self.following = first


@dataclass(slots=True)
class Watch:
    """What one reader saw of one writer. `since` is when it last began to look on end; None while it cannot."""

    seen: int
    moved_at: float
    since: float | None
    ever_moved: bool = False

    def look(self, line: BeatLine, now: float) -> None:
        """Take in everything that happened up to `now`; only for a reader that could look since `since`."""
        if self.since is None:
            return
        sequence = line.sequence_at(now)
        if sequence != self.seen:
            self.moved_at = max(line.last_at(now), self.since)
            self.seen = sequence
            self.ever_moved = True


class Pool:
    """One storage pool. `latency` is how long a write takes; it delays beats, and stops none.

    A `read_only` pool refuses writes; call `set_writing` for its writers when that changes.
    """

    def __init__(self, uuid: str, name: str, now: Callable[[], float], beat_interval: float) -> None:
        self.uuid = uuid
        self.name = name
        self.up = True
        self.read_only = False
        self.latency = 0.01
        self._now = now
        self._interval = beat_interval
        self._lines: dict[str, BeatLine] = {}
        self._watches: dict[tuple[str, str], Watch] = {}
        self._looking: dict[str, float] = {}
        self.disks = DiskSightings()
        """What readers saw of the disks here."""
        self._marks: dict[str, str] = {}

    @property
    def writers(self) -> tuple[str, ...]:
        """Hosts that have a heartbeat here."""
        return tuple(self._lines)

    def prepare(self, writer: str, can_write: bool) -> None:
        """Make room for `writer`'s beats. Idempotent."""
        if writer not in self._lines:
            self._lines[writer] = BeatLine(0, self._now())
            self.set_writing(writer, can_write)
            self.set_looking(writer, can_write)

    def remove(self, writer: str) -> None:
        """Forget `writer`'s beats."""
        self._lines.pop(writer, None)
        self._looking.pop(writer, None)
        for key in [key for key in self._watches if key[1] == writer]:
            del self._watches[key]

    def set_writing(self, writer: str, can_write: bool) -> None:
        """Whether `writer` can write from now on. A write that is begun while the pool is slow lands late."""
        line = self._lines.get(writer)
        if line is None:
            return
        now = self._now()
        for (_, subject), watch in self._watches.items():
            if subject == writer:
                watch.look(line, now)
        line.settle(now)
        if not can_write:
            line.run(now, 0.0, 0.0)
            return
        begin = max(now, line.last + self._interval)
        line.run(now, max(self._interval, self.latency), begin + self.latency)

    def write(self, writer: str, sequence: int) -> None:
        """One explicit beat, now."""
        line = self._lines.get(writer)
        if line is None:
            raise NotFound(f"pool {self.name}: no heartbeat of {writer} was prepared")
        if self.read_only:
            raise Refused(f"pool {self.name} is read-only")
        now = self._now()
        line.settle(now)
        running = line.period
        line.sequence, line.last = sequence, now
        if running:
            line.following = now + running

    def look_at_disks(self, reader: str, disks: tuple[str, ...], writing: Callable[[str], bool]) -> DiskReading:
        """What `reader` sees of disks. `writing` is the truth about each: what is written changes all the time."""
        now = self._now()
        for name in disks:
            if writing(name) or name not in self._marks:
                self._marks[name] = repr(now)
        return self.disks.saw(reader, disks, {name: self._marks[name] for name in disks}, now, now)

    def last_beat(self, writer: str) -> float:
        """True time at which `writer`'s newest beat landed; minus infinity if it has none here."""
        line = self._lines.get(writer)
        return -math.inf if line is None else line.last_at(self._now())

    def set_looking(self, reader: str, can_look: bool) -> None:
        """Whether `reader` can see the pool from now on. A host that beats here watches all others."""
        now = self._now()
        if not can_look:
            self._looking.pop(reader, None)
        elif reader in self._lines:
            self._looking.setdefault(reader, now)
        for (who, subject), watch in self._watches.items():
            line = self._lines.get(subject)
            if who != reader or line is None:
                continue
            watch.look(line, now)
            if not can_look:
                watch.since = None
            elif watch.since is None:
                watch.since = now
                watch.look(line, now)

    def _watch(self, reader: str, subject: str, can_look: bool) -> Watch:
        """The reader's watch on `subject`; one that was not asked for before began when the reader began to look."""
        key = (reader, subject)
        found = self._watches.get(key)
        if found is None:
            line, now = self._lines[subject], self._now()
            since = self._looking.get(reader, now) if can_look else now
            moved = line.last_at(now) > since
            found = Watch(line.sequence_at(now), max(line.last_at(now), since), since if can_look else None, moved)
            self._watches[key] = found
        return found

    def read(self, reader: str, subject: str, can_look: bool, rate: float = 1.0) -> HeartbeatReading:
        """What `reader` sees; `rate` is that of its clock."""
        line = self._lines.get(subject)
        if line is None:
            raise NotFound(f"pool {self.name}: no heartbeat of {subject}")
        watch = self._watch(reader, subject, can_look)
        if not can_look or not self.up:
            raise Unreachable(f"pool {self.name} does not answer {reader}")
        now = self._now()
        watch.look(line, now)
        return HeartbeatReading(watch.seen, (now - watch.moved_at) * rate, watch.ever_moved)
