"""What is true in the simulated world, read from its own memory on disk: the witness that the API cannot fool.

The simulator keeps one row per host: a JSON document with the chassis (`condition`) and the guests of `book`.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError

FILE_NAME = "simulator.db"
_WRITING = ("running", "paused", "unknown")


@dataclass(frozen=True, slots=True)
class TrueRun:
    """One run of a VM that exists: on which host, under which run epoch, and whether its host is up."""

    vm: str
    host: str
    run_epoch: int
    host_up: bool


def true_runs(data_dir: Path) -> dict[str, list[TrueRun]]:
    """VM uuid → every run of it that can write, now or later; two of one VM are a catastrophe."""
    found: dict[str, list[TrueRun]] = {}
    for name, state in _hosts(data_dir):
        for guest in state["book"]["guests"]:
            if guest["state"] in _WRITING:
                run = TrueRun(guest["spec"]["uuid"], name, int(guest["run_epoch"]), state["condition"] == "up")
                found.setdefault(run.vm, []).append(run)
    return found


def cut_power(data_dir: Path, host: str) -> None:
    """Let a simulated host lose power, as if its plug were pulled. Returns once the order is written."""
    path = data_dir / FILE_NAME
    try:
        with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as memory:
            memory.execute("INSERT INTO intervention (host, what) VALUES (?, 'power-loss')", (host,))
    except sqlite3.Error as problem:
        raise HoldfastError(f"the simulated world's memory {path} cannot be written: {problem}") from problem


def _hosts(data_dir: Path) -> list[tuple[str, dict[str, Any]]]:
    path = data_dir / FILE_NAME
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as memory:
            rows = memory.execute("SELECT name, state FROM host").fetchall()
        return [(name, json.loads(text)) for name, text in rows]
    except (sqlite3.Error, ValueError) as problem:
        raise HoldfastError(f"the simulated world's memory {path} cannot be read: {problem}") from problem
