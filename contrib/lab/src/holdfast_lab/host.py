"""One host of the lab: its files, its chassis, and what may be done to its processes from outside."""

import os
import shutil
import signal
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from holdfast_lab import addresses, network
from holdfast_lab.commands import run
from holdfast_lab.problems import LabError

SCRIPT = Path(__file__).with_name("power.sh")

_QEMU = """\
user = "root"
group = "root"
security_driver = "none"
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "logd"
vnc_listen = "127.0.0.1"
max_core = 0
migration_address = "{storage}"
"""
_LIBVIRTD = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "{storage}"
auth_tcp = "none"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{uuid}"
log_outputs = "2:stderr"
"""
_HOLDFAST = """\
[hypervisor.kvm]
domain_type = "qemu"
bridge = "cloudbr0"
console_dir = "/var/log/libvirt/console"
migration_uri = "qemu+tcp://{address}/system"
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host in the lab's folder. What is under `disk` survives a power cut; all else does not."""

    name: str
    folder: Path

    @property
    def disk(self) -> Path:
        """What survives a power cut."""
        return self.folder / "disk"

    def furnish(self, others: dict[str, str], watchdog: Path | None) -> None:
        """Its network namespaces, its disk, its chassis and its BMC's wire. It is off.

        `others` are names to addresses, `watchdog` is the device that its agent is told of.
        """
        for part in ("etc/libvirt", "etc/holdfast", "var/lib/libvirt", "var/lib/holdfast", "var/cache/libvirt"):
            (self.disk / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "logs" / "libvirt").mkdir(parents=True, exist_ok=True)
        shutil.copytree("/etc/libvirt", self.disk / "etc/libvirt", dirs_exist_ok=True)
        shutil.rmtree(self.disk / "etc/libvirt/qemu", ignore_errors=True)  # no definitions of the machine's own
        identity = uuid.uuid4()
        (self.disk / "etc/machine-id").write_text(identity.hex + "\n", encoding="ascii")
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in others.items())]
        (self.disk / "etc/hosts").write_text("\n".join(lines) + "\n", encoding="ascii")
        (self.disk / "etc/hostname").write_text(self.name + "\n", encoding="ascii")
        storage = addresses.address_of(self.name, addresses.STORAGE)
        (self.disk / "etc/libvirt/qemu.conf").write_text(_QEMU.format(storage=storage), encoding="ascii")
        (self.disk / "etc/libvirt/libvirtd.conf").write_text(
            _LIBVIRTD.format(storage=storage, uuid=identity), encoding="ascii"
        )
        board = f'[agent]\nwatchdog = "{watchdog}"\n\n' if watchdog else ""
        (self.disk / "etc/holdfast/holdfast.toml").write_text(board + _HOLDFAST, encoding="utf-8")
        network.make_namespace(self.name)
        for net in (addresses.MANAGEMENT, addresses.STORAGE):
            network.attach(self.name, net, addresses.number_of(self.name))
        network.make_namespace(addresses.bmc_namespace(self.name))
        network.attach(addresses.bmc_namespace(self.name), addresses.OUT_OF_BAND, addresses.number_of(self.name))

    # --- the chassis ---------------------------------------------------------------------------------------------

    @property
    def chassis_words(self) -> list[str]:
        """The words that a BMC puts before `get power` or `set power 0`."""
        return ["sh", str(SCRIPT), str(self.folder), self.name, sys.executable]

    def power_on(self) -> None:
        """Start its first process, and with it all its services. Idempotent."""
        run(*self.chassis_words, "set", "power", "1")

    def cut_power(self) -> None:
        """End every process on it at once; all are gone on return. Idempotent."""
        run(*self.chassis_words, "set", "power", "0")

    @property
    def is_on(self) -> bool:
        """Whether anything of it lives."""
        return run(*self.chassis_words, "get", "power").strip() == "power:1"

    # --- its processes -------------------------------------------------------------------------------------------

    def first_process(self) -> int:
        """Its first process, as seen in the lab. `LabError` if it is off."""
        try:
            outer = int((self.folder / "outer.pid").read_text())
            return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            raise LabError(f"{self.name} is off") from None

    def processes(self) -> dict[int, str]:
        """Every process on it, as seen in the lab: ids to words. Empty if it is off."""
        try:
            wanted = os.stat(f"/proc/{self.first_process()}/ns/pid").st_ino
        except (LabError, OSError):
            return {}
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "ns/pid").stat().st_ino == wanted:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    found[int(entry.name)] = words
            except OSError:
                continue  # it ended meanwhile
        return found

    def matching(self, *words: str) -> list[int]:
        """Ids of its processes whose words contain all of these."""
        return [pid for pid, line in self.processes().items() if all(word in line for word in words)]

    def signal(self, number: signal.Signals, *words: str) -> int:
        """Signal its processes whose words contain all of these, or all of them; how many."""
        pids = self.matching(*words)
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        return len(pids)

    def enter_words(self, *words: str) -> list[str]:
        """The words that run a program on it."""
        pid = str(self.first_process())
        return ["nsenter", "--target", pid, "--pid", "--mount", "--net", "--uts", "--ipc", "--", *words]
