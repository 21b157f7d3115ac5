"""Real storage for the heartbeat drivers: nfs-ganesha, tgtd, and a file system in user space that can be stopped."""

import ctypes.util
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast.model.views import PoolView
from holdfast_conformance import HeartbeatBench
from iscsi_server import TARGET, IscsiServer
from nfs_server import NfsServer


def need(*packages: str, present: Callable[[], bool]) -> None:
    """See that Debian packages are there, installed first if this is root on Debian; skips loudly if they cannot be."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: network namespaces and mounts need root")
    if not present() and shutil.which("apt-get"):
        # Debian would start the daemons; a policy that says no keeps them from it.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
            policy.chmod(0o755)
        try:
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *packages]):
                options = ["-o", "DPkg::Lock::Timeout=300"]
                subprocess.run(["apt-get", *options, *words], env=environment, check=False, capture_output=True)
        finally:
            if ours:
                policy.unlink(missing_ok=True)
    if not present():
        pytest.skip(f"NOT TESTED: install the Debian packages {' '.join(packages)}")


def _found(programs: tuple[str, ...], libraries: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> bool:
    return (
        all(shutil.which(name) for name in programs)
        and all(ctypes.util.find_library(name) for name in libraries)
        and all(list(Path("/").glob(name)) for name in files)
    )


def _root() -> Path:
    # Not below /tmp, which may be a tmpfs: that has no file handles to export.
    return Path(tempfile.mkdtemp(prefix="holdfast-heartbeats-", dir="/var/tmp"))


@pytest.fixture(scope="session")
def nfs_server() -> Iterator[NfsServer]:
    """nfs-ganesha with one export."""
    packages = ("nfs-ganesha", "nfs-ganesha-vfs", "rpcbind", "libnfs-utils", "libnfs13", "iproute2")
    wanted = ("ganesha.nfsd", "rpcbind", "nfs-ls", "ip", "unshare")
    vfs = ("usr/lib/*/ganesha/libfsalvfs.so",)
    need(*packages, present=lambda: _found(wanted, ("nfs",), vfs))
    server = NfsServer(_root())
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _tgtd(chap: bool) -> Iterator[IscsiServer]:
    need("tgt", "libiscsi7", "iproute2", present=lambda: _found(("tgtd", "tgtadm", "ip", "unshare"), ("iscsi",)))
    server = IscsiServer(_root(), chap)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def iscsi_server() -> Iterator[IscsiServer]:
    """tgtd with one LUN."""
    yield from _tgtd(chap=False)


@pytest.fixture(scope="session")
def chap_server() -> Iterator[IscsiServer]:
    """tgtd with one LUN behind a password."""
    yield from _tgtd(chap=True)


class ServedBench(HeartbeatBench):
    """A pool on a real server, which can be made to stand still."""

    def __init__(self, server: NfsServer | IscsiServer, pool: PoolView) -> None:
        self.server, self._pool = server, pool

    @property
    def pool(self) -> PoolView:
        """The pool."""
        return self._pool

    def make_unreachable(self) -> None:
        """The server stands still."""
        self.server.signal(signal.SIGSTOP)

    def make_reachable(self) -> None:
        """It goes on."""
        self.server.signal(signal.SIGCONT)


class NfsBench(ServedBench):
    """A pool of its own on the real export."""

    def __init__(self, server: NfsServer) -> None:
        uuid = f"pool-{random.randrange(1 << 48)}"
        pool = PoolView(uuid, "nfs-pool", "NetworkFilesystem", "nfs", server.address, 0, str(server.share))
        super().__init__(server, pool)
        self.folder = server.share / ".holdfast-heartbeats" / uuid

    def refuse_writes(self) -> None:
        """Nobody may write into the folder: the server does not write as root."""
        subprocess.run(["chattr", "+i", str(self.folder)], check=True)

    def close(self) -> None:
        """Undo all of it."""
        self.make_reachable()
        subprocess.run(["chattr", "-i", str(self.folder)], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class IscsiBench(ServedBench):
    """The LUN, blank for each test."""

    def __init__(self, server: IscsiServer) -> None:
        with server.disk.open("r+b") as disk:
            disk.write(bytes(2 << 20))
        uuid = f"pool-{random.randrange(1 << 48)}"
        pool = PoolView(uuid, "iscsi-pool", "IscsiLUN", "iscsi", server.address, 3260, f"/{TARGET}/1")
        super().__init__(server, pool)

    def refuse_writes(self) -> None:
        """The LUN is read-only."""
        self.server.protect(True)

    def close(self) -> None:
        """Undo all of it."""
        self.make_reachable()
        self.server.protect(False)


class StoppableMount(HeartbeatBench):
    """A real mount of a file system in user space. Its process stopped, every call there hangs in the kernel."""

    def __init__(self, folder: Path) -> None:
        self.source, self.point = folder / "source", folder / "mounted"
        self.source.mkdir()
        self.point.mkdir()
        self._process = subprocess.Popen(["bindfs", "-f", str(self.source), str(self.point)])
        until = time.monotonic() + 10
        while not os.path.ismount(self.point):
            assert time.monotonic() < until, "bindfs did not mount"
            time.sleep(0.01)
        self._pool = PoolView("pool-1", "shared", "SharedMountPoint", "nfs", "", 0, str(self.point))
        self.folder = self.source / ".holdfast-heartbeats" / "pool-1"

    @property
    def pool(self) -> PoolView:
        """The pool."""
        return self._pool

    def make_unreachable(self) -> None:
        """Whoever touches the mount now hangs."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def make_reachable(self) -> None:
        """Whoever hung goes on."""
        self._process.send_signal(signal.SIGCONT)

    def refuse_writes(self) -> None:
        """The folder is immutable."""
        subprocess.run(["chattr", "+i", str(self.folder)], check=True)

    def unmount(self) -> None:
        """Leave an ordinary folder where the share was."""
        subprocess.run(["umount", "-l", str(self.point)], check=False, capture_output=True)
        # It would not end of itself while another mount namespace has a copy of the mount.
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        """Undo all of it."""
        self.make_reachable()
        subprocess.run(["chattr", "-i", str(self.folder)], check=False, capture_output=True)
        self.unmount()


@pytest.fixture
def stoppable_mount(tmp_path: Path) -> Iterator[StoppableMount]:
    """A mount that can be made to hang."""
    need("bindfs", "fuse3", present=lambda: _found(("bindfs", "chattr")))
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("NOT TESTED: there is no /dev/fuse here")
    mount = StoppableMount(tmp_path)
    try:
        yield mount
    finally:
        mount.close()
