"""What one reader makes of disks that it sees on one pool, by its own clock alone."""

from dataclasses import dataclass
from typing import Final

from holdfast.beats.sightings import LONGEST_GAP_SECONDS
from holdfast.model.views import DiskReading

_FORGOTTEN_AFTER: Final = 600.0


@dataclass(slots=True)
class _Disk:
    mark: str
    since: float
    looked_at: float
    changed_at: float | None = None


class DiskSightings:
    """Per reader and disk: since when it has been looked at on end, and when it last changed meanwhile.

    A mark is whatever the storage says of a disk that is another after each write. Marks are compared with each other,
    never with a clock. Two looks far apart show no change: it may have come long before the second. A disk that was
    gone, or could not be looked at, is seen afresh. Not thread-safe. All times are the reader's monotonic seconds.
    """

    def __init__(self, longest_gap: float = LONGEST_GAP_SECONDS) -> None:
        self._longest_gap = longest_gap
        self._seen: dict[tuple[str, str], _Disk] = {}

    def saw(
        self, reader: str, asked: tuple[str, ...], marks: dict[str, str], began: float, ended: float
    ) -> DiskReading:
        """`reader` looked from `began` to `ended`, and found `marks` of those that it `asked` for."""
        disks = {}
        for name in asked:
            if name in marks:
                disks[name] = self._take_in(reader, name, marks[name], began, ended)
            else:
                self._seen.pop((reader, name), None)
        self._forget_old(ended)
        since = min((disk.since for disk in disks.values()), default=ended)
        changes = {name: disk.changed_at for name, disk in disks.items() if disk.changed_at is not None}
        newest = max(changes, key=lambda name: changes[name], default="")
        still_since = changes[newest] if newest else since
        return DiskReading(len(disks), max(0.0, began - since), max(0.0, began - still_since), newest)

    def _take_in(self, reader: str, name: str, mark: str, began: float, ended: float) -> _Disk:
        disk = self._seen.get((reader, name))
        if disk is None or began - disk.looked_at > self._longest_gap:
            self._seen[reader, name] = disk = _Disk(mark, ended, ended)
        elif disk.mark != mark:
            disk.mark, disk.changed_at = mark, ended
        disk.looked_at = ended
        return disk

    def _forget_old(self, now: float) -> None:
        for key in [key for key, disk in self._seen.items() if now - disk.looked_at > _FORGOTTEN_AFTER]:
            del self._seen[key]
