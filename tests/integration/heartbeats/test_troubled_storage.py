"""Heartbeats on storage that is full, unmounted, cut off or somebody else's."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from heartbeat_benches import IscsiBench, NfsBench, StoppableMount, need
from holdfast.errors import NotFound, Refused, Unreachable
from holdfast.model.views import HostOrders, PoolView, VmSpec
from holdfast_agent.storage.guardian import Guardian
from holdfast_agent.storage.lease import uptime
from holdfast_agent.storage.watchdog import NoWatchdog
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_nfs.driver import NfsHeartbeat
from iscsi_server import IscsiServer
from nfs_server import NfsServer

PATIENCE = 20.0


@pytest.fixture
def nfs() -> Iterator[NfsHeartbeat]:
    driver = NfsHeartbeat({"timeout": 1.0})
    yield driver
    driver.close()


@pytest.fixture
def iscsi() -> Iterator[IscsiHeartbeat]:
    driver = IscsiHeartbeat({"timeout": 1.0})
    yield driver
    driver.close()


@pytest.fixture
def small_share(tmp_path: Path) -> Iterator[Path]:
    """A real mount with very little room."""
    need("mount", present=lambda: True)
    point = tmp_path / "small"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(point)], check=True)
    yield point
    subprocess.run(["umount", "-l", str(point)], check=False)


def shared(point: Path, uuid: str = "pool-1") -> PoolView:
    return PoolView(uuid, "shared", "SharedMountPoint", "nfs", "", 0, str(point))


def fill(point: Path) -> None:
    try:
        with (point / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(512))
    except OSError:
        pass


def test_a_full_share_stops_no_heartbeat(nfs: NfsHeartbeat, small_share: Path) -> None:
    """The beat is overwritten where it is: a host must not lose its lease because somebody filled the pool."""
    pool = shared(small_share)
    nfs.prepare(pool, "host", PATIENCE)
    nfs.write(pool, "host", 1, PATIENCE)
    fill(small_share)
    for sequence in (2, 3):
        nfs.write(pool, "host", sequence, PATIENCE)
        assert nfs.read(pool, "host", "reader", PATIENCE).sequence == sequence
    nfs.prepare(pool, "host", PATIENCE)


def test_a_first_beat_on_a_full_share_is_refused(nfs: NfsHeartbeat, small_share: Path) -> None:
    """It says that the share is full."""
    pool = shared(small_share)
    nfs.prepare(pool, "other", PATIENCE)
    fill(small_share)
    with pytest.raises(Refused, match="full"):
        nfs.write(pool, "host", 1, PATIENCE)
    with pytest.raises(Refused, match="full"):
        nfs.prepare(pool, "host", PATIENCE)


def test_nothing_is_written_below_an_unmounted_share(nfs: NfsHeartbeat, stoppable_mount: StoppableMount) -> None:
    """The folder that the mount hid stays empty, whatever is asked."""
    pool, point = stoppable_mount.pool, stoppable_mount.point
    nfs.prepare(pool, "host", PATIENCE)
    nfs.write(pool, "host", 1, PATIENCE)
    stoppable_mount.unmount()
    for act in (
        lambda: nfs.prepare(pool, "host", PATIENCE),
        lambda: nfs.write(pool, "host", 2, PATIENCE),
        lambda: nfs.read(pool, "host", "reader", PATIENCE),
        lambda: nfs.remove(pool, "host", PATIENCE),
    ):
        with pytest.raises(Refused, match="nothing is mounted"):
            act()
    assert list(point.iterdir()) == []
    assert (stoppable_mount.folder / "host.beat").exists()


def test_a_hanging_pool_keeps_only_its_own_callers(nfs: NfsHeartbeat, stoppable_mount: StoppableMount) -> None:
    """Other pools of the same driver go on, and one process hangs however often it is tried."""
    good = stoppable_mount.source.parent / "good"
    good.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(good)], check=True)
    try:
        pool, other = stoppable_mount.pool, shared(good, "pool-2")
        for each in (pool, other):
            nfs.prepare(each, "host", PATIENCE)
        stoppable_mount.make_unreachable()
        errors: list[BaseException] = []

        def hang() -> None:
            for _ in range(5):
                try:
                    nfs.write(pool, "host", 1, 0.3)
                except Unreachable as problem:
                    errors.append(problem)

        thread = threading.Thread(target=hang)
        thread.start()
        for sequence in range(1, 30):
            began = time.monotonic()
            nfs.write(other, "host", sequence, PATIENCE)
            assert time.monotonic() - began < PATIENCE / 4
        thread.join(PATIENCE)
        assert len(errors) == 5
        children = [
            pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
        ]
        lanes = [pid for pid in children if b"holdfast.lane" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(lanes) == 2
        assert nfs.stuck_for(pool) > 1.0
        stoppable_mount.make_reachable()
        nfs.write(pool, "host", 2, PATIENCE)
    finally:
        subprocess.run(["umount", "-l", str(good)], check=False)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"\0" * 512, b"HOLDBEAT" + b"\xff" * 504, b"x" * 100_000], ids=len
)
def test_garbage_in_a_beat_is_unknown(nfs: NfsHeartbeat, small_share: Path, content: bytes) -> None:
    """Neither a reading nor "not there"; the next beat mends it."""
    pool = shared(small_share)
    nfs.prepare(pool, "host", PATIENCE)
    nfs.write(pool, "host", 1, PATIENCE)
    beat = small_share / ".holdfast-heartbeats" / "pool-1" / "host.beat"
    beat.write_bytes(content[:40_000])
    with pytest.raises(Refused, match="cannot be believed"):
        nfs.read(pool, "host", "reader", PATIENCE)
    nfs.watch(pool, "reader", PATIENCE)
    nfs.write(pool, "host", 2, PATIENCE)
    assert nfs.read(pool, "host", "reader", PATIENCE).sequence == 2


def test_the_beat_of_another_host_under_this_name_is_unknown(nfs: NfsHeartbeat, small_share: Path) -> None:
    """A copied file speaks of the host that wrote it."""
    pool = shared(small_share)
    for host in ("host", "other"):
        nfs.prepare(pool, host, PATIENCE)
        nfs.write(pool, host, 1, PATIENCE)
    folder = small_share / ".holdfast-heartbeats" / "pool-1"
    (folder / "host.beat").write_bytes((folder / "other.beat").read_bytes())
    with pytest.raises(Refused, match="that of other"):
        nfs.read(pool, "host", "reader", PATIENCE)


def test_beats_of_old_incidents_are_cleaned_up(nfs: NfsHeartbeat, small_share: Path) -> None:
    """Those of hosts that have not written for a month; nothing else in the folder is touched."""
    pool = shared(small_share)
    for host in ("old", "recent", "host"):
        nfs.prepare(pool, host, PATIENCE)
        nfs.write(pool, host, 1, PATIENCE)
    folder = small_share / ".holdfast-heartbeats" / "pool-1"
    (folder / "notes.txt").write_text("mine")
    for name, days in (("old.beat", 31), ("recent.beat", 29), ("notes.txt", 99)):
        past = time.time() - days * 86400
        os.utime(folder / name, (past, past))
    nfs.prepare(pool, "host", PATIENCE)
    assert sorted(path.name for path in folder.iterdir()) == ["host.beat", "notes.txt", "recent.beat"]


@pytest.mark.parametrize("way", ["mounted", "direct"])
def test_what_is_no_file_hangs_nobody(nfs: NfsHeartbeat, way: str, request: pytest.FixtureRequest) -> None:
    """A pipe under a beat's name would keep whoever opens it waiting, and with it the host's own beats."""
    if way == "mounted":
        share: Path = request.getfixturevalue("small_share")
        pool = shared(share)
    else:
        server: NfsServer = request.getfixturevalue("nfs_server")
        share = server.share
        pool = PoolView("pool-odd", "odd", "NetworkFilesystem", "nfs", server.address, 0, str(share))
    for host in ("host", "other"):
        nfs.prepare(pool, host, PATIENCE)
        nfs.write(pool, host, 1, PATIENCE)
    folder = share / ".holdfast-heartbeats" / pool.uuid
    (folder / "other.beat").unlink()
    os.mkfifo(folder / "other.beat")
    (folder / "loop.beat").symlink_to("loop.beat")
    (folder / "folder.beat").mkdir()
    nfs.watch(pool, "host", PATIENCE)
    with pytest.raises(Refused):
        nfs.read(pool, "other", "host", PATIENCE)
    assert nfs.read(pool, "host", "host", PATIENCE).sequence == 1
    os.mkfifo(folder / ".host.draft")
    with pytest.raises(Refused):
        nfs.write(pool, "host", 2, PATIENCE)
    (folder / ".host.draft").unlink()
    nfs.write(pool, "host", 3, PATIENCE)
    assert nfs.read(pool, "host", "reader", PATIENCE).sequence == 3


def test_links_planted_on_the_share_are_not_followed(nfs: NfsHeartbeat, small_share: Path, tmp_path: Path) -> None:
    """Whoever can write to the share must not reach the host's files through the agent, which is root."""
    pool = shared(small_share)
    nfs.prepare(pool, "host", PATIENCE)
    nfs.write(pool, "host", 1, PATIENCE)
    folder = small_share / ".holdfast-heartbeats" / "pool-1"
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    (folder / ".host.draft").symlink_to(secret)
    with pytest.raises(Refused):
        nfs.write(pool, "host", 2, PATIENCE)
    (folder / "host.beat").unlink()
    (folder / "host.beat").symlink_to(secret)
    with pytest.raises(Refused):
        nfs.read(pool, "host", "reader", PATIENCE)
    assert secret.read_text() == "untouched"


