"""Reads the tokens of all guests from the storage server's own files, many times a second, beside whatever happens."""

import contextlib
import mmap
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast_lab.sightings import Sightings, Word

PERIOD = 0.04
RESCAN_SECONDS = 1.0
SLOT = 4096
BLOCK = 16 * SLOT  # the clusters of qcow2; the next run writes beside the one before
_MARK = b"HOLDFAST-TOKEN vm="
_TOKEN = re.compile(rb"HOLDFAST-TOKEN vm=(\S+) run=(\d+) token=([0-9a-f]+) count=(\d+) up=[\d.]+\n")


@dataclass(slots=True)
class Disk:
    """A guest's disk as the storage server keeps it: in which blocks of the file tokens were found."""

    path: Path
    blocks: set[int] = field(default_factory=set)
    shape: tuple[int, int] = (0, 0)
    scanned: float = 0.0

    def words(self) -> Iterator[Word]:
        """The tokens that stand on it now."""
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                shape = (status.st_size, status.st_blocks)
                # What is written for the first time makes the file larger, or fills a hole of it.
                if shape != self.shape or time.monotonic() - self.scanned > RESCAN_SECONDS:
                    self.blocks |= {place - place % BLOCK for place in _scan(file.fileno(), status.st_size)}
                    self.shape, self.scanned = shape, time.monotonic()
                for begin in self.blocks:
                    block = os.pread(file.fileno(), BLOCK, begin)
                    for match in filter(None, (_TOKEN.match(block, place) for place in range(0, len(block), SLOT))):
                        yield Word(match[1].decode(), int(match[2]), match[3].decode(), int(match[4]))
        except FileNotFoundError:
            return


def _scan(file: int, size: int) -> Iterator[int]:
    """Offsets of tokens in a file; its holes are passed over."""
    if not size:
        return
    with mmap.mmap(file, size, prot=mmap.PROT_READ) as whole:
        at = 0
        while True:
            try:
                begin = os.lseek(file, at, os.SEEK_DATA)
            except OSError:
                return  # no data after this
            end = os.lseek(file, begin, os.SEEK_HOLE)
            found = whole.find(_MARK, begin, end)
            while found >= 0:
                if found % SLOT == 0:
                    yield found
                found = whole.find(_MARK, found + 1, end)
            at = end


class TokenWatch:
    """Looks at every disk in a folder from `__enter__` to `__exit__`, in a thread of its own."""

    def __init__(self, folder: Path, period: float = PERIOD) -> None:
        self.folder = folder
        self.seen = Sightings()
        self.lock = threading.Lock()
        self._period = period
        self._disks: dict[Path, Disk] = {}
        self._ended = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="token-watch", daemon=True)

    def look(self) -> None:
        """One look at all disks."""
        for path in self._paths():
            self._disks.setdefault(path, Disk(path))
        words = [word for disk in self._disks.values() for word in disk.words()]
        with self.lock:
            self.seen.look(words, time.time())

    def _paths(self) -> list[Path]:
        with contextlib.suppress(FileNotFoundError):
            return [path for path in self.folder.iterdir() if path.is_file()]
        return []

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._period):
                self.look()
        except BaseException as problem:  # told by check(): a watch that ended silently would prove nothing
            self._problem = problem

    def is_alive(self) -> bool:
        """Whether it still looks."""
        return self._thread.is_alive()

    def check(self) -> None:
        """Raise what ended the watch, if anything did."""
        if self._problem is not None:
            raise self._problem

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.check()
