"""This machine: when it booted, and how large it is."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import ConfigurationError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CPUS = Path("/proc/cpuinfo")
_LARGEST_SPEED = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
_USUAL_MHZ = 2000


@dataclass(frozen=True, slots=True)
class Size:
    """CPUs, MHz per CPU, bytes of memory."""

    cpus: int
    speed: int
    ram: int


def boot_id(path: Path = _BOOT_ID) -> str:
    """The kernel's: another one means that the machine was started anew, and that nothing from before runs."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as problem:
        raise ConfigurationError(
            f"{path} cannot be read ({problem.strerror}); the agent needs Linux's /proc"
        ) from problem


def own_size() -> Size:
    """What the kernel says; a hypervisor driver knows better and says so later."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Size(os.cpu_count() or 1, _speed(), ram)


def _speed() -> int:
    try:
        return int(_LARGEST_SPEED.read_text(encoding="ascii")) // 1000
    except (OSError, ValueError):
        pass
    try:
        found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", _CPUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    except OSError:
        found = None
    return int(float(found.group(1))) if found else _USUAL_MHZ
