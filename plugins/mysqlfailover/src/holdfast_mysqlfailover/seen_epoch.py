"""The newest writer epochs that this server has seen and has tried to make, kept over restarts.

A database host that was away still calls itself the writer when it comes back alone. Whoever has seen a later epoch
does not believe it. And an epoch that was sent to a host which did not answer may come true there at any moment:
whoever sent it serves no other host under an older one, not after a restart either.
"""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class SeenEpoch:
    """`value` only rises. `attempted` is the newest epoch that was sent to a host, 0 if none or if all were answered.

    `path` None: they are not kept. What cannot be read or written is as if it were not kept: the numbers are a
    precaution, and no reason to stand still.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.value, self.attempted = self._read()

    def rise(self, epoch: int) -> None:
        """Remember that `epoch` was seen, if it is newer."""
        if epoch > self.value:
            self.value = epoch
            self._write()

    def attempt(self, epoch: int) -> None:
        """Remember that `epoch` is about to be sent, on the disk before this returns; 0 or an older one: what was sent
        last has been answered."""
        if epoch != self.attempted:
            self.attempted = epoch
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            draft = self._path.with_name(f"{self._path.name}.new")
            with draft.open("w", encoding="ascii") as file:
                file.write(f"{self.value} {self.attempted}\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
        except OSError as problem:
            log.warning("cannot keep the writer epoch in %s: %s", self._path, problem.strerror)

    def _read(self) -> tuple[int, int]:
        if self._path is None or not self._path.exists():
            return 0, 0
        try:
            numbers = [max(int(each), 0) for each in self._path.read_text(encoding="ascii").split()]
            if len(numbers) == 1:
                numbers.append(0)  # earlier versions kept the first number alone
            value, attempted = numbers
            return value, attempted
        except (OSError, ValueError):
            log.warning("%s holds no writer epoch; remove it", self._path)
            return 0, 0
