"""What one reader makes of what it sees on one pool, by its own clock alone."""

from dataclasses import dataclass
from typing import Final

from holdfast.beats.record import BeatRecord
from holdfast.model.views import HeartbeatReading

LONGEST_GAP_SECONDS: Final = 5.0
"""A reader that did not look for longer than this has been blind, whatever kept it from looking."""


@dataclass(slots=True)
class _Sighting:
    beat: BeatRecord
    moved_at: float
    looked_at: float
    since: float | None
    ever_moved: bool = False


class Sightings:
    """Per reader and subject: when the beat last moved, and since when the reader has looked on end.

    Time in which the reader could not look does not count: whatever blinded it may have kept the writer from writing.
    So an outage that both share accuses nobody when it ends. Not thread-safe.

    All times are seconds of the reader's monotonic clock. A look has a beginning and an end: what moved, moved before
    the end, and what stands still, did so up to the beginning. Both errors make `unchanged_for` smaller.
    """

    def __init__(self, longest_gap: float = LONGEST_GAP_SECONDS) -> None:
        self._longest_gap = longest_gap
        self._seen: dict[tuple[str, str], _Sighting] = {}

    def saw(self, reader: str, beat: BeatRecord, began: float, ended: float) -> HeartbeatReading:
        """`reader` looked from `began` to `ended` and found `beat`; what that adds up to.

        Any change is movement, also one to a lower sequence: somebody wrote, and that is what counts.
        """
        found = self._seen.get((reader, beat.host))
        if found is None:
            self._seen[reader, beat.host] = found = _Sighting(beat, ended, ended, ended)
        elif beat != found.beat:
            found.beat, found.moved_at, found.ever_moved = beat, ended, True
            found.since = ended if self._was_blind(found, began) else found.since
        elif self._was_blind(found, began):
            found.since = ended
        found.looked_at = ended
        still_since = max(found.moved_at, found.since if found.since is not None else ended)
        return HeartbeatReading(beat.sequence, max(0.0, began - still_since), found.ever_moved)

    def _was_blind(self, found: _Sighting, began: float) -> bool:
        return found.since is None or began - found.looked_at > self._longest_gap

    def blinded(self) -> None:
        """A look at the pool failed, for every reader that shares this path to it."""
        for found in self._seen.values():
            found.since = None

    def forget(self, subject: str) -> None:
        """The subject's heartbeat was removed."""
        for key in [key for key in self._seen if key[1] == subject]:
            del self._seen[key]
