"""Heartbeats on a share that is not mounted, through libnfs. Lives in a lane's process."""

import errno
import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from holdfast.beats.record import SIZE
from holdfast.errors import Unreachable
from holdfast.lane import overdue

from holdfast_heartbeat_nfs.libnfs import NfsError, Session, load
from holdfast_heartbeat_nfs.place import BEAT, DRAFT, FOLDER, NO_BEAT, OUT_OF_SPACE, explained

T = TypeVar("T")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


class DirectShare:
    """`holdfast.beats.confined.DiskStorage` on an export.

    A connection that failed once is thrown away: what it would still say, about requests that nobody waits for any
    more, is never heard.
    """

    def __init__(self, pool: str, address: str, path: str, options: dict[str, Any], timeout_ms: int) -> None:
        self._library = load()
        self._where = f"nfs://{address}{path}"
        host = f"[{address}]" if ":" in address else address
        self._url = f"nfs://{host}{path}?{urlencode(options)}" if options else f"nfs://{host}{path}"
        self._address = address
        self._path = path
        self._folder = f"/{FOLDER}/{pool}"
        self._timeout = timeout_ms
        self._session: Session | None = None

    def prepare(self, writer: str) -> None:
        """Make the folders, and see that they can be written."""

        def make(session: Session) -> None:
            for folder in (f"/{FOLDER}", self._folder):
                try:
                    session.mkdir(folder)
                except NfsError as problem:
                    if problem.errno != errno.EEXIST:
                        raise
            draft = f"{self._folder}/.{writer}{DRAFT}"
            session.write(draft, _NEW, bytes(SIZE))
            session.unlink(draft)

        self._do(make)

    def put(self, writer: str, record: str) -> None:
        """Write beside it, commit, rename; overwrite in place when there is no room beside it."""
        data, beat, draft = bytes.fromhex(record), f"{self._folder}/{writer}{BEAT}", f"{self._folder}/.{writer}{DRAFT}"

        def replace(session: Session) -> None:
            try:
                session.write(draft, _NEW, data)
                session.rename(draft, beat)
            except NfsError as problem:
                if problem.errno not in OUT_OF_SPACE:
                    raise
                session.write(beat, os.O_WRONLY, data)

        self._do(replace)

    def get(self, subjects: list[str] | None) -> dict[str, str]:
        """Every request goes to the server: libnfs caches neither files nor, as used here, folders."""

        def look(session: Session) -> dict[str, str]:
            if subjects is None:
                names = [name.removesuffix(BEAT) for name in session.list(self._folder) if name.endswith(BEAT)]
            else:
                names = subjects
            found = {}
            for name in names:
                path = f"{self._folder}/{name}{BEAT}"
                try:
                    found[name] = session.read(path, SIZE).hex()
                except NfsError as problem:
                    if problem.errno in (errno.ENOENT, errno.ESTALE):
                        continue
                    if subjects is not None or not (problem.errno in NO_BEAT or not session.is_file(path)):
                        raise
                    found[name] = ""
            return found

        return self._do(look)

    def remove(self, subject: str) -> None:
        """The beat, and what an interrupted write left."""

        def forget(session: Session) -> None:
            for path in (f"{self._folder}/{subject}{BEAT}", f"{self._folder}/.{subject}{DRAFT}"):
                try:
                    session.unlink(path)
                except NfsError as problem:
                    if problem.errno != errno.ENOENT:
                        raise

        self._do(forget)

    def marks(self, disks: list[str]) -> dict[str, str]:
        """The server's own time of the last write, and the size."""

        def look(session: Session) -> dict[str, str]:
            found = {}
            for name in disks:
                if overdue():
                    raise Unreachable(f"{self._where}: the disks were looked at too late")
                try:
                    written, size = session.written(f"/{name}")
                except NfsError as problem:
                    if problem.errno not in (errno.ENOENT, errno.ESTALE):
                        raise
                else:
                    found[name] = f"{written} {size}"
            return found

        return self._do(look)

    def _do(self, act: Callable[[Session], T]) -> T:
        try:
            if self._session is None:
                self._session = Session(self._library, self._url, self._address, self._path, self._timeout)
                if overdue():
                    raise Unreachable(f"{self._where}: connected, too late")
            return act(self._session)
        except NfsError as problem:
            session, self._session = self._session, None
            if session is not None:
                session.close()
            raise explained(problem.errno or 0, str(problem.strerror), self._where) from problem
