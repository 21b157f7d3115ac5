"""How large this host is, and which boot of it this is."""

import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

_MHZ = re.compile(r"^cpu MHz\s*:\s*([\d.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Capacity:
    """CPUs, MHz of each, bytes of memory, and the CPUs' architecture."""

    cpus: int
    speed: int
    ram: int
    arch: str


def read_capacity(connection: Any, proc: Path) -> Capacity:
    """As libvirt sees the host; the kernel's word where libvirt has no clock rate."""
    arch, megabytes, cpus, megahertz, *_ = connection.getInfo()
    if not megahertz:
        found = _MHZ.search((proc / "cpuinfo").read_text(encoding="utf-8", errors="replace"))
        megahertz = int(float(found.group(1))) if found else 1000
    return Capacity(int(cpus), int(megahertz), int(megabytes) << 20, str(arch))


def boot_id(proc: Path) -> str:
    """Another one after each boot: the kernel's own, and when the first process began (a host may share its kernel)."""
    kernel = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    first = (proc / "1/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return f"{kernel}-{first}"


def domain_type(module: ModuleType, connection: Any, machine: str, wanted: str) -> str:
    """`wanted`, or for "auto" kvm where the host can, else qemu: software emulation, many times slower."""
    if wanted != "auto":
        return wanted
    try:
        connection.getDomainCapabilities(None, None, machine, "kvm")
    except module.libvirtError:
        return "qemu"
    return "kvm"
