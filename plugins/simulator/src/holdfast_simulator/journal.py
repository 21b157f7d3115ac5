"""The shared world's memory on disk: one small SQLite file, so that simulated hosts outlive a killed server."""

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS host (name TEXT PRIMARY KEY, state TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS intervention (id INTEGER PRIMARY KEY, host TEXT NOT NULL, what TEXT NOT NULL)",
)


class FileJournal:
    """Keeps each host's state as one row. A write is on its way to the disk before `save` returns: it survives the
    end of the process, though not that of the machine, which ends the simulated world anyway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=OFF")
            for statement in _SCHEMA:
                self._file.execute(statement)
        except (sqlite3.Error, OSError) as problem:
            raise ConfigurationError(
                f"simulator: cannot keep the simulated world in {path}: {problem}; set another `path`"
            ) from problem

    def save(self, name: str, dump: Callable[[], dict[str, Any]]) -> None:
        """Keep the host's state."""
        text = json.dumps(dump(), separators=(",", ":"))
        with self._lock:
            if self._last.get(name) != text:
                self._file.execute("INSERT OR REPLACE INTO host VALUES (?, ?)", (name, text))
                self._last[name] = text

    def load(self) -> dict[str, dict[str, Any]]:
        """Every host's state by name."""
        with self._lock:
            rows = self._file.execute("SELECT name, state FROM host ORDER BY rowid").fetchall()
        return {name: json.loads(text) for name, text in rows}

    def take_interventions(self) -> list[tuple[str, str]]:
        """Host and fault of each intervention that was written there from outside, in order; each is given once."""
        with self._lock:
            rows = self._file.execute("SELECT id, host, what FROM intervention ORDER BY id").fetchall()
            if rows:
                self._file.execute("DELETE FROM intervention WHERE id <= ?", (rows[-1][0],))
        return [(host, what) for _, host, what in rows]

    def close(self) -> None:
        """Give up the file."""
        with self._lock:
            self._file.close()
