"""Storage heartbeat driver `iscsi`."""

import glob
import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from holdfast.beats.confined import ConfinedHeartbeat
from holdfast.errors import Refused
from holdfast.model.secret import Secret
from holdfast.model.views import PoolView
from holdfast.options import Option

_DEVICE = "holdfast_heartbeat_iscsi.workers:DeviceArea"
_LUN = "holdfast_heartbeat_iscsi.workers:LunArea"
_PORT = 3260


class Lun(NamedTuple):
    """One LUN of one target at one portal."""

    host: str
    port: int
    target: str
    number: int

    @property
    def portal(self) -> str:
        """As libiscsi takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def device(self) -> str:
        """Where udev shows it once the kernel's initiator has logged in; a pattern, for numbers of networks differ."""
        return f"/dev/disk/by-path/*ip-{self.portal}-iscsi-{glob.escape(self.target)}-lun-{self.number}"


class IscsiHeartbeat(ConfinedHeartbeat):
    """A slot per host in an area of 1 MiB at the beginning of a LUN.

    The LUN is the one that the pool names, or that of the pool's detail `heartbeat.device`: a path (of any shared block
    device) or `iscsi://host[:port]/target/lun`.
    """

    blind = "a LUN cannot tell when it was written last, so the disks of VMs there say nothing of their host"
    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "access": Option(
            str,
            "auto",
            "through the kernel's block device, through libiscsi without one, or auto: the device where there is one",
            choices=("auto", "device", "libiscsi"),
        ),
        "format": Option(bool, True, "make a heartbeat area on a blank LUN; one that holds anything is refused"),
        "timeout": Option(float, 3.0, "seconds that a command may take without a block device", low=1, high=60),
        "initiator": Option(str, "", "this host's name towards targets; as in /etc/iscsi/initiatorname.iscsi if empty"),
        "chap_user": Option(str, "", "user for CHAP, without a block device"),
        "chap_password": Option(Secret, Secret(""), "password for CHAP, without a block device"),
    }

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        given = settings or {}
        self._settings = {name: given.get(name, option.default) for name, option in self.SETTINGS.items()}

    def worker_for(self, pool: PoolView) -> tuple[str, tuple[Any, ...]]:
        """The block device or the LUN."""
        named = pool.details.get("heartbeat.device", "")
        may_format = bool(self._settings["format"])
        if named and not named.startswith("iscsi://"):
            if not os.path.isabs(named):
                raise Refused(
                    f"pool {pool.name}: heartbeat.device is {named!r}; give a path from the root, or iscsi://…"
                )
            return _DEVICE, (pool.uuid, may_format, named)
        lun = _lun_of(pool, named)
        access = self._settings["access"]
        shown = sorted(glob.glob(lun.device)) if access != "libiscsi" else []
        if shown or access == "device":
            return _DEVICE, (pool.uuid, may_format, shown[0] if shown else lun.device.replace("*", ""))
        timeout = math.ceil(self._settings["timeout"])
        password = self._settings["chap_password"].reveal()
        return _LUN, (
            pool.uuid, may_format, lun.portal, lun.target, lun.number,
            self._settings["initiator"], self._settings["chap_user"], password, timeout,
        )  # fmt: skip


def _lun_of(pool: PoolView, named: str) -> Lun:
    host, port, path = pool.address, pool.port, pool.path
    if named:
        authority, _, path = named.removeprefix("iscsi://").partition("/")
        host, separator, digits = authority.rpartition(":")
        if not separator or authority.endswith("]"):
            host, digits = authority, ""
        port = int(digits) if digits.isdecimal() else 0
    target, _, number = path.strip("/").rpartition("/")
    if not host or not target or not number.isdecimal():
        raise Refused(
            f"pool {pool.name} names no LUN for heartbeats; give the detail heartbeat.device a block device, or "
            "iscsi://host[:port]/target/lun"
        )
    return Lun(host.strip("[]"), port or _PORT, target, int(number))