def test_a_cut_nfs_path_is_unreachable_and_heals(nfs: NfsHeartbeat, nfs_server: NfsServer) -> None:
    """Both ways, without anybody doing anything."""
    bench = NfsBench(nfs_server)
    try:
        nfs.prepare(bench.pool, "host", PATIENCE)
        nfs.write(bench.pool, "host", 1, PATIENCE)
        nfs_server.network.cut()
        for _ in range(3):
            with pytest.raises(Unreachable):
                nfs.write(bench.pool, "host", 2, 0.5)
    finally:
        nfs_server.network.mend()
    _until_it_works(lambda: nfs.write(bench.pool, "host", 3, PATIENCE))
    assert nfs.read(bench.pool, "host", "reader", PATIENCE).sequence == 3
    bench.close()


def test_a_share_that_is_not_exported_is_refused_or_unreachable(nfs: NfsHeartbeat, nfs_server: NfsServer) -> None:
    """Never "not found", which would be an answer about the host."""
    pool = PoolView("u", "wrong", "NetworkFilesystem", "nfs", nfs_server.address, 0, "/nowhere")
    for act in (lambda: nfs.prepare(pool, "host", PATIENCE), lambda: nfs.read(pool, "host", "reader", PATIENCE)):
        with pytest.raises((Refused, Unreachable)) as caught:
            act()
        assert not isinstance(caught.value, NotFound)


