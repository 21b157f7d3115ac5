"""The double-run check sees real guests on the lab's storage, and it can fail: two started by hand on one disk do."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast_lab.addresses import STORAGE_ADDRESS
from holdfast_lab.guest.image import guest_image
from holdfast_lab.token_watch import TokenWatch

pytestmark = pytest.mark.slow

BOOT_SECONDS = 240.0
VM = "11111111-2222-4333-8444-555555555555"


def lab(folder: Path, *words: str) -> None:
    """Run `lab WORDS`."""
    line = [sys.executable, "-m", "holdfast_lab", "--folder", str(folder), *words]
    subprocess.run(line, check=True, timeout=60, capture_output=True)


def start(folder: Path, host: str, disk: str, run: int) -> None:
    """Start a guest on a host of the lab as no careful program would: by hand, without any lock."""
    lab(
        folder, "enter", host, "--", "qemu-system-x86_64", "-display", "none", "-m", "128", "-serial", "null",
        "-daemonize",
        "-drive", f"file={disk},if=virtio,cache=none,format=qcow2",
        "-smbios", f"type=11,value=holdfast:run={run},value=holdfast:vm={VM}",
    )  # fmt: skip


def wait_until(what: Callable[[], bool], seconds: float) -> None:
    """Until it is so."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_one_run_after_the_other_passes_and_two_at_once_fail(
    raw_lab: Callable[..., Path], shared: Callable[..., Path]
) -> None:
    """On NFS, where QEMU's own lock does not reach: a run after a power cut is in order, a second beside it is not."""
    folder = raw_lab("double", "--hosts", "3", "--storage", "nfs")
    disks = folder / "storage" / "disks"
    template = guest_image(shared("guest", guest_image))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", template, disks / "vm.qcow2"], check=True)
    url = f"nfs://{STORAGE_ADDRESS}{disks}/vm.qcow2"

    with TokenWatch(disks) as watch:
        start(folder, "ablecube31", url, 1)
        wait_until(lambda: any(life.words > 10 for life in watch.seen.of(VM)), BOOT_SECONDS)
        lab(folder, "power", "ablecube31", "off")
        start(folder, "ablecube32", url, 2)
        wait_until(lambda: any(life.run == 2 and life.words > 10 for life in watch.seen.of(VM)), BOOT_SECONDS)
        assert watch.seen.overlaps == []
        assert watch.seen.unproven() == []

        start(folder, "ablecube33", url, 3)
        wait_until(lambda: bool(watch.seen.overlaps), BOOT_SECONDS)

    [overlap] = watch.seen.overlaps
    assert overlap.older.startswith("run 2")
    assert overlap.newer.startswith("run 3")
