"""Disks on real NFS and iSCSI servers, opened by QEMU itself: made once, found again, and what nobody locks."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast.errors import Refused
from holdfast.model.states import GuestState
from holdfast.model.views import DiskSpec, VmReport, VmSpec
from holdfast_lab.guest.tokens import Token, read_tokens
from kvm_host import SECONDS, KvmHost
from network_storage import MEBIBYTE, IscsiServer, NfsServer, add_lun, iscsi, iscsi_pool, lun_url, nfs, nfs_pool
from real_libvirt import LibvirtHost

pytestmark = pytest.mark.slow

NewVm = Callable[..., VmSpec]


@pytest.fixture(scope="module")
def nfs_server(packages: None) -> Iterator[NfsServer]:
    server = nfs()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def iscsi_server(packages: None, guest: Path) -> Iterator[IscsiServer]:
    server = iscsi()
    try:
        server.start()
        add_lun(server, 2, 64 * MEBIBYTE, guest)
        for number in (3, 4):
            add_lun(server, number, 64 * MEBIBYTE)
        add_lun(server, 5, 8 * MEBIBYTE)
        yield server
    finally:
        server.stop()


def wait_for_token(image: Path, epoch: int, after: int = 0) -> Token:
    """A token of this run that is newer than `after`, read from the server's side."""
    until = time.monotonic() + 2 * SECONDS
    while time.monotonic() < until:
        for token in read_tokens(str(image)) if image.exists() else ():
            if token.run == epoch and token.count > after:
                return token
        time.sleep(0.1)  # a guest writes to its disk and to nobody else
    pytest.fail(f"run {epoch} wrote no token to {image}")


def test_a_vm_on_nfs_without_a_mount(kvm: KvmHost, nfs_server: NfsServer, new_vm: NewVm, guest: Path) -> None:
    """Its overlay is made on the server; it goes on after the server was away; a later run finds its disk again."""
    shutil.copyfile(guest, nfs_server.share / "guest.qcow2")
    vm = new_vm()
    disk = DiskSpec(nfs_pool(nfs_server), vm.uuid, template=f"nfs://{nfs_server.address}{nfs_server.share}/guest.qcow2")
    vm = new_vm(uuid=vm.uuid, ram=96, disks=(disk,))
    image = nfs_server.share / f"{vm.uuid}.qcow2"
    kvm.start(vm, 1)
    first = wait_for_token(image, 1)
    nfs_server.signal(signal.SIGSTOP)
    time.sleep(5)  # the outage itself
    nfs_server.signal(signal.SIGCONT)
    assert wait_for_token(image, 1, after=first.count).token == first.token
    assert kvm.report(vm) == VmReport(vm.uuid, GuestState.RUNNING, 1)
    kvm.stop(vm, 1)
    kvm.start(vm, 2)
    second = wait_for_token(image, 2)
    assert second.token != first.token
    assert {token.run for token in read_tokens(str(image))} == {1, 2}, "the disk was made anew"
    kvm.stop(vm, 2)
    kvm.driver.remove_disks(kvm.view, vm, SECONDS)
    assert image.stat().st_size == 0


def test_a_vm_on_a_lun(kvm: KvmHost, iscsi_server: IscsiServer, new_vm: NewVm) -> None:
    """Template and disk are LUNs. The LUN is the VM's: another VM that is given it is refused."""
    pool, template = iscsi_pool(iscsi_server), lun_url(iscsi_server, 2)
    image = iscsi_server.disk.with_name("lun3.img")
    vm = new_vm(ram=96, disks=(DiskSpec(pool, "3", template=template),))
    kvm.start(vm, 1)
    wait_for_token(image, 1)
    kvm.stop(vm, 1)
    kvm.start(vm, 2)
    wait_for_token(image, 2)
    assert {token.run for token in read_tokens(str(image))} == {1, 2}, "the disk was made anew"
    with pytest.raises(Refused, match="runs on host"):
        kvm.driver.remove_disks(kvm.view, vm, SECONDS)
    kvm.stop(vm, 2)
    other = new_vm(disks=(DiskSpec(pool, "3", template=template),))
    for call in (lambda: kvm.start(other), lambda: kvm.driver.remove_disks(kvm.view, other, SECONDS)):
        with pytest.raises(Refused, match=r"(the disk of VM|this VM's mark)"):
            call()
    for _ in range(2):
        kvm.driver.remove_disks(kvm.view, vm, SECONDS)
    kvm.start(other)


def test_luns_that_are_unfit_are_refused(kvm: KvmHost, iscsi_server: IscsiServer, new_vm: NewVm) -> None:
    """Too small, not there, the pool's own, or full of something else: nothing is written to them."""
    pool, template = iscsi_pool(iscsi_server), lun_url(iscsi_server, 2)
    strange = add_lun(iscsi_server, 6, 64 * MEBIBYTE)
    with strange.open("r+b") as file:
        file.write(b"somebody's file system")
    for lun, text in (("5", "has 8 MiB"), ("9", "luns"), ("1", "LUN of its own"), ("6", "no qcow2 image")):
        vm = new_vm(disks=(DiskSpec(pool, lun, template=template),))
        with pytest.raises(Refused, match=text):
            kvm.start(vm)
        assert kvm.report(vm) is None
    assert strange.read_bytes()[:22] == b"somebody's file system"
    assert not any(iscsi_server.disk.with_name("lun5.img").read_bytes())


def test_qemus_own_clients_lock_nothing(
    kvm: KvmHost,
    make_libvirt: Callable[[str], LibvirtHost],
    nfs_server: NfsServer,
    iscsi_server: IscsiServer,
    new_vm: NewVm,
) -> None:
    """A second host that has not heard of the first starts the same VM: there, one run rests on permits alone.

    The documentation says so. When this fails, QEMU has learnt to lock, and the documentation may say that instead.
    """
    other = KvmHost(make_libvirt("two"))
    for disk in (
        DiskSpec(nfs_pool(nfs_server), "unlocked", size=16 * MEBIBYTE),
        DiskSpec(iscsi_pool(iscsi_server), "4", size=16 * MEBIBYTE),
    ):
        vm = new_vm(disks=(disk,))
        kvm.start(vm, 1)
        other.start(vm, 2)
        other.stop(vm, 2)
        kvm.stop(vm, 1)


def test_a_server_that_is_silent_refuses_a_first_start_in_time(
    kvm: KvmHost, nfs_server: NfsServer, new_vm: NewVm
) -> None:
    """Nothing runs then, and another host may be tried; once the server is back the VM starts."""
    vm = new_vm()
    vm = new_vm(uuid=vm.uuid, disks=(DiskSpec(nfs_pool(nfs_server), vm.uuid, size=16 * MEBIBYTE),))
    nfs_server.signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(Refused, match="did not answer in time"):
            kvm.start(vm, 1, seconds=4.0)
        assert time.monotonic() - began < 8.0
    finally:
        nfs_server.signal(signal.SIGCONT)
    assert kvm.report(vm) is None
    kvm.start(vm, 1)
