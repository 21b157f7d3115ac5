"""A disk that the kernel shows as a block device; or a regular file, for tests."""

import errno
import mmap
import os
import stat
from typing import Final

from holdfast.errors import DriverError, Refused, Unreachable

_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
_SAYS_NO: Final = {
    errno.EROFS: "it is read-only",
    errno.EACCES: "this process may not open it; the agent has to run as root",
    errno.EPERM: "writing to it is not permitted",
    errno.EISDIR: "it is a folder",
    errno.ENOSPC: "it ends before the heartbeat area does",
    errno.EBADE: "a reservation of another host holds it",
}


class BlockDevice:
    """`Disk` by the kernel, with O_DIRECT and O_DSYNC.

    It is kept open: closing a disk that was open for writing makes udev look at it again, each time. After an error it
    is opened anew, since a disk that went and came back is another one.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    def size(self) -> int:
        """Where the end is."""
        try:
            return os.lseek(self._open(), 0, os.SEEK_END)
        except OSError as problem:
            raise self._failed(problem) from problem

    def read(self, offset: int, length: int) -> bytes:
        """Into memory that is aligned as O_DIRECT wants it."""
        with mmap.mmap(-1, length) as room:
            try:
                found = os.preadv(self._open(), [room], offset)
            except OSError as problem:
                raise self._failed(problem) from problem
            if found != length:
                raise Refused(f"{self._path} ends before the heartbeat area does: it needs 1 MiB")
            return room[:]

    def write(self, offset: int, data: bytes) -> None:
        """From memory that is aligned as O_DIRECT wants it."""
        with mmap.mmap(-1, len(data)) as room:
            room[:] = data
            try:
                written = os.pwritev(self._open(), [room], offset)
            except OSError as problem:
                raise self._failed(problem) from problem
            if written != len(data):
                raise Unreachable(f"{self._path}: only {written} of {len(data)} bytes were written")

    def claim(self) -> None:
        """O_EXCL on a block device fails while a file system, swap or a volume manager holds it."""
        try:
            if stat.S_ISBLK(os.stat(self._path).st_mode):
                os.close(os.open(self._path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as problem:
            raise Refused(f"{self._path} is in use on this host: {problem.strerror}") from problem

    def _open(self) -> int:
        if self._file < 0:
            try:
                self._file = os.open(self._path, _FLAGS | os.O_DIRECT)
            except OSError as problem:
                # Some file systems know no O_DIRECT. On a disk that would mean reading from a cache, so never there.
                if problem.errno != errno.EINVAL or not stat.S_ISREG(os.stat(self._path).st_mode):
                    raise
                self._file = os.open(self._path, _FLAGS)
        return self._file

    def _failed(self, problem: OSError) -> DriverError:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if problem.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return Unreachable(f"{self._path} is not there; is the host logged in to its target (iscsiadm -m session)?")
        words = _SAYS_NO.get(problem.errno or 0)
        if words:
            return Refused(f"{self._path}: {words} ({problem.strerror})")
        return Unreachable(f"{self._path}: {problem.strerror}")
