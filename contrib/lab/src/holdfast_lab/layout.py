"""Where a lab keeps its things."""

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast_lab.databases import MariaDb
from holdfast_lab.host import Host
from holdfast_lab.options import Options
from holdfast_lab.problems import LabError
from holdfast_lab.stores import IscsiServer, NfsServer, server_of


def default_folder() -> Path:
    """The folder of the lab that has no name: HOLDFAST_LAB, else below XDG's state folder."""
    named = os.environ.get("HOLDFAST_LAB")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "holdfast-lab"


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: its folder, and its parts by name."""

    folder: Path
    options: Options

    @property
    def logs(self) -> Path:
        """What all its servers say; kept by `down`."""
        return self.folder / "logs"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Its hosts, in order."""
        return tuple(Host(name, self.folder / "hosts" / name) for name in self.options.names)

    def host(self, name: str) -> Host:
        """The host of that name. `LabError` if there is none."""
        if name not in self.options.names:
            raise LabError(f"{name}: the lab's hosts are {', '.join(self.options.names)}")
        return Host(name, self.folder / "hosts" / name)

    @property
    def storage(self) -> NfsServer | IscsiServer:
        """Its storage server."""
        return server_of(self.options.storage, self.folder / "storage", self.logs)

    @property
    def database(self) -> MariaDb:
        """Its database server; not there with SQLite."""
        return MariaDb(self.folder / "database", self.logs)
