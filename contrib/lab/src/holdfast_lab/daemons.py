"""Servers of the lab: started apart from whoever starts them, in a network namespace, with a log of their own."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_lab.commands import environment
from holdfast_lab.network import inside
from holdfast_lab.problems import LabError

PIDS = Path("/run/lab")
_LOOK = 0.05
_LAST = 2000
_END_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One server. `start` is done once `ready` says so. `namespace` "" is the lab's own network."""

    name: str
    namespace: str
    words: Sequence[str | Path]
    log: Path
    ready: Callable[[], bool]
    variables: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    folder: Path = Path("/")

    def start(self) -> None:
        """Start it and wait until it is ready. `LabError` with its last words if it ends first, or is not in time."""
        line = inside(self.namespace, *self.words) if self.namespace else [str(word) for word in self.words]
        with self.log.open("ab") as log:
            began = log.tell()
            child = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=environment(self.variables), start_new_session=True,
            )  # fmt: skip
        (PIDS / self.name).write_text(str(child.pid))
        until = time.monotonic() + self.seconds
        while not self.ready():
            if child.poll() is not None or time.monotonic() > until:
                ended = child.poll()
                what = f"ended with status {ended}" if ended is not None else f"was not ready after {self.seconds:g} s"
                raise LabError(f"{self.name} {what}; {self.log}: {self._last_words(began)}")
            time.sleep(_LOOK)  # most servers tell nobody that they listen

    def stop(self) -> None:
        """End it at once, as a crash does. Idempotent."""
        end(self.name)

    def _last_words(self, began: int) -> str:
        with self.log.open("rb") as log:
            log.seek(began)
            return log.read()[-_LAST:].decode(errors="replace").strip() or "(nothing)"


def pid_of(name: str) -> int:
    """Process id of a server; 0 if it does not run."""
    try:
        pid = int((PIDS / name).read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, ValueError, IndexError):
        return 0
    return 0 if state == "Z" else pid


def end(name: str, number: int = signal.SIGKILL) -> None:
    """Signal a server and wait until it is gone. Idempotent."""
    pid = pid_of(name)
    if not pid:
        return
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, number)
            if not select.select([handle], [], [], _END_SECONDS)[0]:
                raise LabError(f"{name} (process {pid}) does not end on signal {number}")
        finally:
            os.close(handle)
