"""What runs on a host of the lab from power-on: its mounts, and its services, restarted as systemd would.

Started by the chassis as `python -m holdfast_lab.machine FOLDER SECONDS`, in namespaces of the host's own, with the
time that its firmware takes before it boots. A service that ends is started again at once; one with a watchdog is
killed when it stops telling that it is well. Ending a service leaves its children, the VMs, alone, like
KillMode=process.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_lab.commands import environment, run

RESTART_SECONDS = 0.2
WATCHDOG_SECONDS = 20.0
AGENT_NICENESS = "-10"
"""As in contrib/systemd/holdfast-agent.service: RestartSec, WatchdogSec, and what comes near its CPUWeight."""
TICK = 0.5
AGENT_MARK = "var/lib/holdfast/joined"
_TMPFS = ("/run", "/dev/shm")
_BINDS = (
    "etc/libvirt", "etc/holdfast", "etc/hosts", "etc/hostname", "etc/machine-id", "var/lib/libvirt", "var/lib/holdfast",
    "var/cache/libvirt",
)  # fmt: skip


@dataclass(slots=True)
class Unit:
    """One service. `notifies` gives it a NOTIFY_SOCKET and a watchdog."""

    name: str
    words: list[str]
    notifies: bool = False
    child: "subprocess.Popen[bytes] | None" = None
    next_start: float = 0.0
    well_until: float = field(default=float("inf"))


class Machine:
    """The host's service manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.units = [
            Unit("virtlogd", ["virtlogd"]),
            Unit("virtlockd", ["virtlockd"]),
            Unit("libvirtd", ["libvirtd", "--listen"]),
        ]
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ended = False

    def boot(self) -> None:
        """Mounts, name, boot id. What was in /run and in memory before is gone."""
        for place in _TMPFS:
            Path(place).mkdir(exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", "mode=755" if place == "/run" else "mode=1777", "tmpfs", place)
        for part in _BINDS:
            target = Path("/") / part
            if (self.disk / part).is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif not target.exists():
                target.touch()
            run("mount", "--bind", self.disk / part, target)
        Path("/var/log/libvirt").mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", self.folder / "logs" / "libvirt", "/var/log/libvirt")
        boot_id = self.folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
        run("mount", "--bind", boot_id, "/proc/sys/kernel/random/boot_id")
        if not Path("/sys/class/net/cloudbr0").exists():  # the network namespace outlives a power cut
            run("ip", "link", "add", "cloudbr0", "type", "bridge")
            run("ip", "link", "set", "cloudbr0", "up")
        socket.sethostname((self.disk / "etc/hostname").read_text(encoding="ascii").strip())

    def run(self) -> None:
        """Keep the services up until SIGTERM."""
        signal.signal(signal.SIGTERM, self._end)
        Path("/run/systemd").mkdir(exist_ok=True)
        self._notices.bind("/run/systemd/notify")
        self._notices.setblocking(False)
        while not self._ended:
            self._start_what_should_run()
            ready, _, _ = select.select([self._notices], [], [], TICK)
            if ready:
                self._hear()
            self._kill_what_hangs()
        for unit in self.units:
            if unit.child is not None and unit.child.poll() is None:
                unit.child.terminate()

    def _start_what_should_run(self) -> None:
        if len(self.units) == 3 and (self.disk / AGENT_MARK).exists():
            words = [str(Path(sys.executable).with_name("holdfast")), "agent"]
            self.units.append(Unit("agent", words, notifies=True))
        now = time.monotonic()
        for unit in self.units:
            if unit.child is not None and unit.child.poll() is not None:
                print(f"{unit.name} ended with status {unit.child.returncode}", flush=True)
                unit.child, unit.next_start = None, now + RESTART_SECONDS
            if unit.child is None and now >= unit.next_start:
                self._start(unit, now)

    def _start(self, unit: Unit, now: float) -> None:
        variables = {}
        if unit.notifies:
            variables = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
        with (self.folder / "logs" / f"{unit.name}.log").open("ab") as log:
            unit.child = subprocess.Popen(
                unit.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(variables),
                start_new_session=True,
            )  # fmt: skip
        if unit.notifies:
            # Each session shares the CPU as one, so that the niceness of its processes alone would change nothing.
            with contextlib.suppress(OSError):
                Path(f"/proc/{unit.child.pid}/autogroup").write_text(AGENT_NICENESS, encoding="ascii")
        unit.well_until = float("inf")  # counts from its first word
        print(f"{unit.name} started, process {unit.child.pid}", flush=True)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                words = self._notices.recv(4096).split(b"\n")
                if b"WATCHDOG=1" in words or b"READY=1" in words:
                    for unit in self.units:
                        if unit.notifies:
                            unit.well_until = time.monotonic() + WATCHDOG_SECONDS

    def _kill_what_hangs(self) -> None:
        for unit in self.units:
            if unit.child is not None and time.monotonic() > unit.well_until:
                print(f"{unit.name} has not told for {WATCHDOG_SECONDS:g} s that it is well: killed", flush=True)
                os.kill(unit.child.pid, signal.SIGKILL)
                unit.well_until = float("inf")

    def _end(self, _number: int, _frame: object) -> None:
        self._ended = True


def main() -> None:
    """Boot after the firmware's time, and run until ended."""
    machine = Machine(Path(sys.argv[1]))
    time.sleep(float(sys.argv[2]))
    machine.boot()
    machine.run()


if __name__ == "__main__":
    main()
