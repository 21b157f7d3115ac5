"""Slows down password guessing, for the guesser alone.

Failures are counted per user name and address together, so that guessing never locks the owner out, and more
generously per address alone. Turns are handed out one after the other: guesses sent all at once wait in line.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 5
FREE_FAILURES_PER_ADDRESS = 100
LONGEST_WAIT_SECONDS = 30.0
_FORGET_AFTER_SECONDS = 900.0
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Score:
    failures: int = 0
    next_turn: float = 0.0
    last: float = 0.0


class Throttle:
    """Not thread-safe: used on the event loop only. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._scores: OrderedDict[tuple[str, str], _Score] = OrderedDict()

    def turn(self, username: str, address: str) -> float | None:
        """Seconds to wait before this attempt may be looked at; None if the line is too long: refuse it."""
        now = self._clock()
        waits = []
        scores = self._touched(username, address, now)
        for score, free in scores:
            waits.append(max(0.0, score.next_turn - now) if score.failures >= free else 0.0)
        wait = max(waits)
        if wait > LONGEST_WAIT_SECONDS:
            return None
        for score, free in scores:
            if score.failures >= free:
                pace = min(0.5 * 2.0 ** (score.failures - free), LONGEST_WAIT_SECONDS)
                score.next_turn = max(score.next_turn, now) + pace
        return wait

    def failed(self, username: str, address: str) -> None:
        """The attempt was wrong."""
        for score, _free in self._touched(username, address, self._clock()):
            score.failures += 1

    def passed(self, username: str, address: str) -> None:
        """The attempt was right: this user's failures from this address are forgotten."""
        self._scores.pop((username, address), None)

    def _touched(self, username: str, address: str, now: float) -> tuple[tuple[_Score, int], ...]:
        found = []
        for key, free in (((username, address), FREE_FAILURES), (("", address), FREE_FAILURES_PER_ADDRESS)):
            score = self._scores.get(key)
            if score is None or now - score.last > _FORGET_AFTER_SECONDS:
                score = self._scores[key] = _Score()
            score.last = now
            self._scores.move_to_end(key)
            found.append((score, free))
        while len(self._scores) > _REMEMBERED:
            self._scores.popitem(last=False)
        return tuple(found)
