"""The few functions of the C library libnfs that heartbeats need, through ctypes.

The binding on PyPI is of 2016 and needs a compiler; the library itself is in every distribution, and this is all of it
that we use. It is loaded in a lane's process only: what goes wrong in C goes wrong there alone.
"""

import ctypes
import ctypes.util
import os
import stat
from ctypes import POINTER, byref, c_char_p, c_int, c_uint64, c_void_p
from typing import Any, ClassVar, Final

from holdfast.errors import Refused
from holdfast.lane.sockets import discard_unsent

_NAMES: Final = ("libnfs.so.14", "libnfs.so.13", "libnfs.so")


class _Entry(ctypes.Structure):
    """The beginning of `struct nfsdirent`, which is all that is read of it."""


_Entry._fields_ = [("next", POINTER(_Entry)), ("name", c_char_p), ("inode", c_uint64)]

_STAT = (
    "dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks", "atime", "mtime", "ctime",
    "atime_nsec", "mtime_nsec", "ctime_nsec", "used",
)  # fmt: skip


class _Stat(ctypes.Structure):
    """`struct nfs_stat_64`, with room for what later versions may add at its end."""

    _fields_: ClassVar = [*((name, c_uint64) for name in _STAT), ("more", c_uint64 * 16)]


_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "nfs_init_context": (c_void_p, []),
    "nfs_destroy_context": (None, [c_void_p]),
    "nfs_get_error": (c_char_p, [c_void_p]),
    "nfs_get_fd": (c_int, [c_void_p]),
    "nfs_set_timeout": (None, [c_void_p, c_int]),
    "nfs_set_autoreconnect": (None, [c_void_p, c_int]),
    "nfs_set_dircache": (None, [c_void_p, c_int]),
    "nfs_set_uid": (None, [c_void_p, c_int]),
    "nfs_set_gid": (None, [c_void_p, c_int]),
    "nfs_parse_url_dir": (c_void_p, [c_void_p, c_char_p]),
    "nfs_destroy_url": (None, [c_void_p]),
    "nfs_mount": (c_int, [c_void_p, c_char_p, c_char_p]),
    "nfs_mkdir": (c_int, [c_void_p, c_char_p]),
    "nfs_open2": (c_int, [c_void_p, c_char_p, c_int, c_int, POINTER(c_void_p)]),
    "nfs_close": (c_int, [c_void_p, c_void_p]),
    "nfs_pread": (c_int, [c_void_p, c_void_p, c_uint64, c_uint64, c_char_p]),
    "nfs_pwrite": (c_int, [c_void_p, c_void_p, c_uint64, c_uint64, c_char_p]),
    "nfs_fsync": (c_int, [c_void_p, c_void_p]),
    "nfs_lstat64": (c_int, [c_void_p, c_char_p, POINTER(_Stat)]),
    "nfs_rename": (c_int, [c_void_p, c_char_p, c_char_p]),
    "nfs_unlink": (c_int, [c_void_p, c_char_p]),
    "nfs_opendir": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nfs_readdir": (POINTER(_Entry), [c_void_p, c_void_p]),
    "nfs_closedir": (None, [c_void_p, c_void_p]),
}


class NfsError(OSError):
    """A call failed; `errno` and `strerror` say why."""


def load() -> ctypes.CDLL:
    """The library. Raises `Refused` saying what to install."""
    for name in (*_NAMES, ctypes.util.find_library("nfs") or ""):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is None:
            continue
        for function, (result, arguments) in _SIGNATURES.items():
            found = getattr(library, function)
            found.restype, found.argtypes = result, arguments
        return library
    raise Refused("the library libnfs is not installed: apt-get install libnfs13 (dnf: libnfs), or mount the share")


