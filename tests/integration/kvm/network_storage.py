"""Real NFS and iSCSI servers for VMs' disks; those that the heartbeats' tests start."""

import sys
import tempfile
from pathlib import Path

from holdfast.model.views import PoolView
from real_libvirt import install

sys.path.insert(0, str(Path(__file__).parents[1] / "heartbeats"))

from iscsi_server import TARGET, IscsiServer
from nfs_server import NfsServer

MEBIBYTE = 1 << 20


def _root() -> Path:
    # Not below /tmp, which may be a tmpfs: that has no file handles to export, and no direct I/O.
    return Path(tempfile.mkdtemp(prefix="holdfast-disks-", dir="/var/tmp"))


def nfs() -> NfsServer:
    """nfs-ganesha with one export, not started yet."""
    install("nfs-ganesha", "nfs-ganesha-vfs", "rpcbind", "libnfs-utils", "libnfs13", "iproute2")
    return NfsServer(_root())


def nfs_pool(server: NfsServer) -> PoolView:
    """Its export as a storage pool that nobody has mounted."""
    return PoolView("pool-nfs", "primary", "NetworkFilesystem", "nfs", server.address, path=str(server.share))


def iscsi() -> IscsiServer:
    """tgtd with LUN 1, not started yet."""
    install("tgt", "libiscsi7", "iproute2")
    return IscsiServer(_root())


def add_lun(server: IscsiServer, number: int, size: int, content: Path | None = None) -> Path:
    """Another LUN; the file behind it."""
    file = server.disk.with_name(f"lun{number}.img")
    file.write_bytes(content.read_bytes() if content else b"")
    with file.open("ab") as handle:
        handle.truncate(size)
    server.admin("logicalunit", "new", "--tid", "1", "--lun", str(number), "-b", str(file))
    return file


def iscsi_pool(server: IscsiServer) -> PoolView:
    """Its target as a storage pool; LUN 1 is the pool's own."""
    return PoolView("pool-luns", "luns", "IscsiLUN", "iscsi", server.address, 3260, f"/{TARGET}/1")


def lun_url(server: IscsiServer, number: int) -> str:
    """A LUN as a template's URL."""
    return f"iscsi://{server.address}:3260/{TARGET}/{number}"
