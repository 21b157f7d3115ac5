"""The conformance kit for heartbeats, run on real storage: NFS, a mount that hangs, iSCSI, and a plain disk."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from heartbeat_benches import IscsiBench, NfsBench, StoppableMount
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model.secret import Secret
from holdfast_conformance import HeartbeatCapabilities, HeartbeatConformance
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_nfs.driver import NfsHeartbeat
from iscsi_server import CHAP_PASSWORD, CHAP_USER, IscsiServer
from nfs_server import NfsServer


@pytest.fixture
def nfs_driver() -> Iterator[NfsHeartbeat]:
    driver = NfsHeartbeat()
    yield driver
    driver.close()


class TestNfsWithoutMount(HeartbeatConformance):
    """nfs-ganesha through libnfs."""

    @pytest.fixture
    def bench(self, nfs_server: NfsServer) -> Iterator[NfsBench]:
        bench = NfsBench(nfs_server)
        yield bench
        bench.close()

    @pytest.fixture
    def driver(self, nfs_driver: NfsHeartbeat) -> HeartbeatDriver:
        return nfs_driver


class TestMountThatHangs(HeartbeatConformance):
    """A mounted file system."""

    @pytest.fixture
    def bench(self, stoppable_mount: StoppableMount) -> StoppableMount:
        return stoppable_mount

    @pytest.fixture
    def driver(self, nfs_driver: NfsHeartbeat) -> HeartbeatDriver:
        return nfs_driver


class TestIscsiWithoutDevice(HeartbeatConformance):
    """tgtd through libiscsi."""

    @pytest.fixture
    def bench(self, iscsi_server: IscsiServer) -> Iterator[IscsiBench]:
        bench = IscsiBench(iscsi_server)
        yield bench
        bench.close()

    @pytest.fixture
    def driver(self) -> Iterator[HeartbeatDriver]:
        driver = IscsiHeartbeat()
        yield driver
        driver.close()


class TestIscsiWithChap(HeartbeatConformance):
    """tgtd through libiscsi, with a password that nobody may see."""

    capabilities = HeartbeatCapabilities(secrets=(CHAP_PASSWORD,))

    @pytest.fixture
    def bench(self, chap_server: IscsiServer) -> Iterator[IscsiBench]:
        bench = IscsiBench(chap_server)
        yield bench
        bench.close()

    @pytest.fixture
    def driver(self) -> Iterator[HeartbeatDriver]:
        driver = IscsiHeartbeat({"chap_user": CHAP_USER, "chap_password": Secret(CHAP_PASSWORD)})
        yield driver
        driver.close()


class TestDiskThatHangs(HeartbeatConformance):
    """A disk behind the kernel."""

    capabilities = HeartbeatCapabilities(can_refuse=False)

    @pytest.fixture
    def bench(self, stoppable_mount: StoppableMount) -> StoppableMount:
        disk = Path(stoppable_mount.point, "disk")
        disk.write_bytes(bytes(2 << 20))
        details = {"heartbeat.device": str(disk)}
        stoppable_mount._pool = replace(
            stoppable_mount.pool, uuid=f"pool-{random.randrange(1 << 48)}", pool_type="IscsiLUN", details=details
        )
        return stoppable_mount

    @pytest.fixture
    def driver(self, bench: StoppableMount) -> Iterator[HeartbeatDriver]:
        driver = IscsiHeartbeat()
        yield driver
        driver.close()
