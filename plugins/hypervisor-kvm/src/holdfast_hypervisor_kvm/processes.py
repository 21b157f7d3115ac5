"""QEMU processes as the kernel shows them: what may still write although libvirt does not know it any more."""

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path

_ZOMBIE = "Z"


class Processes:
    """Looks through `/proc`. `belongs` tells the host's own processes from those of others that share its kernel."""

    def __init__(self, belongs: Callable[[int], bool] = lambda _: True) -> None:
        self._proc = Path("/proc")
        self._belongs = belongs

    def guests(self) -> dict[str, list[int]]:
        """Domain uuid -> ids of the QEMU processes that run it."""
        found: dict[str, list[int]] = {}
        for entry in self._proc.iterdir():
            if entry.name.isdigit() and (uuid := self._guest(entry)) and self._belongs(int(entry.name)):
                found.setdefault(uuid, []).append(int(entry.name))
        return found

    def _guest(self, entry: Path) -> str:
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"qemu" not in words[0] and b"kvm" not in words[0]:
                return ""
            state = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return ""  # it has just ended
        if b"-uuid" not in words or state == _ZOMBIE:
            return ""
        place = words.index(b"-uuid") + 1
        return words[place].decode("ascii", "replace") if place < len(words) else ""

    def end(self, uuid: str, seconds: float) -> bool:
        """Kill what runs this domain; whether it is gone after at most `seconds`."""
        for number in self.guests().get(uuid, []):
            try:
                handle = os.pidfd_open(number)
            except ProcessLookupError:
                continue
            try:
                if self._guest(self._proc / str(number)) == uuid:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    select.select([handle], [], [], seconds)
            finally:
                os.close(handle)
        return not self.guests().get(uuid)
