"""Faults can be struck into a shared world from outside its process."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from holdfast_simulator.shared import forget_shared_worlds, shared_world
from holdfast_simulator.world.happenings import Happening, What


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "simulator.db"
    forget_shared_worlds()


def strike(path: Path, *orders: tuple[str, str]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executemany("INSERT INTO intervention (host, what) VALUES (?, ?)", orders)


def test_a_row_pulls_the_plug_once(path: Path) -> None:
    """The chassis loses power, and the row is gone; what cannot be understood harms nothing."""
    world = shared_world({"path": path}).world
    off = threading.Event()

    def watch(happening: Happening) -> None:
        if happening.what is What.POWER_CHANGED:
            off.set()

    with world.lock:
        world.add_host("node1")
        world.chronicle.watchers.append(watch)
    strike(path, ("nobody", "power-loss"), ("node1", "nonsense"), ("node1", "power-loss"))

    assert off.wait(10)
    with world.lock:
        assert not world.host("node1").powered
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM intervention").fetchone() == (0,)
