"""The kernel's own paths: an NFS mount whose server vanishes, an iSCSI disk, and a watchdog that resets the machine."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from heartbeat_benches import need
from holdfast.errors import Unreachable
from holdfast.model.views import PoolView
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_nfs.driver import NfsHeartbeat
from iscsi_server import TARGET, IscsiServer
from kernel_guest import Guest, make, needs, present
from nfs_server import NfsServer

PATIENCE = 240.0
HOST = "kernel-host"
WATCHDOG_SECONDS = 30
"""Twice what the device is set to. Software emulation on a busy machine gets little processor time."""


@pytest.fixture
def guest(tmp_path: Path, nfs_server: NfsServer, iscsi_server: IscsiServer) -> Iterator[Guest]:
    need(*needs(), present=present)
    with iscsi_server.disk.open("r+b") as disk:
        disk.write(bytes(2 << 20))
    kernel, initrd, root = make(tmp_path)
    guest = Guest(
        kernel, initrd, root,
        nfs=nfs_server.address, share=str(nfs_server.share), iscsi=iscsi_server.address, target=TARGET,
        watchdog=str(WATCHDOG_SECONDS),
    )  # fmt: skip
    yield guest
    nfs_server.signal(signal.SIGCONT)
    guest.close()


@pytest.mark.slow
def test_heartbeats_and_watchdog_on_the_kernels_own_paths(
    guest: Guest, nfs_server: NfsServer, iscsi_server: IscsiServer
) -> None:
    """One boot, as a neighbour sees it that reads the same storage without a kernel."""
    nfs = PoolView("pool-nfs", "nfs", "NetworkFilesystem", "nfs", nfs_server.address, 0, str(nfs_server.share))
    iscsi = PoolView("pool-iscsi", "iscsi", "IscsiLUN", "iscsi", iscsi_server.address, 0, f"/{TARGET}/1")
    by_nfs, by_iscsi = NfsHeartbeat({"access": "libnfs", "timeout": 1.0}), IscsiHeartbeat({"access": "libiscsi"})
    try:
        assert guest.until("GUEST mounted", PATIENCE)
        assert guest.until("GUEST nfs: beats", PATIENCE)
        if not any("iscsi: beats" in line for line in guest.lines):
            assert guest.until("GUEST iscsi: beats", PATIENCE)
        if not any("armed: True" in line for line in guest.lines):
            assert guest.until("GUEST armed: True", PATIENCE)
        _sees_it_move(by_nfs, nfs)
        _sees_it_move(by_iscsi, iscsi)

        nfs_server.signal(signal.SIGSTOP)
        assert "underway" in guest.until("GUEST nfs: ", PATIENCE)
        for _ in range(5):
            assert guest.until("GUEST tick", PATIENCE), "the agent hangs with the mount"
        with pytest.raises(Unreachable):
            by_nfs.read(nfs, HOST, "neighbour", 2.0)
        _sees_it_move(by_iscsi, iscsi)
        nfs_server.signal(signal.SIGCONT)
        assert guest.until("GUEST nfs: beats", PATIENCE)
        _sees_it_move(by_nfs, nfs)

        guest.say("kill")
        left = _kernel_seconds(guest.until("watchdog did not stop", PATIENCE))
        bitten = _kernel_seconds(guest.until("softdog: Initiating system reboot", PATIENCE))
        # Fed last within a quarter of the device's time before the agent was killed.
        assert WATCHDOG_SECONDS / 2 * 0.6 < bitten - left < WATCHDOG_SECONDS / 2 + 2.0
        assert guest.ended(PATIENCE), "the watchdog spoke, and the machine was not reset"
        for driver, pool in ((by_nfs, nfs), (by_iscsi, iscsi)):
            first = driver.read(pool, HOST, "neighbour", 20.0).sequence
            time.sleep(3)
            reading = driver.read(pool, HOST, "neighbour", 20.0)
            assert reading.sequence == first
            assert reading.unchanged_for > 2.0
    finally:
        by_nfs.close()
        by_iscsi.close()


def _kernel_seconds(line: str) -> float:
    """The kernel's own time of one of its lines."""
    return float(line.split("[", 1)[1].split("]", 1)[0])


def _sees_it_move(driver: NfsHeartbeat | IscsiHeartbeat, pool: PoolView) -> None:
    """A neighbour sees at least two beats more than now."""
    until = time.monotonic() + PATIENCE
    first = driver.read(pool, HOST, "neighbour", 20.0).sequence
    while driver.read(pool, HOST, "neighbour", 20.0).sequence < first + 2:
        assert time.monotonic() < until, f"the beat on pool {pool.name} does not move"
        time.sleep(0.2)
