"""Fixtures of the manager's tests; `manager_bed` beside this file is where they come from."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from manager_bed import Bed


@pytest.fixture
def make_bed() -> Iterator[Callable[..., Bed]]:
    """Makes beds, and takes them apart after the test. No test may leave an error that nobody caught."""
    beds: list[Bed] = []

    def make(**options: Any) -> Bed:
        bed = Bed(**options)
        beds.append(bed)
        return bed

    yield make
    for bed in beds:
        problems = list(bed.site.loop.problems)
        bed.close()
        assert problems == []


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """Three hosts in one cluster, one pool, two managers that have settled."""
    return make_bed()
