"""The Debian packages that a lab needs: installed when root may, else named."""

import os
import shutil
import subprocess
from pathlib import Path

from holdfast_lab.commands import environment, run
from holdfast_lab.options import Options
from holdfast_lab.problems import LabError

_SECONDS = 900.0

_ALWAYS = (
    "iproute2",
    "libfuse2",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-system",
    "qemu-block-extra",
    "qemu-system-x86",
    "qemu-utils",
    "tini",
)
_BY_CHOICE = {
    "nfs": ("nfs-ganesha", "nfs-ganesha-vfs", "rpcbind"),
    "iscsi": ("tgt", "libiscsi-bin"),
    "ipmi": ("openipmi",),
    "redfish": (),
    "sqlite": (),
    "mariadb": ("mariadb-server",),
}
_UNITS = {
    "libvirt-daemon-system": (
        "libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirt-guests.service",
        "virtlogd.service", "virtlogd.socket", "virtlockd.service", "virtlockd.socket",
    ),
    "mariadb-server": ("mariadb.service",),
    "nfs-ganesha": ("nfs-ganesha.service", "nfs-ganesha-lock.service"),
    "openipmi": ("openipmi.service",),
    "rpcbind": ("rpcbind.service", "rpcbind.socket"),
    "tgt": ("tgt.service",),
}  # fmt: skip
"""What these packages start by themselves; the lab starts its own, in its own namespaces."""


def needed(options: Options) -> tuple[str, ...]:
    """The packages of a lab with these options."""
    return _ALWAYS + _BY_CHOICE[options.storage] + _BY_CHOICE[options.oobm] + _BY_CHOICE[options.db]


def provide(options: Options) -> tuple[str, ...]:
    """Install what a lab with these options needs; which packages were installed. As `install`."""
    return install(needed(options))


def install(names: tuple[str, ...]) -> tuple[str, ...]:
    """Install what is missing, and stop the services that this starts; which packages were installed.

    `LabError`, naming them, if they cannot be had.
    """
    missing = tuple(name for name in names if not _is_installed(name))
    if not missing:
        return ()
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if shutil.which("apt-get") is None:
        raise LabError(f"the lab runs on Debian 12 and needs these packages of it: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise LabError(f"the lab needs Debian packages; as root: {command}")
    _apt("update")
    _apt("install", "-y", "--no-install-recommends", *missing)
    _quiet(missing)
    return missing


def _is_installed(package: str) -> bool:
    try:
        return run("dpkg-query", "-W", "-f", "${db:Status-Status}", package) == "installed"
    except LabError:
        return False


def _apt(*words: str) -> None:
    done = subprocess.run(
        ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", *words],
        env=environment({"DEBIAN_FRONTEND": "noninteractive"}),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"apt-get {' '.join(words)}: exit status {done.returncode}: {done.stderr[-2000:].strip()}")


def _quiet(installed: tuple[str, ...]) -> None:
    if not Path("/run/systemd/system").is_dir():
        return
    units = [unit for package in installed for unit in _UNITS.get(package, ())]
    for unit in units:
        # A unit that this version of the package lacks is no trouble.
        subprocess.run(["systemctl", "disable", "--now", unit], capture_output=True, check=False, timeout=60)
