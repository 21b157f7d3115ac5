"""From pools, disks and templates to places: what each is on this very host."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from holdfast.errors import Refused
from holdfast.model.views import DiskSpec, PoolView

from holdfast_hypervisor_kvm.mounts import Mounts
from holdfast_hypervisor_kvm.place import Place

MOUNT_DETAIL = "mount"
"""Detail of a pool that says where hosts mount it, if not where `/proc` says it is."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_LUN = re.compile(r"[0-9]{1,5}")
_BY_PATH = "/dev/disk/by-path/ip-{address}:{port}-iscsi-{target}-lun-{lun}"
_ISCSI_PORT = 3260


class Places:
    """Looks at mounts and device names, never at the storage itself."""

    def __init__(self, mounts: Callable[[], Mounts], is_device: Callable[[str], bool] | None = None) -> None:
        self._mounts = mounts
        self._is_device = is_device or (lambda path: Path(path).is_block_device())

    def disk(self, disk: DiskSpec) -> Place:
        """Where a VM's disk is, or is to be made. `Refused` if its pool cannot be used on this host."""
        pool = disk.pool
        if pool.pool_type == "IscsiLUN":
            return self._lun(pool, disk.name)
        if not _NAME.fullmatch(disk.name):
            raise Refused(f"{disk.name!r} is no name for a disk on pool {pool.name}: letters, digits, dots and dashes")
        file = f"{disk.name}.{disk.format}"
        mount = pool.details.get(MOUNT_DETAIL, "")
        if pool.pool_type == "NetworkFilesystem" and not mount:
            return self._nfs(pool.address, f"/{pool.path.strip('/')}/{file}")
        folder = mount or pool.path
        if pool.pool_type in ("NetworkFilesystem", "SharedMountPoint"):
            # An empty mount point is an ordinary folder: a disk made in it would be a second one of the same name.
            if not self._mounts().is_mounted(folder):
                raise Refused(f"pool {pool.name} is not mounted at {folder} on this host: mount it, then try again")
        elif pool.pool_type != "Filesystem":
            raise Refused(f"pool {pool.name} is {pool.pool_type}, which this hypervisor driver cannot use")
        if not PurePosixPath(folder).is_absolute():
            raise Refused(f"pool {pool.name} has the folder {folder!r}, which is no absolute path")
        return Place("file", str(PurePosixPath(folder) / file))

    def template(self, url: str) -> Place:
        """Where a template's image is. `Refused` if QEMU cannot open such a thing."""
        if url.startswith("/"):
            return self._local(url)
        parts = urlsplit(url)
        path = unquote(parts.path)
        if parts.scheme == "file":
            return self._local(path)
        if parts.scheme == "nfs" and parts.hostname:
            return self._nfs(parts.hostname, path)
        if parts.scheme == "iscsi" and parts.hostname:
            target, _, lun = path.strip("/").rpartition("/")
            return self._device_or_target(parts.hostname, parts.port or _ISCSI_PORT, target, lun, f"template {url}")
        raise Refused(
            f"template {url[:200]!r} is nothing that this host can open: put the image on primary storage, and "
            "register it under nfs://server/path, iscsi://server/target/lun or a path that is the same on all hosts"
        )

    def _local(self, path: str) -> Place:
        return Place("block" if self._is_device(path) else "file", path)

    def _nfs(self, address: str, path: str) -> Place:
        mounted = self._mounts().nfs(address, path)
        return Place("file", mounted) if mounted else Place("nfs", path, address)

    def _lun(self, pool: PoolView, name: str) -> Place:
        target, _, own = pool.path.strip("/").rpartition("/")
        if not _LUN.fullmatch(own):
            target, own = pool.path.strip("/"), ""
        if not _LUN.fullmatch(name) or name == own:
            raise Refused(
                f"the disk on pool {pool.name} has no LUN of its own ({name!r}): the pool's detail `luns` names those "
                "for VMs, such as 2-20"
            )
        return self._device_or_target(pool.address, pool.port or _ISCSI_PORT, target, name, f"pool {pool.name}")

    def _device_or_target(self, address: str, port: int, target: str, lun: str, what: str) -> Place:
        """The kernel's device where this host has logged in to the target; else QEMU logs in by itself."""
        if not target or not _LUN.fullmatch(lun):
            raise Refused(f"{what} names no LUN: write iscsi://server/iqn.2026-01.example:storage/1")
        device = _BY_PATH.format(address=address, port=port, target=target, lun=lun)
        if self._is_device(device):
            return Place("block", device)
        return Place("iscsi", f"{target}/{lun}", address, port)