class Session:
    """One connection to one export. Each call raises `NfsError`; after one, throw the session away.

    `timeout_ms` is for each request; there is no silent reconnection.
    """

    def __init__(self, library: ctypes.CDLL, url: str, server: str, export: str, timeout_ms: int) -> None:
        self._library = library
        self._context = library.nfs_init_context()
        if not self._context:
            raise NfsError(12, "libnfs gave no context")
        # The URL only carries options here: the version, and ports where there is no portmapper.
        parsed = library.nfs_parse_url_dir(self._context, url.encode())
        if not parsed:
            raise NfsError(22, self._words())
        library.nfs_destroy_url(parsed)
        library.nfs_set_timeout(self._context, timeout_ms)
        library.nfs_set_autoreconnect(self._context, 0)
        library.nfs_set_dircache(self._context, 0)
        library.nfs_set_uid(self._context, os.geteuid())
        library.nfs_set_gid(self._context, os.getegid())
        self._checked(library.nfs_mount(self._context, server.encode(), export.encode()))

    def close(self) -> None:
        """Let go of the connection, and of what the kernel has not sent yet: it must not arrive after what follows."""
        context, self._context = self._context, None
        if context:
            discard_unsent(self._library.nfs_get_fd(context))
            self._library.nfs_destroy_context(context)

    def mkdir(self, path: str) -> None:
        """Make a folder; `FileExistsError`'s number if it is there."""
        self._checked(self._library.nfs_mkdir(self._context, path.encode()))

    def write(self, path: str, flags: int, data: bytes) -> None:
        """Write `data` at the beginning of a file, and have it committed."""
        file = self._open(path, flags)
        try:
            written = self._checked(self._library.nfs_pwrite(self._context, file, 0, len(data), data))
            if written != len(data):
                raise NfsError(28, "no room for the whole record")
            self._checked(self._library.nfs_fsync(self._context, file))
        finally:
            self._library.nfs_close(self._context, file)

    def read(self, path: str, size: int) -> bytes:
        """At most `size` bytes from the beginning of a file."""
        file = self._open(path, os.O_RDONLY)
        try:
            buffer = ctypes.create_string_buffer(size)
            found = self._checked(self._library.nfs_pread(self._context, file, 0, size, buffer))
            return buffer.raw[:found]
        finally:
            self._library.nfs_close(self._context, file)

    def written(self, path: str) -> tuple[int, int]:
        """When the server last saw the file written, in ns of its clock, and how large it is. The file stays shut."""
        found = _Stat()
        self._checked(self._library.nfs_lstat64(self._context, path.encode(), byref(found)))
        return found.mtime * 1_000_000_000 + found.mtime_nsec, found.size

    def is_file(self, path: str) -> bool:
        """Whether an ordinary file is there; libnfs does not say so when it fails to read something else."""
        found = _Stat()
        self._checked(self._library.nfs_lstat64(self._context, path.encode(), byref(found)))
        return stat.S_ISREG(found.mode)

    def rename(self, old: str, new: str) -> None:
        """Put `old` in the place of `new`."""
        self._checked(self._library.nfs_rename(self._context, old.encode(), new.encode()))

    def unlink(self, path: str) -> None:
        """Remove a file."""
        self._checked(self._library.nfs_unlink(self._context, path.encode()))

    def list(self, path: str) -> list[str]:
        """Names in a folder."""
        folder = c_void_p()
        self._checked(self._library.nfs_opendir(self._context, path.encode(), byref(folder)))
        names = []
        while entry := self._library.nfs_readdir(self._context, folder):
            names.append(os.fsdecode(entry.contents.name))
        self._library.nfs_closedir(self._context, folder)
        return names

    def _open(self, path: str, flags: int) -> c_void_p:
        file = c_void_p()
        self._checked(self._library.nfs_open2(self._context, path.encode(), flags, 0o644, byref(file)))
        return file

    def _checked(self, result: int) -> int:
        if result < 0:
            raise NfsError(-result, self._words())
        return result

    def _words(self) -> str:
        said = self._library.nfs_get_error(self._context) if self._context else None
        words = "".join(filter(str.isprintable, said.decode("utf-8", "replace"))) if said else ""
        return words or "libnfs gave no reason"
