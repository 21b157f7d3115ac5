"""Makes the guest's image: a partition that boots Linux, and one for tokens. No mounting, no loop device."""

import hashlib
import os
import struct
import tempfile
from pathlib import Path

from holdfast_lab.commands import run
from holdfast_lab.guest.initrd import APPLETS, INIT, MODULES, make_initrd
from holdfast_lab.packages import install
from holdfast_lab.problems import LabError

KERNEL_PACKAGE = "linux-image-cloud-amd64"
PACKAGES = ("busybox-static", "syslinux", "syslinux-common", "mtools", "qemu-utils")

SECTOR = 512
BOOT_START, BOOT_SECTORS = 2048, 49152
TOKENS_START = BOOT_START + BOOT_SECTORS
TOKENS_SECTORS = 2048
SIZE = (TOKENS_START + TOKENS_SECTORS) * SECTOR
"""Bytes of the whole disk."""

COMMAND_LINE = "console=ttyS0 quiet panic=0 unknown_nmi_panic=1 no_timer_check tsc=unstable"
BOOT_MENU = f"DEFAULT linux\nPROMPT 0\nTIMEOUT 0\nLABEL linux\n KERNEL linux\n INITRD initrd\n APPEND {COMMAND_LINE}\n"
BUSYBOX = Path("/bin/busybox")
BOOT_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")
_FAT16, _DATA, _ACTIVE = 0x0E, 0xDA, 0x80


def guest_image(folder: Path) -> Path:
    """The qcow2 template, made in `folder` if it is not there yet. Needs root for Debian packages that are missing.

    Safe to call from several processes at once. Raises `LabError` with what is missing.
    """
    install(PACKAGES)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"guest-{_recipe()}.qcow2"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as scratch:
            os.replace(_make(Path(scratch)), made)
    return made


def _recipe() -> str:
    """Changes whenever what an image is made from changes."""
    told = (INIT.read_text(encoding="utf-8"), BOOT_MENU, APPLETS, MODULES, BOOT_SECTORS, TOKENS_SECTORS)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def _make(scratch: Path) -> Path:
    root = _kernel(scratch)
    (kernel,) = root.glob("boot/vmlinuz-*")
    (modules,) = root.glob("lib/modules/*")
    initrd = scratch / "initrd"
    initrd.write_bytes(make_initrd(modules, BUSYBOX))
    menu = scratch / "syslinux.cfg"
    menu.write_text(BOOT_MENU, encoding="ascii")
    raw = scratch / "disk.raw"
    with raw.open("wb") as disk:
        disk.write(_master_boot_record())
        disk.truncate(SIZE)
    partition = f"{raw}@@{BOOT_START * SECTOR}"
    run("mformat", "-i", partition, "-T", str(BOOT_SECTORS), "-h", "16", "-s", "63", "::")
    for source, name in ((kernel, "linux"), (initrd, "initrd"), (menu, "syslinux.cfg")):
        run("mcopy", "-i", partition, str(source), f"::{name}")
    run("syslinux", "--install", "--offset", str(BOOT_START * SECTOR), str(raw))
    image = scratch / "guest.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    return image


def _kernel(scratch: Path) -> Path:
    """Debian's kernel for virtual machines, unpacked and not installed."""
    lines = run("apt-cache", "depends", "--important", KERNEL_PACKAGE).splitlines()
    names = [line.split()[-1] for line in lines if "Depends: linux-image-" in line]
    if not names:
        raise LabError(f"apt knows no package {KERNEL_PACKAGE}: run apt-get update on Debian 12")
    run(
        "sh",
        "-c",
        'cd "$1" && apt-get -q -o APT::Sandbox::User=root download "$2"',
        "sh",
        scratch,
        names[0],
        timeout=600,
    )
    (package,) = scratch.glob("linux-image-*.deb")
    run("dpkg", "-x", str(package), str(scratch / "kernel"))
    return scratch / "kernel"


def _master_boot_record() -> bytes:
    code = BOOT_CODE.read_bytes()[:440].ljust(446, b"\0")
    entries = _entry(_ACTIVE, _FAT16, BOOT_START, BOOT_SECTORS) + _entry(0, _DATA, TOKENS_START, TOKENS_SECTORS)
    return code + entries.ljust(64, b"\0") + b"\x55\xaa"


def _entry(status: int, kind: int, start: int, sectors: int) -> bytes:
    far = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", status, far, kind, far, start, sectors)
