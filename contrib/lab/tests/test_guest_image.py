"""The guest of the lab: its archive and its disk are sound, and what it says of itself can be read from outside."""

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from holdfast_lab.guest.image import SECTOR, SIZE, TOKENS_START, guest_image
from holdfast_lab.guest.initrd import Cpio, with_needs
from holdfast_lab.guest.tokens import SLOT_BYTES, Token, parse_tokens, read_tokens
from holdfast_lab.packages import install
from holdfast_lab.problems import LabError

BOOT_SECONDS = 240.0


def _slot(text: str) -> bytes:
    return text.encode().ljust(SLOT_BYTES, b"\0")


def test_tokens_are_read_from_their_slots() -> None:
    """Each slot tells of one run; empty, torn and foreign ones tell of none."""
    line = "HOLDFAST-TOKEN vm=v-1 run=3 token=0a1b count=12 up=7.53\n"
    area = _slot("") + _slot(line) + _slot("HOLDFAST-TOKEN vm=v-1 run=4 tok") + os.urandom(SLOT_BYTES)
    assert parse_tokens(area) == (Token("v-1", 3, "0a1b", 12, 7.53),)


def test_an_archive_is_the_same_each_time_and_padded_to_four() -> None:
    """The kernel reads the `newc` format only if every part begins at a multiple of four bytes."""

    def archive() -> bytes:
        made = Cpio()
        made.add("init", 0o100755, b"#!/bin/sh\n")
        return made.finished()

    assert archive() == archive()
    assert len(archive()) % 4 == 0
    assert archive().startswith(b"070701")
    assert archive().count(b"TRAILER!!!") == 1


def test_modules_come_after_those_they_need(tmp_path: Path) -> None:
    """As `depends=` in the modules says; one that is not there is named."""
    for name, needs in (("a", "b-c,d"), ("b-c", "d"), ("d", "")):
        (tmp_path / f"{name}.ko").write_bytes(b"\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0")
    assert [path.stem for path in with_needs(["a"], tmp_path)] == ["d", "b-c", "a"]
    with pytest.raises(LabError, match="no module ghost"):
        with_needs(["ghost"], tmp_path)


@pytest.fixture(scope="module")
def image(shared: Callable[..., Path]) -> Path:
    """The template."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("NOT TESTED: making the guest's image needs root on Debian")
    install(("qemu-system-x86",))
    return guest_image(shared("guest", guest_image))


def test_the_image_is_a_disk_with_a_boot_and_a_token_partition(image: Path, tmp_path: Path) -> None:
    """Two partitions, the second where readers look for tokens; a second call makes nothing new."""
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True, timeout=60)
    assert raw.stat().st_size == SIZE
    sector = raw.read_bytes()[:SECTOR]
    assert sector[510:] == b"\x55\xaa"
    starts = [struct.unpack_from("<I", sector, 446 + 16 * number + 8)[0] for number in range(2)]
    assert starts == [2048, TOKENS_START]
    before = image.stat().st_mtime_ns
    assert guest_image(image.parent) == image
    assert image.stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_guest_writes_tokens_and_obeys_the_power_button(image: Path, tmp_path: Path) -> None:
    """It boots from its disk, tells which run it is, goes on counting, and powers off when asked."""
    disk, console = tmp_path / "disk.qcow2", tmp_path / "console"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk)]
    subprocess.run(words, check=True, timeout=60)
    told = "type=11,value=holdfast:run=7,value=holdfast:vm=v-7"
    qemu = subprocess.Popen(
        [
            "qemu-system-x86_64", "-machine", "q35", "-m", "128", "-display", "none", "-smbios", told,
            "-drive", f"file={disk},if=virtio,cache=none", "-serial", f"file:{console}", "-monitor", "stdio",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert qemu.stdin is not None
    try:
        first = _token_after(disk, 0)
        assert (first.vm, first.run) == ("v-7", 7)
        later = _token_after(disk, first.count)
        assert later.token == first.token
        qemu.stdin.write(b"system_powerdown\n")
        qemu.stdin.flush()
        assert qemu.wait(BOOT_SECONDS) == 0
        assert b"run=7 powers off" in console.read_bytes()
    finally:
        qemu.kill()
        qemu.wait()
        qemu.stdin.close()


def _token_after(disk: Path, count: int) -> Token:
    until = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < until:
        for token in read_tokens(str(disk)):
            if token.count > count:
                return token
        time.sleep(0.2)  # a guest writes to its disk and to nobody else
    pytest.fail(f"no token after number {count} was written in {BOOT_SECONDS:g} s")
