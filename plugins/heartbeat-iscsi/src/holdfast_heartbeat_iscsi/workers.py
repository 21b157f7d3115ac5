"""What a lane's process makes for a pool: its area on a kernel's block device, or on a LUN by libiscsi."""

from holdfast_heartbeat_iscsi.area import HeartbeatArea
from holdfast_heartbeat_iscsi.block_device import BlockDevice
from holdfast_heartbeat_iscsi.libiscsi import IscsiDisk


class DeviceArea(HeartbeatArea):
    """By the kernel."""

    def __init__(self, pool: str, may_format: bool, path: str) -> None:
        super().__init__(pool, BlockDevice(path), may_format)


class LunArea(HeartbeatArea):
    """By libiscsi; the last seven are those of `IscsiDisk`."""

    def __init__(
        self,
        pool: str,
        may_format: bool,
        portal: str,
        target: str,
        lun: int,
        initiator: str,
        user: str,
        password: str,
        timeout: int,
    ) -> None:
        super().__init__(pool, IscsiDisk(portal, target, lun, initiator, user, password, timeout), may_format)
