"""A real NFS server for tests: nfs-ganesha and rpcbind in a network namespace of their own, and ways to trouble it."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from private_network import PrivateNetwork

CONFIG = """
NFS_CORE_PARAM {{ NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; Protocols = 3, 4; }}
NFSV4 {{ Graceless = true; RecoveryRoot = {root}/recovery; }}
LOG {{ Default_Log_Level = EVENT; }}
EXPORT {{
    Export_Id = 7; Path = {share}; Pseudo = {share}; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
    FSAL {{ Name = VFS; }}
}}
"""


class NfsServer:
    """One export, `share`, at `address`."""

    def __init__(self, root: Path) -> None:
        self.share = root / "share"
        self.share.mkdir(parents=True)
        (root / "recovery").mkdir()
        self._root = root
        self.network = PrivateNetwork("hfn", 230)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it serves; known once it is started."""
        return self.network.far

    def start(self) -> None:
        """Serve; returns once a client sees the export."""
        self.network.make()
        config, log = self._root / "ganesha.conf", self._root / "ganesha.log"
        config.write_text(CONFIG.format(root=self._root, share=self.share), encoding="utf-8")
        program = (
            "mkdir -p /run/ganesha /run/rpcbind && { rpcbind -f -w & } && "
            "until rpcinfo -p >/dev/null 2>&1; do sleep 0.05; done && "  # or ganesha finds nobody to register with
            f"exec ganesha.nfsd -F -L {log} -f {config} -p /run/ganesha.pid"
        )
        self._process = subprocess.Popen(
            self.network.inside(program), start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        look = ["nfs-ls", f"nfs://{self.address}{self.share}"]
        while subprocess.run(look, capture_output=True, check=False).returncode:
            assert time.monotonic() < until, log.read_text(encoding="utf-8")[-3000:] if log.exists() else "no log"
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the server. After SIGSTOP, returns once every thread of it stands."""
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
