"""The stamp in a disk's header: QEMU keeps it, and nobody takes another VM's disk for his own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from holdfast.errors import Refused
from holdfast_hypervisor_kvm.qcow2_header import is_blank, stamp_of, stamped

VM = "3d2f9c1e-0000-4000-8000-000000000001"
CLUSTER = 65536


@pytest.fixture
def qemu_img() -> str:
    """The program that makes real images."""
    found = shutil.which("qemu-img")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        words = [
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=600",
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            "qemu-utils",
        ]
        subprocess.run(words, check=False, capture_output=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        found = shutil.which("qemu-img")
    if found is None:
        pytest.skip("NOT TESTED against qemu-img: install the Debian package qemu-utils (or run as root)")
    return found


def stamp(image: Path, vm: str = VM) -> None:
    data = image.read_bytes()
    image.write_bytes(stamped(data[:CLUSTER], vm) + data[CLUSTER:])


@pytest.mark.parametrize("backing", [False, True])
def test_qemu_keeps_the_stamp_and_the_rest(qemu_img: str, tmp_path: Path, backing: bool) -> None:
    """The image is sound, its backing file is what it was, and rewriting the header loses nothing."""
    base, image = tmp_path / "base.qcow2", tmp_path / "image.qcow2"
    subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", base, "8M"], check=True)
    words = ["-b", str(base), "-F", "qcow2"] if backing else []
    subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", *words, image, "8M"], check=True)
    assert stamp_of(image.read_bytes()[:CLUSTER]) == ""
    stamp(image)
    assert stamp_of(image.read_bytes()[:CLUSTER]) == VM
    subprocess.run([qemu_img, "check", "-q", image], check=True)
    said = subprocess.run([qemu_img, "info", image], check=True, capture_output=True, text=True).stdout
    assert (f"backing file: {base}" in said) == backing
    # Whatever makes QEMU write its header anew: another backing file, a feature switched.
    subprocess.run([qemu_img, "amend", "-q", "-f", "qcow2", "-o", "lazy_refcounts=on", image], check=True)
    subprocess.run([qemu_img, "rebase", "-q", "-u", "-f", "qcow2", "-b", "", image], check=True)
    assert stamp_of(image.read_bytes()[:CLUSTER]) == VM


def test_a_longer_path_than_there_is_room_for_is_refused(qemu_img: str, tmp_path: Path) -> None:
    """Rather than cut off."""
    image = tmp_path / "image.qcow2"
    backing = "/" + "x" * 1000
    words = [qemu_img, "create", "-q", "-u", "-f", "qcow2", "-o", "cluster_size=512", "-b", backing[:360], "-F", "raw"]
    done = subprocess.run([*words, image, "1M"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(Refused, match="too long"):
        stamped(image.read_bytes()[:512], VM)


@pytest.mark.parametrize("start", [b"", b"QFI\xfb", b"somebody's data" * 100, bytes(4096)])
def test_what_is_no_image_has_no_owner(start: bytes) -> None:
    """None, which is not the same as nobody's."""
    assert stamp_of(start) is None


def test_blank_means_never_finished() -> None:
    """The first sector is written last."""
    assert is_blank(b"")
    assert is_blank(bytes(512) + b"tail of a disk whose making was cut off")
    assert not is_blank(b"\0" * 511 + b"x")
