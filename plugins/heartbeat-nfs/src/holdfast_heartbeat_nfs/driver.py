"""Storage heartbeat driver `nfs`."""

from collections.abc import Mapping
from typing import Any, ClassVar

from holdfast.beats.confined import ConfinedHeartbeat
from holdfast.errors import Refused
from holdfast.model.views import PoolView
from holdfast.options import Option

from holdfast_heartbeat_nfs.mounts import mount_of_share, read_mounts

_MOUNTED = "holdfast_heartbeat_nfs.mounted:MountedShare"
_DIRECT = "holdfast_heartbeat_nfs.direct:DirectShare"


class NfsHeartbeat(ConfinedHeartbeat):
    """A file per host in `.holdfast-heartbeats/<pool uuid>/` of the share, replaced as a whole at each beat.

    Pool details that it reads: `heartbeat.mountpoint` (where the share is mounted, if not where the kernel says),
    `heartbeat.nfs.port`, `heartbeat.nfs.mountport` (for a server without a portmapper; without a mount only).
    """

    sees_disks = True
    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "access": Option(
            str,
            "auto",
            "through the kernel's mount, through libnfs without one, or auto: the mount where there is one",
            choices=("auto", "mount", "libnfs"),
        ),
        "timeout": Option(float, 3.0, "seconds that a request may take without a mount", low=0.2, high=60),
        "forget_after_days": Option(
            float, 30.0, "heartbeats that nobody has written for so long are removed from a mounted share", low=1
        ),
    }

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        given = settings or {}
        self._settings = {name: given.get(name, option.default) for name, option in self.SETTINGS.items()}

    def worker_for(self, pool: PoolView) -> tuple[str, tuple[Any, ...]]:
        """The mounted share or the export."""
        access, point = self._settings["access"], pool.details.get("heartbeat.mountpoint", "")
        if not pool.address:
            point = point or pool.path
            if not point:
                raise Refused(f"pool {pool.name} has neither an address nor a mount point")
        elif access == "auto":
            access = "mount" if point or mount_of_share(read_mounts(), pool.address, pool.path) else "libnfs"
        if point or access == "mount":
            return _MOUNTED, (pool.uuid, pool.address, pool.path, point, self._settings["forget_after_days"])
        options: dict[str, Any] = {}
        for key in ("port", "mountport"):
            value = pool.details.get(f"heartbeat.nfs.{key}", "") or (pool.port if key == "port" and pool.port else "")
            if value:
                options["nfsport" if key == "port" else key] = value
        timeout = int(self._settings["timeout"] * 1000)
        return _DIRECT, (pool.uuid, pool.address, pool.path, options, timeout)
