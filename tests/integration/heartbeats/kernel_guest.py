"""A Debian kernel under QEMU with Python and the storage part of the agent in it. Unpacked, and not installed."""

import gzip
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from holdfast_lab.guest.initrd import Cpio, with_needs

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KERNEL_PACKAGE = "linux-image-cloud-amd64"
BOOT_MODULES = ("virtio_pci", "virtio_blk")
MODULES = ("net_failover", "virtio_net", "nfs", "nfsv3", "scsi_mod", "sd_mod", "iscsi_tcp", "softdog")
APPLETS = (
    "sh", "mount", "insmod", "cat", "ip", "mkdir", "ls", "head", "sleep", "seq", "poweroff", "kill", "switch_root"
)  # fmt: skip
SOURCES = (
    ROOT / "core/src/holdfast",
    ROOT / "plugins/agent/src/holdfast_agent",
    ROOT / "plugins/heartbeat-nfs/src/holdfast_heartbeat_nfs",
    ROOT / "plugins/heartbeat-iscsi/src/holdfast_heartbeat_iscsi",
)
_FILE, _FOLDER, _LINK, _DEVICE = 0o100000, 0o040000, 0o120000, 0o020000
BOOT_INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /root
exec switch_root /root /init
"""


def make(folder: Path) -> tuple[Path, Path, Path]:
    """Kernel, initrd and disk, in `folder`. Needs apt for what is unpacked."""
    unpacked = folder / "unpacked"
    for package in (_kernel_package(), "open-iscsi", "libopeniscsiusr"):
        _unpack(package, unpacked)
    (kernel,) = unpacked.glob("boot/vmlinuz-*")
    (modules,) = unpacked.glob("lib/modules/*")
    initrd = folder / "initrd"
    initrd.write_bytes(gzip.compress(_initrd(modules), 1))
    disk = folder / "root.img"
    tree = folder / "tree"
    _fill(tree, unpacked, modules)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(disk), "160M"], check=True)
    return kernel, initrd, disk


def _kernel_package() -> str:
    found = subprocess.run(
        ["apt-cache", "depends", "--important", KERNEL_PACKAGE], capture_output=True, text=True, check=True
    )
    return next(line.split()[-1] for line in found.stdout.splitlines() if "Depends: linux-image-" in line)


def _unpack(package: str, target: Path) -> None:
    scratch = target.parent / f"{package}.deb.d"
    scratch.mkdir()
    subprocess.run(["apt-get", "-q", "download", package], cwd=scratch, check=True, capture_output=True)
    (found,) = scratch.glob("*.deb")
    subprocess.run(["dpkg", "-x", str(found), str(target)], check=True)


def _initrd(modules: Path) -> bytes:
    archive = Cpio()
    for name in ("bin", "dev", "proc", "root", "modules"):
        archive.add(name, _FOLDER | 0o755)
    archive.add("dev/console", _DEVICE | 0o600, device=(5, 1))
    archive.add("bin/busybox", _FILE | 0o755, Path("/bin/busybox").read_bytes())
    for applet in APPLETS:
        archive.add(f"bin/{applet}", _LINK | 0o777, b"busybox")
    order = with_needs(BOOT_MODULES, modules)
    for path in order:
        archive.add(f"modules/{path.name}", _FILE | 0o644, path.read_bytes())
    archive.add("modules/order", _FILE | 0o644, "".join(f"{path.name}\n" for path in order).encode())
    archive.add("init", _FILE | 0o755, BOOT_INIT.encode())
    return archive.finished()


def _fill(tree: Path, unpacked: Path, modules: Path) -> None:
    """The guest's files: Debian's Python, our packages as they are here, the tools, and the kernel's modules."""
    for name in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "mnt", "modules", "usr/bin", "usr/lib"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copy2("/bin/busybox", tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    python = Path("/usr/bin/python3").resolve()
    library = Path("/usr/lib") / python.name
    skipped = shutil.ignore_patterns("test", "idlelib", "tkinter", "ensurepip", "lib2to3", "pydoc_data", "config-*")
    shutil.copytree(library, tree / "usr/lib" / python.name, ignore=skipped)
    shutil.copy2(python, tree / "usr/bin/python3")
    shutil.copy2(unpacked / "sbin/iscsistart", tree / "sbin/iscsistart")
    needed = [python, unpacked / "sbin/iscsistart", *(library / "lib-dynload").glob("_ctypes.*")]
    for path in _libraries(needed, unpacked):
        target = tree / "lib/x86_64-linux-gnu" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    (tree / "lib64").mkdir()
    shutil.copy2(Path("/lib64/ld-linux-x86-64.so.2").resolve(), tree / "lib64/ld-linux-x86-64.so.2")
    packages = tree / "usr/lib" / python.name
    import pluggy

    for source in (*SOURCES, Path(pluggy.__file__).parent):
        shutil.copytree(source, packages / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([str(python), "-m", "compileall", "-q", *(str(packages / s.name) for s in SOURCES)], check=True)
    order = with_needs(MODULES, modules)
    for path in order:
        shutil.copy2(path, tree / "modules" / path.name)
    (tree / "modules/order").write_text("".join(f"{path.name}\n" for path in order), encoding="ascii")
    shutil.copy2(HERE / "guest_agent.py", tree / "guest_agent.py")
    shutil.copy2(HERE / "guest_init.sh", tree / "init")
    (tree / "init").chmod(0o755)


def _libraries(programs: list[Path], unpacked: Path) -> list[Path]:
    environment = os.environ | {"LD_LIBRARY_PATH": str(unpacked / "usr/lib/x86_64-linux-gnu")}
    found = set()
    for program in programs:
        listed = subprocess.run(["ldd", str(program)], env=environment, capture_output=True, text=True, check=True)
        for line in listed.stdout.splitlines():
            if "=>" in line:
                found.add(Path(line.split("=>")[1].split("(")[0].strip()))
    return sorted(found)


class Guest:
    """The running guest: its lines, one by one, and a console to write to."""

    def __init__(self, kernel: Path, initrd: Path, disk: Path, **told: str) -> None:
        words = " ".join(f"holdfast.{name}={value}" for name, value in told.items())
        self._process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-M", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot",
                "-kernel", str(kernel), "-initrd", str(initrd), "-nic", "user,model=virtio-net-pci",
                "-drive", f"file={disk},format=raw,if=virtio", "-monitor", "none", "-serial", "stdio",
                "-append", f"console=ttyS0 quiet panic=-1 reboot=t no_timer_check tsc=unstable net.ifnames=0 {words}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._queue.put(line.decode("utf-8", "replace").strip())
        self._queue.put(None)

    def until(self, text: str, seconds: float) -> str:
        """The next line with `text` in it; "" if the guest ended first. Fails after `seconds`."""
        limit = time.monotonic() + seconds
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, limit - time.monotonic()))
            except queue.Empty:
                last = "\n".join(self.lines[-40:])
                raise AssertionError(f"the guest did not say {text!r} within {seconds:g} s. It said:\n{last}") from None
            if line is None:
                return ""
            self.lines.append(line)
            if text in line:
                return line

    def ended(self, seconds: float) -> bool:
        """Whether the guest ends within so many seconds; a reset ends it."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def say(self, word: str) -> None:
        """A command for its init."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """Pull its plug."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def needs() -> tuple[str, ...]:
    """Debian packages that making and running it takes."""
    return ("qemu-system-x86", "busybox-static", "e2fsprogs", "apt", "python3")


def present() -> bool:
    """Whether they are there."""
    programs = ("qemu-system-x86_64", "mke2fs", "apt-get", "dpkg", "ldd")
    return all(shutil.which(name) for name in programs) and Path("/bin/busybox").exists() and sys.platform == "linux"
