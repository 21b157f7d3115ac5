"""A file that one process holds at a time, with a number beside it that grows at every start.

The kernel frees the hold when the process dies, however it dies. The number survives kill -9 and power loss: it is on
disk before it is used.
"""

import contextlib
import fcntl
import os
import time
import weakref
from pathlib import Path

from holdfast.errors import ConfigurationError, CoordinatorUnavailable


class Hold:
    """The hold on one file. Not thread-safe: its owner locks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count_path = path.with_name(path.name + ".starts")
        self._release: weakref.finalize[[int], Hold] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the file."""
        return self._release is not None and self._release.alive

    def check_free(self) -> None:
        """`ConfigurationError` if another process holds the file now, or it cannot be opened or the number be read."""
        try:
            os.close(self._open_locked())
            self._read_count()
        except OSError as error:
            raise ConfigurationError(
                f"coordinator.local.path {self._path} cannot be used: {error.strerror}; name a file in a directory "
                "that this user may write to"
            ) from error

    def take(self) -> int:
        """Hold the file and return the new number. `ConfigurationError` if another process holds it."""
        try:
            descriptor = self._open_locked()
        except OSError as error:
            raise CoordinatorUnavailable(f"{self._path} cannot be locked: {error.strerror}") from error
        # A descriptor without its owner would hold the file for the rest of the process.
        self._release = weakref.finalize(self, os.close, descriptor)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return self.count_start()
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise CoordinatorUnavailable(f"{self._path} cannot be written: {error.strerror}") from error
            raise

    def release(self) -> None:
        """Let the file go. Idempotent."""
        if self._release is not None:
            self._release()
            self._release = None

    def count_start(self) -> int:
        """A number above all earlier ones, on disk by the time this returns."""
        # Never below the milliseconds since 1970: numbers then grow even after somebody deletes the file.
        number = max(self._read_count() + 1, int(time.time() * 1000))
        fresh = self._count_path.with_name(self._count_path.name + ".new")
        with fresh.open("w", encoding="ascii") as stream:
            stream.write(f"{number}\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._count_path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return number

    def _open_locked(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = "unknown"
            with contextlib.suppress(OSError):
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or holder
            os.close(descriptor)
            raise ConfigurationError(
                f"another Holdfast process (pid {holder}) holds {self._path}: coordinator local serves one process. "
                "Stop that process, or give this one a data_dir of its own; several servers that share hosts need a "
                "coordinator that they share"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _read_count(self) -> int:
        try:
            text = self._count_path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0
        except UnicodeDecodeError:
            text = "?"
        if not text.isdigit():
            raise ConfigurationError(
                f"{self._count_path} does not hold a number: epochs could repeat. Delete the file if this machine's "
                "clock is right: counting then goes on from the time of day"
            )
        return int(text)
