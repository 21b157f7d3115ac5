"""The primary storage of the lab: one NFS export (nfs-ganesha), or iSCSI logical units (tgtd)."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast_lab import addresses, network
from holdfast_lab.bmcs import answers
from holdfast_lab.commands import run, succeeds
from holdfast_lab.daemons import Daemon, pid_of

EXPORT = "/primary"
IQN = "iqn.2026-01.lab.holdfast:primary"
ISCSI_PORT = 3260
POOL_UNIT, TEMPLATE_UNIT, FIRST_UNIT, LAST_UNIT = 1, 2, 3, 20
POOL_BYTES, DISK_BYTES, UNIT_MULTIPLE = 2**24, 2**28, 2**20
_UNIT_SECONDS = 10.0

_GANESHA = """\
NFS_CORE_PARAM {{
    Enable_NLM = false;
    Enable_RQUOTA = false;
    Protocols = 3, 4;
    Bind_addr = {address};
    MNT_Port = 20048;
}}
NFSV4 {{ Grace_Period = 1; Lease_Lifetime = 10; Graceless = true; RecoveryRoot = "{state}"; }}
EXPORT_DEFAULTS {{ Attr_Expiration_Time = 0; }}
EXPORT {{
    Export_Id = 1;
    Path = "{path}";
    Pseudo = "{export}";
    Access_Type = RW;
    Squash = No_Root_Squash;
    SecType = sys;
    Transports = TCP;
    Protocols = 3, 4;
    FSAL {{ Name = VFS; }}
}}
LOG {{ Default_Log_Level = EVENT; }}
"""


@dataclass(frozen=True, slots=True)
class NfsServer:
    """nfs-ganesha with one export. NFS clients call it `nfs://10.99.2.20<folder>/disks`."""

    folder: Path
    logs: Path

    @property
    def disks(self) -> Path:
        """What is exported, as the lab sees it."""
        return self.folder / "disks"

    def furnish(self) -> None:
        """Its folders and its configuration."""
        self.disks.mkdir(parents=True, exist_ok=True)
        (self.folder / "recovery").mkdir(exist_ok=True)
        text = _GANESHA.format(
            address=addresses.STORAGE_ADDRESS, path=self.disks, export=EXPORT, state=self.folder / "recovery"
        )
        (self.folder / "ganesha.conf").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it serves."""
        if not pid_of("rpcbind"):
            self._rpcbind.start()
        self._ganesha.start()

    def stop(self) -> None:
        """It crashes."""
        self._ganesha.stop()

    def add_template(self, image: Path) -> str:
        """Put a qcow2 image on the storage; its URL."""
        place = self.disks / "templates" / image.name
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(image, place)
        return f"nfs://{addresses.STORAGE_ADDRESS}{place}"

    @property
    def pool(self) -> tuple[str, dict[str, str]]:
        """The URL and the details of the pool, as createStoragePool takes them."""
        return f"nfs://{addresses.STORAGE_ADDRESS}{self.disks}", {}

    @property
    def _rpcbind(self) -> Daemon:
        words = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && exec rpcbind -f -w"]
        return Daemon(
            "rpcbind", addresses.STORAGE, words, self.logs / "rpcbind.log",
            lambda: answers(addresses.STORAGE_ADDRESS, 111),
        )  # fmt: skip

    @property
    def _ganesha(self) -> Daemon:
        words: list[str | Path] = ["ganesha.nfsd", "-F", "-f", self.folder / "ganesha.conf", "-L", "/dev/stderr", "-p",
                 "/run/lab/ganesha-own.pid"]  # fmt: skip
        return Daemon(
            "nfs", addresses.STORAGE, words, self.logs / "nfs.log",
            lambda: answers(addresses.STORAGE_ADDRESS, 2049) and answers(addresses.STORAGE_ADDRESS, 20048),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class IscsiServer:
    """tgtd with one target; a logical unit is a file."""

    folder: Path
    logs: Path

    @property
    def disks(self) -> Path:
        """Where the files of the logical units are: lun1, lun2 …"""
        return self.folder / "luns"

    def furnish(self) -> None:
        """Its folder, with a unit for heartbeats, and one for each disk of a VM."""
        self.disks.mkdir(parents=True, exist_ok=True)
        for number, size in (
            (POOL_UNIT, POOL_BYTES),
            *((unit, DISK_BYTES) for unit in range(FIRST_UNIT, LAST_UNIT + 1)),
        ):
            with (self.disks / f"lun{number}").open("wb") as file:
                file.truncate(size)

    def start(self) -> None:
        """Start it with all logical units that it ever had, and wait until it serves."""
        self._tgtd.start()
        self._admin("new", "target", "-T", IQN)
        for path in sorted(self.disks.glob("lun*")):
            self._attach(path)
        self._admin("bind", "target", "-I", "ALL")

    def stop(self) -> None:
        """It crashes."""
        self._tgtd.stop()

    def add_template(self, image: Path) -> str:
        """Put a qcow2 image on the storage; its URL."""
        path = self.disks / f"lun{TEMPLATE_UNIT}"
        shutil.copyfile(image, path)
        with path.open("ab") as file:
            file.truncate(-(-path.stat().st_size // UNIT_MULTIPLE) * UNIT_MULTIPLE)
        self._attach(path)
        return url_of(TEMPLATE_UNIT)

    @property
    def pool(self) -> tuple[str, dict[str, str]]:
        """The URL and the details of the pool, as createStoragePool takes them."""
        return url_of(POOL_UNIT), {"luns": f"{FIRST_UNIT}-{LAST_UNIT}"}

    def _attach(self, path: Path) -> None:
        number = path.name.removeprefix("lun")
        self._admin("new", "logicalunit", "--lun", number, "--backing-store", str(path))

    def _admin(self, operation: str, mode: str, *words: str) -> None:
        line = network.inside(
            addresses.STORAGE,
            "tgtadm",
            "-C",
            "0",
            "--lld",
            "iscsi",
            "--op",
            operation,
            "--mode",
            mode,
            "--tid",
            "1",
            *words,
        )
        until = time.monotonic() + _UNIT_SECONDS
        while not succeeds(line):
            if time.monotonic() > until:
                run(*line)  # says why

    @property
    def _tgtd(self) -> Daemon:
        words = ["tgtd", "-f", "-C", "0", "--iscsi", f"portal={addresses.STORAGE_ADDRESS}:{ISCSI_PORT}"]
        return Daemon(
            "iscsi", addresses.STORAGE, words, self.logs / "iscsi.log",
            lambda: answers(addresses.STORAGE_ADDRESS, ISCSI_PORT),
        )  # fmt: skip


def url_of(number: int) -> str:
    """The URL of a logical unit."""
    return f"iscsi://{addresses.STORAGE_ADDRESS}/{IQN}/{number}"


def server_of(kind: str, folder: Path, logs: Path) -> NfsServer | IscsiServer:
    """The storage server of a lab."""
    return NfsServer(folder, logs) if kind == "nfs" else IscsiServer(folder, logs)
