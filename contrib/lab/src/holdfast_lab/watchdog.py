"""A hardware watchdog for a host of the lab: a device file that takes the kernel's ioctls, and truly resets the host.

A watchdog of this machine's kernel would reset the whole machine. So the device is a file of a small FUSE file system,
served by a process outside the host: freezing or killing all of the host does not stop it.
Run as `python -m holdfast_lab.watchdog FOLDER NAMESPACE`, with the host's folder.
"""

import ctypes
import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mfusepy  # type: ignore[import-untyped]

from holdfast_lab.host import Host
from holdfast_lab.watchdog_clock import WatchdogClock

KEEP_ALIVE, SET_TIME, GET_TIME, GET_SUPPORT = 0x80045705, 0xC0045706, 0x80045707, 0x80285700
_OPTIONS = 0x8000 | 0x0080 | 0x0100  # keeps alive by ping, its time can be set, and it knows the magic close
_IDENTITY = b"lab watchdog"
_FILE = "/device"
_TICK = 0.1


class Device(mfusepy.Operations):  # type: ignore[misc]
    """The file system: one folder, one file."""

    use_ns = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clock = WatchdogClock()
        self._lock = threading.Lock()
        threading.Thread(target=self._count, daemon=True).start()

    def _boot(self) -> str:
        """What tells this power-on from others; "" if the host is off."""
        try:
            return str(self._host.first_process())
        except Exception:
            return ""

    def _count(self) -> None:
        while True:
            time.sleep(_TICK)  # a clock has nothing else to wait for
            with self._lock:
                bites = self._clock.due is not None and self._clock.bites(self._boot(), time.monotonic())
            if bites:
                print(f"{time.time():.3f} not fed: {self._host.name} is reset", flush=True)
                subprocess.run([*self._host.chassis_words, "set", "reset", "1"], check=False)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path == _FILE:
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": 0}
        raise mfusepy.FuseOSError(errno.ENOENT)

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", _FILE.strip("/")]

    def open(self, path: str, flags: int) -> int:
        with self._lock:
            if not self._clock.open(self._boot(), time.monotonic()):
                raise mfusepy.FuseOSError(errno.EBUSY)
        print(f"{time.time():.3f} opened", flush=True)
        return 1

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self._lock:
            self._clock.write(data, time.monotonic())
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Nothing to cut."""

    def release(self, path: str, fh: int) -> int:
        with self._lock:
            self._clock.close()
            counting = self._clock.due is not None
        print(f"{time.time():.3f} closed{', and goes on counting' if counting else ''}", flush=True)
        return 0

    def ioctl(self, path: str, cmd: int, arg: Any, fh: int, flags: int, data: Any) -> int:
        number, now = cmd & 0xFFFFFFFF, time.monotonic()
        with self._lock:
            if number == KEEP_ALIVE:
                self._clock.feed(now)
                found = b""
            elif number == SET_TIME:
                wanted = ctypes.cast(data, ctypes.POINTER(ctypes.c_int))[0]
                found = self._clock.set_time(wanted, now).to_bytes(4, sys.byteorder)
            elif number == GET_TIME:
                found = self._clock.seconds.to_bytes(4, sys.byteorder)
            elif number == GET_SUPPORT:
                found = _OPTIONS.to_bytes(4, "little") + bytes(4) + _IDENTITY.ljust(32, b"\0")
            else:
                raise mfusepy.FuseOSError(errno.ENOTTY)
        ctypes.memmove(data, found, len(found))
        return 0


def main() -> None:
    """Serve until the file system is unmounted or we are ended."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    point = folder / "watchdog"
    mfusepy.FUSE(Device(Host(name, folder)), str(point), foreground=True, nothreads=False, direct_io=True, fsname="lab")


if __name__ == "__main__":
    os.umask(0o077)
    main()
