"""Which share is mounted where, as the kernel tells it. Reading that never touches the share, so it never hangs."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

_OCTAL = re.compile(r"\\([0-7]{3})")
NFS_TYPES = frozenset({"nfs", "nfs4"})


class Mount(NamedTuple):
    """One line of mountinfo."""

    number: int
    point: str
    kind: str
    source: str
    options: frozenset[str]


def read_mounts(path: str = "/proc/self/mountinfo") -> list[Mount]:
    """All mounts of this process, in the order they were made: a later one hides an earlier one at the same place."""
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        return list(parse(lines))


def parse(lines: Iterable[str]) -> Iterable[Mount]:
    """Mounts from the lines of a mountinfo file; lines that make no sense are left out."""
    for line in lines:
        left, separator, right = line.rstrip("\n").partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if separator and len(fields) >= 6 and len(tail) >= 3 and fields[0].isdecimal():
            options = frozenset(fields[5].split(",")) | frozenset(tail[2].split(","))
            yield Mount(int(fields[0]), _plain(fields[4]), tail[0], _plain(tail[1]), options)


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def mounted_at(mounts: Iterable[Mount], point: str) -> Mount | None:
    """What is mounted at `point` itself, on top; None if it is a plain folder."""
    wanted = os.path.normpath(point)
    found = None
    for mount in mounts:
        if mount.point == wanted:
            found = mount
    return found


def mount_of_share(mounts: Iterable[Mount], address: str, path: str) -> Mount | None:
    """Where the NFS share `address:path` is mounted, the newest mount first; None if it is not."""
    share = (_host(address), os.path.normpath(path))
    found = None
    for mount in mounts:
        host, _, export = mount.source.rpartition(":/")
        if mount.kind in NFS_TYPES and (_host(host), os.path.normpath("/" + export)) == share:
            found = mount
    if found is not None and mounted_at(mounts, found.point) != found:
        return None
    return found


def _host(address: str) -> str:
    return address.strip("[]").lower()


def mount_number(descriptor: int) -> int:
    """On which mount an open file lies: a mount's `number`, or -1 if the kernel does not say."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    return -1
