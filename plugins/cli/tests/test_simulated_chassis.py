"""The power switch that BMC emulators run."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from holdfast_cli import simulated_chassis


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A world's memory with one host, which is on."""
    path = tmp_path / "simulator.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as memory:
        memory.execute("CREATE TABLE host (name TEXT PRIMARY KEY, state TEXT NOT NULL)")
        memory.execute("CREATE TABLE intervention (id INTEGER PRIMARY KEY, host TEXT NOT NULL, what TEXT NOT NULL)")
        memory.execute("INSERT INTO host VALUES ('node1', ?)", (json.dumps({"condition": "up"}),))
    return path


def run(world: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As ipmi_sim does, without site packages."""
    command = [sys.executable, "-I", "-S", simulated_chassis.__file__, str(world), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(("condition", "power"), [("up", 1), ("booting", 1), ("hung", 1), ("off", 0)])
def test_it_tells_the_power(world: Path, condition: str, power: int) -> None:
    """On whatever the system on it does, unless the chassis is off."""
    with closing(sqlite3.connect(world, isolation_level=None)) as memory:
        memory.execute("UPDATE host SET state = ?", (json.dumps({"condition": condition}),))

    assert run(world, "node1", "get", "power").stdout == f"power:{power}\n"


def test_it_orders(world: Path) -> None:
    """In the order of the calls."""
    for words in (("power", "0"), ("power", "1"), ("reset", "1"), ("shutdown", "1")):
        assert run(world, "node1", "set", *words).returncode == 0

    with closing(sqlite3.connect(world)) as memory:
        rows = memory.execute("SELECT host, what FROM intervention ORDER BY id").fetchall()
    assert rows == [("node1", what) for what in ("off", "on", "reset", "shutdown")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("node2", "get", "power"), "no host node2"),
        (("node1", "set", "boot", "pxe"), "cannot set boot pxe"),
        (("node1", "set", "power"), "cannot set power"),
        (("node1", "get"), "usage"),
    ],
)
def test_what_it_cannot_do_it_refuses(world: Path, words: tuple[str, ...], complaint: str) -> None:
    """Never a word about a power that it does not know."""
    ended = run(world, *words)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert complaint in ended.stderr


def test_without_a_world_it_knows_nothing(tmp_path: Path) -> None:
    """And makes no file in its place."""
    ended = run(tmp_path / "gone.db", "node1", "get", "power")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []
