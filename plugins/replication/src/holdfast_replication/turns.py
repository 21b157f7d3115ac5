"""Which management server tells: the first by `msid` of those that live. Pure: rows and a clock's time come in.

Nobody writes into `mshost` that a server has died, and its clock need not be ours. So a server lives when its row is
seen to move, and is gone when the row stands still for too long.
"""

from collections.abc import Sequence
from enum import Enum
from math import inf
from typing import Final

from holdfast.model import ManagementServer, Moment

PATIENCE_SECONDS: Final = 20.0
"""A row that stands still for so long is a dead server's: a living one refreshes its own every five seconds."""


class Turn(Enum):
    """Who tells."""

    OURS = "ours"
    THEIRS = "theirs"
    UNKNOWN = "nobody is known to"


class Turns:
    """Watches the rows of the servers that come before this one.

    `patience`: after how many seconds without a movement a row is a dead server's. Looks must come at least twice in
    that time to tell anything.
    """

    def __init__(self, name: str, patience: float = PATIENCE_SECONDS) -> None:
        self._name = name
        self._patience = patience
        self._noted: dict[int, tuple[Moment, float]] = {}
        self._looked = -inf
        self.heard = -inf
        """A moment at which one of those that come first was certainly alive still."""

    def forget(self) -> None:
        """The rows could not be read: that one stood still meanwhile says nothing."""
        self._noted.clear()

    def whose(self, rows: Sequence[ManagementServer], now: float) -> Turn:
        """From all rows that count, in order of `msid`, as read at `now`: seconds of a clock that only rises."""
        if now - self._looked > self._patience / 2:
            self.forget()
        self._looked = now
        elders = []
        for row in rows:
            if row.name == self._name:
                break
            elders.append(row)
        before, self._noted = self._noted, {}
        for row in elders:
            moved, since = before.get(row.msid, (row.last_update, now))
            if row.last_update > moved:
                self.heard = max(self.heard, since)
                since = now
            self._noted[row.msid] = row.last_update, since
        if not elders or all(now - since > self._patience for _, since in self._noted.values()):
            return Turn.OURS
        return Turn.THEIRS if now - self.heard <= self._patience else Turn.UNKNOWN
