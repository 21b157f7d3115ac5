"""A real iSCSI target for tests: tgtd in a network namespace of its own, and ways to trouble it."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from private_network import PrivateNetwork

TARGET = "iqn.2025-01.test.holdfast:pool"
CHAP_USER, CHAP_PASSWORD = "beats", "twelve-chars-s3cret"


class IscsiServer:
    """One target with LUN 1, a file of 8 MiB, at `address`. With `chap`, it asks for a password."""

    def __init__(self, root: Path, chap: bool = False) -> None:
        self.disk = root / "lun1.img"
        self.disk.touch()
        os.truncate(self.disk, 8 << 20)
        self._root = root
        self._chap = chap
        self.network = PrivateNetwork("hfi", 231)
        # Nobody else's daemon listens there, not even before ours does.
        self._environment = os.environ | {"TGT_IPC_SOCKET": str(root / "control")}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it serves; known once it is started."""
        return self.network.far

    def start(self) -> None:
        """Serve."""
        self.network.make()
        self._process = subprocess.Popen(
            self.network.inside(f"exec tgtd -f --iscsi portal={self.address}:3260"),
            env=self._environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while self.admin("sys", "show", check=False).returncode:
            assert time.monotonic() < until, "tgtd did not come up"
            time.sleep(0.05)
        self.admin("target", "new", "--tid", "1", "-T", TARGET)
        self.admin("logicalunit", "new", "--tid", "1", "--lun", "1", "-b", str(self.disk))
        self.admin("target", "bind", "--tid", "1", "-I", "ALL")
        if self._chap:
            self.admin("account", "new", "--user", CHAP_USER, "--password", CHAP_PASSWORD)
            self.admin("account", "bind", "--tid", "1", "--user", CHAP_USER)

    def admin(self, mode: str, op: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A `tgtadm` command, to this server and no other."""
        line = ["tgtadm", "--lld", "iscsi", "--mode", mode, "--op", op, *words]
        return subprocess.run(line, env=self._environment, check=check, capture_output=True, text=True)

    def protect(self, on: bool) -> None:
        """Make the LUN read-only, or writable again."""
        self.admin("logicalunit", "update", "--tid", "1", "--lun", "1", "--params", f"readonly={int(on)}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server. After SIGSTOP, returns once every thread of it stands."""
        assert self._process is not None
        os.killpg(self._process.pid, number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def stop(self) -> None:
        """End everything, and leave nothing behind."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGCONT)
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.network.remove()
        shutil.rmtree(self._root, ignore_errors=True)
