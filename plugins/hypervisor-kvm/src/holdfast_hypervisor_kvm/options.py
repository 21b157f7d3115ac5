"""The settings table of the driver: `[hypervisor.kvm]` of the agent's configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.options import Option

from holdfast_hypervisor_kvm.migration import check_uri


def _check_bridges(table: Mapping[str, Any]) -> str:
    bad = [name for name, bridge in table.items() if not isinstance(bridge, str) or not bridge]
    return f"network {bad[0]!r} must be given the name of a bridge" if bad else ""


SETTINGS: Mapping[str, Option] = {
    "uri": Option(str, "qemu:///system", "where this host's libvirtd listens"),
    "state_dir": Option(Path, Path("kvm"), "what this host knows of the runs of its VMs; on a local disk"),
    "domain_type": Option(
        str, "auto", "kvm, qemu (software emulation), or auto: kvm where the host can", choices=("auto", "kvm", "qemu")
    ),
    "machine": Option(str, "q35", "QEMU's machine type for new starts"),
    "cpu": Option(
        str,
        "",
        "libvirt's CPU mode; empty: host-model with KVM",
        choices=("", "host-model", "host-passthrough", "maximum"),
    ),
    "cache": Option(
        str,
        "none",
        "QEMU's cache mode; anything but none or directsync makes live migration unsafe",
        choices=("none", "directsync", "writethrough", "writeback"),
    ),
    "bridge": Option(
        str,
        "cloudbr0",
        "bridge for networks without a VLAN, and stem of those with one (cloudbr0-100); or none, or user",
    ),
    "bridges": Option(dict, {}, "bridges of single networks, by the network's name", check=_check_bridges),
    "console_dir": Option(str, "", "folder for what guests print on their serial console; empty: not kept"),
    "shutdown_seconds": Option(
        float, 30.0, "how long a guest may take to shut down or reboot when asked", low=0, high=600
    ),
    "resume_seconds": Option(
        float,
        2.0,
        "how often a guest that stopped on an I/O error is let go on, to see whether it can",
        low=0.1,
        high=60,
    ),
    "migration_uri": Option(
        str, "qemu+tls://{address}/system", "libvirtd of a migration's target, by its {address}", check=check_uri
    ),
    "migration_unsafe": Option(bool, False, "migrate although libvirt doubts that the hosts share the disk"),
    "qemu_log_dir": Option(str, "/var/log/libvirt/qemu", "libvirt's logs of single VMs, to learn how they ended"),
}
"""Every key, with its default."""
