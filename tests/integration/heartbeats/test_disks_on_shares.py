"""Are a host's disks being written? As a real NFS server, and a real mount, tell a neighbour."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from heartbeat_benches import IscsiBench, NfsBench, StoppableMount
from holdfast.errors import DriverError, Refused, Unreachable, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model.views import DiskReading, PoolView
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_nfs.driver import NfsHeartbeat
from holdfast_heartbeat_nfs.libnfs import Session, load
from iscsi_server import IscsiServer
from nfs_server import NfsServer

DISKS = ("busy.qcow2", "idle.qcow2", "not-there.qcow2")
PATIENCE = 10.0


@pytest.fixture
def driver() -> Iterator[NfsHeartbeat]:
    driver = NfsHeartbeat({"timeout": 1.0})
    yield driver
    driver.close()


@pytest.fixture(params=["libnfs", "mount"])
def share(request: pytest.FixtureRequest) -> Iterator[tuple[NfsBench | StoppableMount, Path]]:
    """A pool, and where the server keeps its files."""
    if request.param == "mount":
        mount: StoppableMount = request.getfixturevalue("stoppable_mount")
        yield mount, mount.source
        return
    server: NfsServer = request.getfixturevalue("nfs_server")
    bench = NfsBench(server)
    yield bench, server.share
    bench.close()
    for name in DISKS:
        (server.share / name).unlink(missing_ok=True)


def look(driver: HeartbeatDriver, pool: PoolView, disks: tuple[str, ...] = DISKS) -> DiskReading:
    return driver.look_at_disks(pool, disks, "neighbour", PATIENCE)


def write(bench: NfsBench | StoppableMount, name: str) -> None:
    """As another host writes: through the server, which would not notice what is done behind its back."""
    if isinstance(bench, StoppableMount):
        with (bench.point / name).open("r+b") as disk:
            disk.write(os.urandom(512))
        return
    pool = bench.pool
    session = Session(load(), f"nfs://{pool.address}{pool.path}", pool.address, pool.path, 5000)
    try:
        session.write(f"/{name}", os.O_WRONLY, os.urandom(512))
    finally:
        session.close()


def test_a_write_is_seen_and_silence_says_nothing(
    share: tuple[NfsBench | StoppableMount, Path], driver: NfsHeartbeat
) -> None:
    """By the neighbour's own clock; no file is opened, and one that is missing is left out."""
    bench, folder = share
    for name in DISKS[:2]:
        (folder / name).write_bytes(bytes(1 << 20))
    first = look(driver, bench.pool)
    assert (first.found, first.watched_for, first.changed) == (2, 0.0, "")
    assert look(driver, bench.pool).changed == ""
    write(bench, "busy.qcow2")
    seen = look(driver, bench.pool)
    assert (seen.changed, seen.unchanged_for) == ("busy.qcow2", 0.0)
    later = look(driver, bench.pool)
    assert later.changed == "busy.qcow2"
    assert 0.0 < later.unchanged_for < PATIENCE


def test_storage_that_is_away_is_unreachable_and_no_sign_of_anything(
    share: tuple[NfsBench | StoppableMount, Path], driver: NfsHeartbeat
) -> None:
    """Within the deadline; afterwards it is looked at again."""
    bench, folder = share
    (folder / "busy.qcow2").write_bytes(bytes(8192))
    look(driver, bench.pool)
    bench.make_unreachable()
    began = time.monotonic()
    with pytest.raises(Unreachable):
        driver.look_at_disks(bench.pool, DISKS, "neighbour", 0.5)
    assert time.monotonic() - began < PATIENCE / 2
    bench.make_reachable()
    until = time.monotonic() + PATIENCE
    while True:
        try:
            assert look(driver, bench.pool).found >= 1
            break
        except DriverError:
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", ".holdfast-heartbeats", "a\nb"])
def test_only_disks_at_the_top_of_the_pool_are_looked_at(name: str, driver: NfsHeartbeat, tmp_path: Path) -> None:
    """Whatever the server asks for."""
    pool = PoolView("pool-1", "shared", "SharedMountPoint", "nfs", "", 0, str(tmp_path))
    with pytest.raises(Refused, match="no disk's name"):
        look(driver, pool, (name,))


def test_a_lun_tells_nothing_of_who_writes_it(iscsi_server: IscsiServer) -> None:
    """It has no file system of ours, and no counter that every target keeps: said plainly, and not guessed."""
    bench, driver = IscsiBench(iscsi_server), IscsiHeartbeat()
    try:
        with pytest.raises(Unsupported, match="cannot tell"):
            look(driver, bench.pool, ("3.qcow2",))
    finally:
        driver.close()
        bench.close()
