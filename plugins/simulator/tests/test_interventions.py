"""Faults can be struck into a shared world from outside its process."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from holdfast_simulator.shared import forget_shared_worlds, shared_world
from holdfast_simulator.world.bmc import BmcMode
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


def test_a_power_switch_acts_after_the_time_of_a_chassis_and_in_order(path: Path) -> None:
    """What an emulator's switch orders is carried out like an order of the simulated BMC; a lying BMC has no say."""
    world = shared_world({"path": path}).world
    seen: list[str] = []
    booted = threading.Event()

    def watch(happening: Happening) -> None:
        if happening.what is What.POWER_CHANGED:
            seen.append(happening.detail)
        if happening.what is What.HOST_CHANGED and happening.detail == "booted":
            booted.set()

    with world.lock:
        world.physics.bmc_off, world.physics.bmc_on, world.physics.host_boot = 0.1, 0.2, 0.05
        world.add_host("node1").bmc().set_mode(BmcMode.LYING)
        world.chronicle.watchers.append(watch)
    strike(path, ("node1", "off"), ("node1", "on"))

    assert booted.wait(10)
    assert seen == ["off: BMC", "on: BMC"]
