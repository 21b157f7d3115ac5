"""Which file systems this host has mounted, read without touching them: a dead NFS server hangs whoever does."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")
_NFS = ("nfs", "nfs4", "fuse.nfs", "fuse.fuse-nfs")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of `mountinfo`. `source` is "server:/export" for NFS."""

    point: str
    kind: str
    source: str


class Mounts:
    """The mounts as they are now."""

    def __init__(self, mounts: tuple[Mount, ...]) -> None:
        self._mounts = mounts

    def is_mounted(self, folder: str) -> bool:
        """Whether something is mounted exactly there."""
        wanted = str(PurePosixPath(folder))
        return any(mount.point == wanted for mount in self._mounts)

    def nfs(self, address: str, path: str) -> str | None:
        """The local path of an NFS server's `path`, if a mount covers it; the deepest one if several do."""
        found: tuple[int, str] | None = None
        for mount in self._mounts:
            server, _, export = mount.source.rpartition(":")
            if mount.kind not in _NFS or server.strip("[]") != address.strip("[]"):
                continue
            try:
                inside = PurePosixPath(path).relative_to(PurePosixPath(export))
            except ValueError:
                continue
            if found is None or len(export) > found[0]:
                found = (len(export), str(PurePosixPath(mount.point) / inside))
        return found[1] if found else None


def read_mounts(path: Path = Path("/proc/self/mountinfo")) -> Mounts:
    """Read this process's mounts. Never blocks on a file system."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) > 4 and len(rest) > 1:
            found.append(Mount(_plain(fields[4]), rest[0], _plain(rest[1])))
    return Mounts(tuple(found))


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text)
