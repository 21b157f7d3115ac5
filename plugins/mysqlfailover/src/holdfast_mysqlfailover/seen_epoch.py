"""The newest writer epoch that this server has seen, kept over restarts.

A database host that was away still calls itself the writer when it comes back alone. Whoever has seen a later epoch
does not believe it.
"""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class SeenEpoch:
    """A number that only rises. `path` None: it is not kept. What cannot be read or written is as if it were not kept:
    the number is a precaution, and no reason to stand still."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.value = self._read()

    def rise(self, epoch: int) -> None:
        """Remember `epoch` if it is newer."""
        if epoch <= self.value:
            return
        self.value = epoch
        if self._path is not None:
            try:
                draft = self._path.with_name(f"{self._path.name}.new")
                draft.write_text(f"{epoch}\n", encoding="ascii")
                os.replace(draft, self._path)
            except OSError as problem:
                log.warning("cannot keep the writer epoch in %s: %s", self._path, problem.strerror)

    def _read(self) -> int:
        if self._path is None or not self._path.exists():
            return 0
        try:
            return max(int(self._path.read_text(encoding="ascii")), 0)
        except (OSError, ValueError):
            log.warning("%s holds no writer epoch; remove it", self._path)
            return 0
