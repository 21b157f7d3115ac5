"""Heartbeats through a mount point. Lives in a lane's process: any of these calls may hang with the share."""

import contextlib
import errno
import os
import stat

from holdfast.beats.record import SIZE
from holdfast.errors import Refused, Unreachable
from holdfast.lane import overdue

from holdfast_heartbeat_nfs.last_write import last_write
from holdfast_heartbeat_nfs.mounts import NFS_TYPES, Mount, mount_number, mount_of_share, mounted_at, read_mounts
from holdfast_heartbeat_nfs.place import BEAT, DRAFT, FOLDER, NO_BEAT, OUT_OF_SPACE, PROBE, explained

_DAY = 86400.0
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Whatever somebody has put there: no link is followed, and no pipe waited for."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _PLAIN
_OLD = os.O_WRONLY | _PLAIN
_LOOK = os.O_RDONLY | _PLAIN
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class MountedShare:
    """`holdfast.beats.confined.DiskStorage` on a mounted share.

    The mount is looked up anew for each call: a share that was unmounted leaves an ordinary folder behind, and a beat
    that is written there would tell nobody anything while it told the host that all is well.
    """

    def __init__(self, pool: str, address: str, path: str, point: str, forget_after_days: float) -> None:
        self._pool = pool
        self._address = address
        self._path = path
        self._point = point
        self._forget_after = forget_after_days * _DAY

    def prepare(self, writer: str) -> None:
        """Make the folders, and see that they can be written. Removes beats that nobody has written for long."""
        mount = self._mount()
        if "nocto" in mount.options:
            raise Refused(f"{mount.point} is mounted with nocto, so what is read there may be old: mount it without")
        try:
            with self._opened(mount, make=True) as opened:
                self._forget_old(opened.number, self._try_room(opened.number, writer))
        except OSError as problem:
            if problem.errno in OUT_OF_SPACE and self.get([writer]):
                return
            raise explained(problem.errno or 0, str(problem.strerror), self._name(mount)) from problem

    def put(self, writer: str, record: str) -> None:
        """Write beside it, force it out, rename. A full share has no room beside it, so the beat is then overwritten.

        That is safe for readers as well: the record fits into one block and carries its checksum.
        """
        mount = self._mount()
        data = bytes.fromhex(record)
        with self._opened(mount) as opened:
            try:
                self._write(opened.number, f".{writer}{DRAFT}", _NEW, data)
                os.rename(f".{writer}{DRAFT}", writer + BEAT, src_dir_fd=opened.number, dst_dir_fd=opened.number)
                os.fsync(opened.number)
                return
            except OSError as problem:
                full = problem
                if problem.errno not in OUT_OF_SPACE:
                    raise explained(problem.errno or 0, str(problem.strerror), opened.name) from problem
            try:
                self._write(opened.number, writer + BEAT, _OLD, data)
            except OSError as problem:
                worse = full if isinstance(problem, FileNotFoundError) else problem
                raise explained(worse.errno or 0, str(worse.strerror), opened.name) from problem

    def get(self, subjects: list[str] | None) -> dict[str, str]:
        """Opening the folder, and then each file, makes an NFS client ask the server: what is found is not cached."""
        with self._opened(self._mount()) as opened:
            try:
                names = os.listdir(opened.number)
                if subjects is None:
                    wanted = [name.removesuffix(BEAT) for name in names if name.endswith(BEAT)]
                else:
                    wanted = [name for name in subjects if name + BEAT in names]
                found = {name: self._read(opened.number, name + BEAT, one_of_all=subjects is None) for name in wanted}
            except OSError as problem:
                raise explained(problem.errno or 0, str(problem.strerror), opened.name) from problem
        return {name: data.hex() for name, data in found.items() if data is not None}

    def remove(self, subject: str) -> None:
        """The beat, and what an interrupted write left."""
        try:
            with self._opened(self._mount()) as opened:
                for name in (subject + BEAT, f".{subject}{DRAFT}", f".{subject}{PROBE}"):
                    _unlink(opened.number, name)
        except _Unprepared:
            return
        except OSError as problem:
            raise explained(problem.errno or 0, str(problem.strerror), self._point or self._path) from problem

    def marks(self, disks: list[str]) -> dict[str, str]:
        """Each time from the server. The files stay shut: to open one may make the server call the host back that
        has it open, and wait for it."""
        mount, found = self._mount(), {}
        try:
            root = os.open(mount.point, _FOLDER)
            try:
                if mount_number(root) != mount.number:
                    raise Refused(f"the share at {mount.point} has just been unmounted")
                for name in disks:
                    if overdue():
                        raise Unreachable(f"{mount.point}: the disks were looked at too late")
                    with contextlib.suppress(FileNotFoundError):
                        written, size = last_write(root, name)
                        found[name] = f"{written} {size}"
            finally:
                os.close(root)
        except OSError as problem:
            raise explained(problem.errno or 0, str(problem.strerror), mount.point) from problem
        return found

    def _mount(self) -> Mount:
        mounts = read_mounts()
        if self._point:
            found = mounted_at(mounts, self._point)
            if found is None:
                raise Refused(
                    f"nothing is mounted at {self._point}: mount the share there; "
                    "a heartbeat in the folder below it would help nobody"
                )
            if self._address and found.kind in NFS_TYPES and mount_of_share(mounts, self._address, self._path) != found:
                raise Refused(f"{found.source} is mounted at {self._point}, not {self._address}:{self._path}")
            return found
        found = mount_of_share(mounts, self._address, self._path)
        if found is None:
            raise Refused(
                f"{self._address}:{self._path} is not mounted on this host: mount it, or let the driver reach it "
                'without a mount (access = "libnfs" in [heartbeat.nfs])'
            )
        return found

    def _name(self, mount: Mount) -> str:
        return os.path.join(mount.point, FOLDER, self._pool)

    def _opened(self, mount: Mount, make: bool = False) -> "_Folder":
        """The folder of the pool's beats, on that mount and no other. All else is reached from its descriptor."""
        name = self._name(mount)
        root = -1
        try:
            root = os.open(mount.point, _FOLDER)
            if mount_number(root) != mount.number:
                raise Refused(f"the share at {mount.point} has just been unmounted")
            number = root
            for part in (FOLDER, self._pool):
                above = number
                try:
                    number = _enter(above, part, make)
                finally:
                    if above != root:
                        os.close(above)
        except FileNotFoundError as problem:
            raise _Unprepared(f"{name} is not there: no host has prepared its heartbeat on this pool") from problem
        except OSError as problem:
            raise explained(problem.errno or 0, str(problem.strerror), name) from problem
        finally:
            if root >= 0:
                os.close(root)
        return _Folder(number, name)

    def _try_room(self, folder: int, writer: str) -> float:
        """Write a file and remove it again; the time that the server gave it."""
        probe = f".{writer}{PROBE}"
        try:
            self._write(folder, probe, _NEW, bytes(SIZE))
            return os.stat(probe, dir_fd=folder, follow_symlinks=False).st_mtime
        finally:
            _unlink(folder, probe)

    def _write(self, folder: int, name: str, flags: int, data: bytes) -> None:
        file = os.open(name, flags, 0o644, dir_fd=folder)
        try:
            if os.pwrite(file, data, 0) != len(data):
                raise OSError(errno.ENOSPC, "no room for the whole record")
            os.fsync(file)
        finally:
            os.close(file)

    def _read(self, folder: int, name: str, one_of_all: bool) -> bytes | None:
        """None if it is not there; no bytes if it cannot be a beat."""
        for last in (False, True):
            try:
                file = os.open(name, _LOOK, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as problem:
                if one_of_all and problem.errno in NO_BEAT:
                    return b""
                raise
            try:
                return os.pread(file, SIZE, 0) if stat.S_ISREG(os.fstat(file).st_mode) else b""
            except OSError as problem:
                # Replaced while it was being read: the next look finds the new one.
                if last or problem.errno != errno.ESTALE:
                    raise
            finally:
                os.close(file)
        return None

    def _forget_old(self, folder: int, now: float) -> None:
        """Remove what hosts of old incidents left. Both times are the server's: no host's clock matters."""
        for name in os.listdir(folder):
            if not name.endswith((BEAT, DRAFT, PROBE)):
                continue
            try:
                written = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
            except FileNotFoundError:
                continue
            if now - written > self._forget_after:
                _unlink(folder, name)


class _Unprepared(Refused):
    pass


class _Folder:
    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name

    def __enter__(self) -> "_Folder":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def _enter(folder: int, part: str, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=folder)
    return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