def test_a_cut_iscsi_path_is_unreachable_and_heals(iscsi: IscsiHeartbeat, iscsi_server: IscsiServer) -> None:
    """With a new session; what the old one still had to say is never heard."""
    bench = IscsiBench(iscsi_server)
    try:
        iscsi.prepare(bench.pool, "host", PATIENCE)
        iscsi.write(bench.pool, "host", 1, PATIENCE)
        iscsi_server.network.cut()
        for _ in range(3):
            with pytest.raises(Unreachable):
                iscsi.write(bench.pool, "host", 2, 0.5)
    finally:
        iscsi_server.network.mend()
    _until_it_works(lambda: iscsi.write(bench.pool, "host", 3, PATIENCE))
    assert iscsi.read(bench.pool, "host", "reader", PATIENCE).sequence == 3


def test_a_lun_with_data_is_never_written(iscsi: IscsiHeartbeat, iscsi_server: IscsiServer) -> None:
    """A VM's disk, say."""
    bench = IscsiBench(iscsi_server)
    with iscsi_server.disk.open("r+b") as disk:
        disk.seek(446)
        disk.write(b"partition table")
    before = iscsi_server.disk.read_bytes()
    with pytest.raises(Refused, match="no heartbeat area"):
        iscsi.prepare(bench.pool, "host", PATIENCE)
    assert iscsi_server.disk.read_bytes() == before


def test_a_lun_that_is_not_there_is_refused(iscsi: IscsiHeartbeat, iscsi_server: IscsiServer) -> None:
    """So is a target that is not."""
    bench = IscsiBench(iscsi_server)
    for path in (bench.pool.path[:-1] + "9", "/iqn.2025-01.test.holdfast:nothing/1"):
        with pytest.raises(Refused):
            iscsi.prepare(replace(bench.pool, path=path), "host", PATIENCE)


def _until_it_works(act: object) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            act()  # type: ignore[operator]
            return
        except Unreachable:
            assert time.monotonic() < until, "it did not heal"


def test_a_share_that_becomes_read_only_accuses_nobody(small_share: Path) -> None:
    """It stops everybody's beats, and everybody reads on. Once it takes beats again, whoever is dead is seen to be."""
    pool, limit = shared(small_share), 2.5
    settings = {"ha.storage.beat.interval": "0.2", "ha.storage.beat.stale": str(limit)}
    drivers = {name: NfsHeartbeat() for name in ("h1", "h2")}
    hosts = {name: Guardian(name, lambda _kind, name=name: drivers[name], NoWatchdog()) for name in drivers}  # type: ignore[misc]

    def stillness(subject: str, reader: str) -> float:
        return drivers[reader].read(pool, subject, reader, PATIENCE).unchanged_for

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_share)], check=True)

    try:
        for host in hosts.values():
            host.orders_given(HostOrders((pool,), True, settings))
            host.start(NoVms())
        until(lambda: all(host.lease.held_on_storage(uptime()) for host in hosts.values()))
        remount("ro")
        until(lambda: all("may not write there" in host.problems().get(pool.name, "") for host in hosts.values()))
        end = time.monotonic() + limit + 0.5
        while time.monotonic() < end:
            assert max(stillness("h2", "h1"), stillness("h1", "h2")) < limit
            time.sleep(0.1)
        hosts["h2"].stop()
        remount("rw")
        until(lambda: stillness("h2", "h1") > limit)
        assert hosts["h1"].lease.held_on_storage(uptime())
    finally:
        for host in hosts.values():
            host.stop()
        for driver in drivers.values():
            driver.close()


class NoVms:
    """Of a host on which nothing runs."""

    def running(self) -> tuple[VmSpec, ...]:
        return ()

    def stop_all(self, vm_uuids: tuple[str, ...], seconds: float) -> tuple[str, ...]:
        return vm_uuids


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
