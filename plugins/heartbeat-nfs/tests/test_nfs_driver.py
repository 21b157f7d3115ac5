"""How the driver reaches a pool, and what it makes of errors."""

import errno

import pytest
from holdfast.errors import Refused, Unreachable
from holdfast.model.views import PoolView
from holdfast_heartbeat_nfs import driver as module
from holdfast_heartbeat_nfs.driver import NfsHeartbeat
from holdfast_heartbeat_nfs.mounts import Mount
from holdfast_heartbeat_nfs.place import explained

POOL = PoolView("uuid-1", "pool", "NetworkFilesystem", "nfs", "nas", 0, "/export")


@pytest.mark.parametrize(
    ("access", "mounted", "worker"),
    [
        ("auto", True, "MountedShare"),
        ("auto", False, "DirectShare"),
        ("mount", False, "MountedShare"),
        ("libnfs", True, "DirectShare"),
    ],
)
def test_it_takes_the_mount_if_there_is_one(
    access: str, mounted: bool, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is told otherwise."""
    mounts = [Mount(7, "/mnt/pool", "nfs", "nas:/export", frozenset())] if mounted else []
    monkeypatch.setattr(module, "read_mounts", lambda: mounts)
    assert NfsHeartbeat({"access": access}).worker_for(POOL)[0].endswith(worker)


def test_ports_reach_a_server_without_a_portmapper() -> None:
    """By the pool's details."""
    details = {"heartbeat.nfs.port": "2050", "heartbeat.nfs.mountport": "2051"}
    pool = PoolView("u", "p", "NetworkFilesystem", "nfs", "192.0.2.1", 0, "/export", details)
    _, parts = NfsHeartbeat({"access": "libnfs"}).worker_for(pool)
    assert parts[3] == {"nfsport": "2050", "mountport": "2051"}


def test_a_pool_that_is_nowhere_is_refused() -> None:
    """With what is missing."""
    with pytest.raises(Refused, match="neither an address nor a mount point"):
        NfsHeartbeat().worker_for(PoolView("u", "p", "SharedMountPoint", "nfs"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EINTR])
def test_no_answer_is_unreachable(number: int) -> None:
    """Nothing is known of what happened."""
    assert isinstance(explained(number, "words", "nas:/export"), Unreachable)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_no_is_refused(number: int) -> None:
    """The text says where."""
    problem = explained(number, "words", "nas:/export")
    assert isinstance(problem, Refused)
    assert "nas:/export" in str(problem)
