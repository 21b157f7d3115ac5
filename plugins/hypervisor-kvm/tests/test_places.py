"""Where a disk is on this host: said by mounts and device names, and refused where it is not certain."""

from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from holdfast.errors import Refused
from holdfast.model.views import DiskSpec, PoolView
from holdfast_hypervisor_kvm.mounts import Mount, Mounts, read_mounts
from holdfast_hypervisor_kvm.place import Place
from holdfast_hypervisor_kvm.places import Places

NFS = PoolView("p", "primary", "NetworkFilesystem", "nfs", "10.0.0.5", path="/export/primary")
ISCSI = PoolView("p", "luns", "IscsiLUN", "iscsi", "10.0.0.5", path="/iqn.2026-01.lab:one/1")
DEVICE = "/dev/disk/by-path/ip-10.0.0.5:3260-iscsi-iqn.2026-01.lab:one-lun-7"


def places(*mounts: Mount, devices: tuple[str, ...] = ()) -> Places:
    return Places(lambda: Mounts(mounts), lambda path: path in devices)


def test_an_nfs_pool_is_used_through_its_mount_and_else_without_one() -> None:
    """As `/proc` says, also for a mount of a folder above; where nothing is mounted QEMU goes to the server itself."""
    disk = DiskSpec(NFS, "vm-1")
    assert places().disk(disk) == Place("nfs", "/export/primary/vm-1.qcow2", "10.0.0.5")
    mounted = places(Mount("/mnt/p", "nfs4", "10.0.0.5:/export"), Mount("/mnt/q", "nfs", "10.0.0.6:/export/primary"))
    assert mounted.disk(disk) == Place("file", "/mnt/p/primary/vm-1.qcow2")


def test_a_mount_that_is_missing_is_never_written_into() -> None:
    """The pool says where it is mounted; an empty folder there is not the pool."""
    pool = PoolView("p", "primary", "NetworkFilesystem", "nfs", "10.0.0.5", path="/x", details={"mount": "/mnt/p"})
    shared = PoolView("p", "shared", "SharedMountPoint", "", path="/mnt/p")
    for one in (pool, shared):
        with pytest.raises(Refused, match="not mounted at /mnt/p"):
            places().disk(DiskSpec(one, "vm-1"))
        assert places(Mount("/mnt/p", "nfs", "s:/x")).disk(DiskSpec(one, "vm-1")).path == "/mnt/p/vm-1.qcow2"


def test_a_lun_is_the_kernels_device_where_there_is_one() -> None:
    """Else QEMU logs in to the target."""
    disk = DiskSpec(ISCSI, "7")
    assert places().disk(disk) == Place("iscsi", "iqn.2026-01.lab:one/7", "10.0.0.5", 3260)
    assert places(devices=(DEVICE,)).disk(disk) == Place("block", DEVICE)


@pytest.mark.parametrize("name", ["1", "", "vm-1", "123456", "-1"])
def test_the_pools_own_lun_is_no_vms_disk(name: str) -> None:
    """Heartbeats live there; nor is a name that is no number a LUN."""
    with pytest.raises(Refused, match="LUN of its own"):
        places().disk(DiskSpec(ISCSI, name))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x y", "ä", "-dash"])
def test_names_that_are_paths_are_refused(name: str) -> None:
    """A disk stays in its pool."""
    with pytest.raises(Refused, match="no name for a disk"):
        places().disk(DiskSpec(NFS, name))


def test_pools_that_this_driver_cannot_use_are_named() -> None:
    """With their type."""
    with pytest.raises(Refused, match="RBD"):
        places().disk(DiskSpec(PoolView("p", "ceph", "RBD", ""), "vm-1"))
    with pytest.raises(Refused, match="no absolute path"):
        places().disk(DiskSpec(PoolView("p", "local", "Filesystem", "", path="var/x"), "vm-1"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/images/a.qcow2", Place("file", "/images/a.qcow2")),
        ("file:///images/a%20b.qcow2", Place("file", "/images/a b.qcow2")),
        ("nfs://10.0.0.5/export/t/a.qcow2", Place("nfs", "/export/t/a.qcow2", "10.0.0.5")),
        ("iscsi://10.0.0.5:3261/iqn.x:y/3", Place("iscsi", "iqn.x:y/3", "10.0.0.5", 3261)),
    ],
)
def test_templates_are_paths_and_urls(url: str, place: Place) -> None:
    """Of what QEMU opens by itself."""
    assert places().template(url) == place


@pytest.mark.parametrize("url", ["", "http://x/a.qcow2", "nfs:///x", "images/a.qcow2", "iscsi://h/iqn", "ftp://h/x"])
def test_templates_that_qemu_cannot_open_are_refused(url: str) -> None:
    """With what to do instead."""
    with pytest.raises(Refused, match=r"(register it under|names no LUN)"):
        places().template(url)


def test_places_are_said_to_qemu_and_to_libvirt() -> None:
    """Addresses of IPv6 too."""
    place = Place("iscsi", "iqn.x:y/3", "fd00::1", 3260)
    assert place.url == "iscsi://[fd00::1]:3260/iqn.x:y/3"
    disk = Element("disk")
    assert place.source(disk) == "network"
    source = disk[0]
    assert source.attrib == {"protocol": "iscsi", "name": "iqn.x:y/3"}
    assert source[0].attrib == {"name": "fd00::1", "port": "3260"}
    assert Place("nfs", "/export/a b", "nas").url == "nfs://nas/export/a%20b"
    assert [Place(kind, "/x").locks for kind in ("file", "block", "nfs", "iscsi")] == [True, False, False, False]


def test_mounts_are_read_from_the_kernel(tmp_path: Path) -> None:
    """Names with blanks, and lines that say nothing."""
    text = (
        "36 35 98:0 / /mnt/a\\040b rw - nfs4 [fd00::1]:/export rw\n"
        "37 35 98:0 / /mnt/c rw shared:1 master:2 - ext4 /dev/sda rw\nnonsense\n"
    )
    (tmp_path / "mountinfo").write_text(text)
    mounts = read_mounts(tmp_path / "mountinfo")
    assert mounts.is_mounted("/mnt/a b")
    assert mounts.is_mounted("/mnt/c/")
    assert not mounts.is_mounted("/mnt")
    assert mounts.nfs("fd00::1", "/export/x") == "/mnt/a b/x"
    assert mounts.nfs("fd00::1", "/exporter/x") is None
    assert read_mounts().is_mounted("/proc")
