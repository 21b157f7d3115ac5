"""The process-wide shared world in real time, one per journal file: what drivers made by the plugin loader use."""

import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from holdfast_simulator.interventions import Interventions
from holdfast_simulator.journal import FileJournal
from holdfast_simulator.real_time import RealTime
from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.host import Size
from holdfast_simulator.world.physics import Physics
from holdfast_simulator.world.world import Journal, NoJournal, World

_guard = threading.Lock()
_worlds: dict[str, "SharedWorld"] = {}


class ThisProcess:
    """The owner of gateways in real life: alive as long as it can ask."""

    alive = True

    def deliver(self, callback: Callable[..., object], *args: Any) -> None:
        """Listeners never block, so they are called where the news is."""
        callback(*args)


class SharedWorld:
    """A growing world in real time. `path` None keeps nothing."""

    def __init__(self, path: Path | None, physics: Physics | None = None) -> None:
        self.time = RealTime()
        self._file = None if path is None else FileJournal(path)
        journal: Journal = self._file or NoJournal()
        self.world = World(self.time, physics=physics, journal=journal, grows=True)
        self.time.guard(self.world.lock)
        self.gateway: Gateway = self.world.gateway(socket.gethostname(), ThisProcess())
        if self._file is not None:
            self._wake(self._file)
            with self.world.lock:
                Interventions(self.world, self._file)

    def _wake(self, journal: FileJournal) -> None:
        with self.world.lock:
            for name, kept in journal.load().items():
                self.world.add_host(name, kept["uuid"], Size(*kept["size"]), kept)

    def close(self) -> None:
        """End the world's thread and let the file go."""
        self.time.close()
        if self._file is not None:
            self._file.close()


def shared_world(settings: Mapping[str, Any]) -> SharedWorld:
    """The world of the settings' `path`, made at first use."""
    path = settings.get("path")
    key = "" if path is None else str(Path(path).absolute())
    with _guard:
        if key not in _worlds:
            _worlds[key] = SharedWorld(None if path is None else Path(path))
        return _worlds[key]


def shared_gateway(settings: Mapping[str, Any]) -> Gateway:
    """This process's way into that world."""
    return shared_world(settings).gateway


def forget_shared_worlds() -> None:
    """Close all of them, as the end of the process would; the next use wakes them from their files."""
    with _guard:
        for shared in _worlds.values():
            shared.close()
        _worlds.clear()
