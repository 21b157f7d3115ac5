"""A real libvirtd with its QEMUs, in mount, PID and UTS namespaces of its own: one host, as far as libvirt can tell."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

PACKAGES = (
    "libvirt-daemon-system", "libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86",
    "qemu-utils", "qemu-block-extra", "tini", "busybox-static",
)  # fmt: skip
START_SECONDS = 60.0
ROOT = Path(__file__).resolve().parents[3]

QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "logd"
lock_manager = "lockd"
"""
LIBVIRTD_CONF = """auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
host_uuid = "{uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{port}"
auth_tcp = "none"
"""
INSIDE = """
set -eu
hostname "$2"
mount --make-rprivate /
mount -t proc proc /proc
for pair in run:/run lib:/var/lib/libvirt etc:/etc/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
    mount --bind "$1/${pair%%:*}" "${pair#*:}"
done
printf '127.0.0.1 localhost %s\\n' "$2" > "$1/hosts"
mount --bind "$1/hosts" /etc/hosts
exec tini -s -- sh -c 'virtlogd -d; virtlockd -d; while :; do libvirtd --listen; done'
"""


def install(*packages: str) -> None:
    """Install what is missing if this is root on Debian; skip loudly if it cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED against libvirt: namespaces need root")
    missing = [name for name in packages if not _is_installed(name)]
    if missing and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *missing]):
            command = ["apt-get", "-o", "DPkg::Lock::Timeout=600", *words]
            subprocess.run(command, env=environment, check=False, capture_output=True, timeout=900)
        missing = [name for name in missing if not _is_installed(name)]
    if missing:
        pytest.skip(f"NOT TESTED against libvirt: install the Debian packages {' '.join(missing)}")


def need_packages() -> None:
    """What every test here needs."""
    install(*PACKAGES)
    tried = subprocess.run(["unshare", "--mount", "--pid", "--uts", "--fork", "true"], check=False)
    if tried.returncode:
        pytest.skip("NOT TESTED against libvirt: this machine allows no namespaces")
    # The environment of the tests learns to import libvirt's binding.
    environment = os.environ | {"HOLDFAST_VENV": sys.prefix}
    subprocess.run(["sh", str(ROOT / "contrib/dev/run"), "libvirt"], env=environment, check=True, timeout=900)


def _is_installed(package: str) -> bool:
    words = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout == "installed"


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LibvirtHost:
    """One host. `end` is its power cut: everything in it is killed at once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.port = free_port()
        for part in ("run", "lib", "log", "cache"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        etc = folder / "etc"
        if not etc.exists():
            shutil.copytree("/etc/libvirt", etc, symlinks=True)
            shutil.rmtree(etc / "hooks", ignore_errors=True)
            shutil.rmtree(etc / "qemu" / "networks", ignore_errors=True)
        (etc / "qemu.conf").write_text(QEMU_CONF, encoding="utf-8")
        (etc / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=uuid4(), port=self.port), encoding="utf-8")
        self._outer: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where its libvirtd listens, as seen from outside."""
        return self.folder / "run" / "libvirt" / "libvirt-sock"

    @property
    def uri(self) -> str:
        """For libvirt's clients outside."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def tcp_uri(self) -> str:
        """For other hosts' libvirtd."""
        return f"qemu+tcp://127.0.0.1:{self.port}/system"

    @property
    def logs(self) -> Path:
        """libvirt's logs of single VMs."""
        return self.folder / "log" / "qemu"

    def boot(self) -> None:
        """Switch it on and wait until its libvirtd answers."""
        shutil.rmtree(self.folder / "run")
        (self.folder / "run").mkdir()
        words = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh"]
        with (self.folder / "host.log").open("ab") as log:
            self._outer = subprocess.Popen([*words, str(self.folder), self.name], stdout=log, stderr=log)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        """Return when libvirtd answers."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            words = ["virsh", "-q", "-c", self.uri, "version"]
            if self.socket.exists() and subprocess.run(words, capture_output=True, check=False).returncode == 0:
                return
            assert self._outer is not None
            assert self._outer.poll() is None, (self.folder / "host.log").read_text()[-2000:]
            time.sleep(0.1)  # nothing tells when it will listen
        pytest.fail(f"libvirtd did not answer: {(self.folder / 'host.log').read_text()[-2000:]}")

    def end(self) -> None:
        """Cut the power. Harmless if it is off."""
        if self._outer is not None:
            for pid in self.processes():
                _signal(pid, signal.SIGCONT)
            self._outer.kill()  # its child, the namespace's first process, dies with it, and all the others
            self._outer.wait(30)
            self._outer = None
        until = time.monotonic() + 30
        while self.processes() and time.monotonic() < until:
            time.sleep(0.02)  # processes of a namespace that is gone vanish one by one

    def processes(self, name: str = "") -> list[int]:
        """Ids of its processes, seen from outside; those that are called `name`."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self.owns(int(entry.name)):
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if not name or Path(words[0].decode()).name == name:
                    found.append(int(entry.name))
        return found

    def owns(self, pid: int) -> bool:
        """Whether a process runs in this host."""
        return _hostname_space(pid) == self._space() != ""

    def _space(self) -> str:
        if self._outer is None:
            return self._last_space
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        self._last_space = _hostname_space(int(children[0])) if children else ""
        return self._last_space

    _last_space = ""

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to its processes of that name."""
        found = self.processes(name)
        assert found, f"host {self.name} runs no {name}"
        for pid in found:
            _signal(pid, number)

    def virsh(self, *words: str, may_fail: bool = False) -> str:
        """What virsh prints; a failure fails the test."""
        done = subprocess.run(
            ["virsh", "-q", "-c", self.uri, *words], capture_output=True, text=True, check=False, timeout=60
        )
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def destroy_all(self) -> None:
        """End every VM, behind the driver's back."""
        for name in self.virsh("list", "--name", "--state-running", "--state-paused").split():
            self.virsh("destroy", name, may_fail=True)


def _hostname_space(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        while number == signal.SIGSTOP and not _stands(pid):
            time.sleep(0.005)  # it is no child of ours: nobody tells


def _stands(pid: int) -> bool:
    """Whether every thread of a process is stopped, or it is gone."""
    states = []
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(thread.read_text(errors="replace").rpartition(") ")[2][0])
    return set(states) <= set("TZX")
