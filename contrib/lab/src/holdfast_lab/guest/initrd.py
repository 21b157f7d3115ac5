"""The guest's initial file system: busybox, a few kernel modules, and its init."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

from holdfast_lab.problems import LabError

MODULES = (
    "virtio_pci", "virtio_blk", "net_failover", "virtio_net", "button", "evdev", "pvpanic-mmio"
)  # fmt: skip
APPLETS = (
    "sh", "mount", "insmod", "cat", "strings", "sed", "head", "usleep", "dd", "poweroff", "reboot", "ip"
)  # fmt: skip
INIT = Path(__file__).with_name("init.sh")

_FILE, _FOLDER, _LINK, _DEVICE = 0o100000, 0o040000, 0o120000, 0o020000
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def make_initrd(modules: Path, busybox: Path) -> bytes:
    """The compressed archive. `modules` is a kernel's folder of modules."""
    order = with_needs(MODULES, modules)
    archive = Cpio()
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        archive.add(folder, _FOLDER | 0o755)
    archive.add("dev/console", _DEVICE | 0o600, device=(5, 1))
    archive.add("bin/busybox", _FILE | 0o755, busybox.read_bytes())
    for applet in APPLETS:
        archive.add(f"bin/{applet}", _LINK | 0o777, b"busybox")
    for path in order:
        archive.add(f"modules/{path.name}", _FILE | 0o644, path.read_bytes())
    archive.add("modules/order", _FILE | 0o644, "".join(f"{path.name}\n" for path in order).encode())
    archive.add("init", _FILE | 0o755, INIT.read_bytes())
    return gzip.compress(archive.finished(), mtime=0)


def with_needs(names: Iterable[str], modules: Path) -> list[Path]:
    """The modules' files, each after those that it depends on."""
    files = {_plain(path.name.removesuffix(".ko")): path for path in modules.rglob("*.ko")}
    order: list[Path] = []

    def take(name: str) -> None:
        path = files.get(_plain(name))
        if path is None:
            raise LabError(f"the kernel under {modules} has no module {name}: its Debian package has changed")
        if path in order:
            return
        needs = _DEPENDS.search(path.read_bytes())
        for need in needs.group(1).decode().split(",") if needs else ():
            if need:
                take(need)
        order.append(path)

    for name in names:
        take(name)
    return order


def _plain(name: str) -> str:
    return name.replace("-", "_")


class Cpio:
    """A `newc` archive, the same bytes for the same contents."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """One entry; for a link `data` is its target."""
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._parts += [_padded(header + path), _padded(data)]

    def finished(self) -> bytes:
        """The archive."""
        self.add("TRAILER!!!", 0)
        return b"".join(self._parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
