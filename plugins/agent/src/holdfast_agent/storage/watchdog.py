"""The kernel's watchdog device: not fed for its time, it resets the machine, whatever the machine is doing."""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import Final, Protocol

from holdfast.errors import Refused, Unreachable

_KEEP_ALIVE: Final = 0x80045705
_SET_TIMEOUT: Final = 0xC0045706
_GET_TIMEOUT: Final = 0x80045707
_GET_SUPPORT: Final = 0x80285700
_INT = struct.Struct("i")
_SUPPORT = struct.Struct("II32s")
_MAGIC_CLOSE: Final = 0x0100
_CLASS: Final = Path("/sys/class/watchdog")


class Watchdog(Protocol):
    """A device that resets the machine when it is not fed. Calls take no time worth mentioning."""

    def arm(self, seconds: int) -> None:
        """From now on, feed it or be reset after `seconds` at most. Raises `DriverError` if it cannot be so; then it is
        not armed. Arming it again changes the time."""

    def feed(self) -> None:
        """Begin its time anew."""

    def disarm(self) -> str:
        """Let it rest; "" if it does, else why it goes on counting and has to be fed."""

    @property
    def armed(self) -> bool:
        """Whether this process has it."""

    @property
    def counting(self) -> bool:
        """Whether it counts, also if a process before this one left it so."""


class WatchdogDevice:
    """`/dev/watchdog` and its like, hardware or softdog."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._identity = ""
        self._has_magic_close = False

    @property
    def armed(self) -> bool:
        """Whether it was opened: opening it starts it."""
        return self._file >= 0

    @property
    def counting(self) -> bool:
        """By the kernel's word; false where it says nothing."""
        if self._file >= 0:
            return True
        with contextlib.suppress(OSError):
            number = os.stat(self._path).st_rdev
            folder = _folder_of(number)
            if folder is not None:
                return (folder / "state").read_text(encoding="ascii").strip() == "active"
        return False

    def arm(self, seconds: int) -> None:
        """Open it, set its time, and read back what it made of that: devices round, and some know one time only."""
        opened = self._file < 0
        if opened:
            self._file = self._open()
        try:
            fcntl.ioctl(self._file, _SET_TIMEOUT, _INT.pack(seconds))
        except OSError as problem:
            refused = f"it cannot be set ({problem.strerror})"
        else:
            refused = ""
        try:
            (found,) = _INT.unpack(fcntl.ioctl(self._file, _GET_TIMEOUT, _INT.pack(0)))
        except OSError as problem:
            found, refused = 0, refused or f"its time cannot be read ({problem.strerror})"
        if 1 <= found <= seconds:
            self.feed()
            return
        left = self.disarm() if opened else "it was armed before"
        also = f"; it goes on counting: {left}" if left else ""
        raise Refused(
            f"{self._path} ({self._identity}): it resets this host after {found or 'an unknown number of'} s, not "
            f"within {seconds}: {refused or 'the device allows no less'}. Raise ha.watchdog.time to twice that, or "
            f"use softdog{also}"
        )

    def feed(self) -> None:
        """WDIOC_KEEPALIVE. Raises `Unreachable` if the device is gone."""
        try:
            fcntl.ioctl(self._file, _KEEP_ALIVE, _INT.pack(0))
        except OSError as problem:
            raise Unreachable(f"{self._path} cannot be fed: {problem.strerror}") from problem

    def disarm(self) -> str:
        """The magic close: a `V`, then close. A kernel that was told `nowayout` counts on all the same."""
        if self._file < 0:
            return ""
        reason = "" if self._may_stop() else "the kernel lets no watchdog be stopped (nowayout)"
        if reason:
            return reason
        try:
            os.write(self._file, b"V")
        except OSError as problem:
            return f"the magic close failed ({problem.strerror})"
        os.close(self._file)
        self._file = -1
        return ""

    def _open(self) -> int:
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refused(
                f"there is no watchdog {self._path}: load the board's module (iTCO_wdt, sp5100_tco, ipmi_watchdog) "
                "or softdog, and have it loaded at boot"
            ) from None
        except OSError as problem:
            busy = "another program has it (systemd: RuntimeWatchdogSec=off; or stop watchdog, wd_keepalive, sanlock)"
            words = busy if problem.errno == 16 else problem.strerror
            raise Refused(f"{self._path} cannot be opened: {words}") from problem
        try:
            options, _, identity = _SUPPORT.unpack(fcntl.ioctl(file, _GET_SUPPORT, bytes(_SUPPORT.size)))
        except OSError as problem:
            os.close(file)
            raise Refused(f"{self._path} is no watchdog: {problem.strerror}") from problem
        self._identity = identity.rstrip(b"\0").decode("ascii", "replace")
        self._has_magic_close = bool(options & _MAGIC_CLOSE)
        return file

    def _may_stop(self) -> bool:
        if not self._has_magic_close:
            return False
        with contextlib.suppress(OSError):
            folder = _folder_of(os.fstat(self._file).st_rdev)
            if folder is not None:
                return (folder / "nowayout").read_text(encoding="ascii").strip() != "1"
        return True


def _folder_of(number: int) -> Path | None:
    """What the kernel says of the device of that number."""
    # /dev/watchdog is the first device under its old number.
    if (os.major(number), os.minor(number)) == (10, 130):
        return _CLASS / "watchdog0"
    for folder in sorted(_CLASS.iterdir()):
        if (folder / "dev").read_text(encoding="ascii").strip() == f"{os.major(number)}:{os.minor(number)}":
            return folder
    return None


class NoWatchdog:
    """For hosts that are to have none."""

    armed = False
    counting = False

    def arm(self, seconds: int) -> None:
        """It cannot be."""
        raise Refused("no watchdog is configured for this host ([agent] watchdog)")

    def feed(self) -> None:
        """Nothing to feed."""

    def disarm(self) -> str:
        """It rests."""
        return ""
