"""What the readings of a host's fence devices add up to: is the host without power?"""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from holdfast.model.states import Opinion


class DeviceReading(NamedTuple):
    """What one fence device says: DEAD for plain off, ALIVE for on, UNKNOWN, or None while it is being asked."""

    level: int
    opinion: Opinion | None


def host_power(readings: Sequence[DeviceReading]) -> Opinion | None:
    """DEAD only if every device of one level reads off, and no level before it has one that reads on.

    A level alone is enough: its devices together are all the power that the host has. One that reads on before it
    contradicts that (a mistaken outlet, say), and then nothing is proven. None: that depends on what is still asked.
    """
    for _, of_level in groupby(sorted(readings, key=lambda reading: reading.level), lambda reading: reading.level):
        opinions = {reading.opinion for reading in of_level}
        if Opinion.ALIVE in opinions:
            return Opinion.ALIVE
        if None in opinions:
            return None
        if opinions == {Opinion.DEAD}:
            return Opinion.DEAD
    return Opinion.UNKNOWN
