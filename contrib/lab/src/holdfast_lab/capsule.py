"""The outermost namespaces of a lab. Everything in the lab lives in them, so ending their first process ends it all.

Nothing is remembered about them: they are found by the words of their first process, so that a lab whose making was
interrupted anywhere is found, and ended, like any other.
"""

import os
import select
import signal
import subprocess
import time
from pathlib import Path

from holdfast_lab.commands import environment, run
from holdfast_lab.problems import LabError

_MARK = "holdfast-lab-capsule"
_SECONDS = 20.0
_LOOK = 0.02


def find(folder: Path) -> int:
    """Process id of the lab's first process, as seen from outside; 0 if there is none."""
    return next((pid for pid, first in _marked(folder) if first), 0)


def make(folder: Path) -> int:
    """Make the namespaces of a lab; its first process. `LabError` if the machine does not allow it."""
    words = [
        "unshare", "--pid", "--mount", "--net", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL", "--mount-proc",
        "tini", "-g", "--", "sh", "-c",
        # A /run of its own keeps the names of network namespaces inside.
        "mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/lab && hostname lab && exec sleep infinity",
        _MARK, str(folder),
    ]  # fmt: skip
    with (folder / "logs" / "capsule.log").open("ab") as log:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), start_new_session=True
        )
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        if child.poll() is not None:
            raise LabError(
                f"this machine does not let us make namespaces (see {folder}/logs/capsule.log): the lab needs root, "
                "and a kernel with PID, mount and network namespaces"
            )
        pid = find(folder)
        if pid and Path(f"/proc/{pid}/root/run/lab").is_dir():
            return pid
        time.sleep(_LOOK)  # nothing tells when the first process has made its /run
    raise LabError(f"the lab's namespaces were not there after {_SECONDS:g} s; see {folder}/logs/capsule.log")


def enter_words(pid: int) -> list[str]:
    """The words that run a program inside, beside the first process."""
    return ["nsenter", "--target", str(pid), "--pid", "--mount", "--net", "--uts", "--ipc", "--"]


def destroy(folder: Path) -> bool:
    """End everything in the lab, and return once it is gone. Idempotent; whether there was anything."""
    found = sorted(
        _marked(folder), key=lambda entry: not entry[1]
    )  # the first process first: it takes the others along
    for pid, _ in found:
        _end(pid)
    return bool(found)


def _end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        # The first process of a PID namespace is gone only when all others in it are.
        ready, _, _ = select.select([handle], [], [], _SECONDS)
        if not ready:
            raise LabError(
                f"process {pid} of the lab does not end; something in it hangs in the kernel: ps -e -o pid,stat"
            )
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _marked(folder: Path) -> list[tuple[int, bool]]:
    """Processes that carry the lab's mark, and whether each is the first of its PID namespace."""
    wanted = f"\0{_MARK}\0{folder}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if not (entry / "cmdline").read_bytes().endswith(wanted):
                continue
            status = (entry / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        if "\nState:\tZ" in status:
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
        found.append((int(entry.name), len(numbers) > 1 and numbers[-1] == "1"))
    return found


def processes(pid: int) -> list[tuple[int, str]]:
    """Every process inside, as seen from inside: its id and its words."""
    lines = run(*enter_words(pid), "ps", "-e", "-o", "pid=,args=").splitlines()
    return [(int(number), words) for number, words in (line.split(None, 1) for line in lines)]
