"""Guests that really run: what the driver says when they end, and what it lets come of them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast.errors import DriverError, Refused, Unreachable
from holdfast.model.states import GuestState
from holdfast.model.views import DiskSpec, NicSpec, PoolView, VmReport, VmSpec
from holdfast_hypervisor_kvm import roll_call
from holdfast_lab.guest.tokens import Token, read_tokens
from kvm_host import SECONDS, Ear, KvmHost
from real_libvirt import LibvirtHost

pytestmark = pytest.mark.slow

NewVm = Callable[..., VmSpec]


def disk_of(vm: VmSpec) -> Path:
    return Path(vm.disks[0].pool.path) / f"{vm.disks[0].name}.qcow2"


def token_of(vm: VmSpec, epoch: int, after: int = 0) -> Token:
    """Wait until the guest's run has written a token that is newer than `after`."""
    until = time.monotonic() + 2 * SECONDS
    while time.monotonic() < until:
        for token in read_tokens(str(disk_of(vm))):
            if token.run == epoch and token.count > after:
                return token
        time.sleep(0.1)  # a guest writes to its disk and to nobody else
    pytest.fail(f"run {epoch} of {vm.name} wrote no token")


def qemu_of(kvm: KvmHost, vm: VmSpec) -> int:
    """The process that runs a VM."""
    for pid in kvm.libvirt.processes("qemu-system-x86_64"):
        if vm.uuid.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    pytest.fail(f"nothing runs {vm.name}")


def listen(kvm: KvmHost) -> Ear:
    ear = Ear()
    kvm.driver.attach(kvm.view, ear)
    return ear


def test_a_guest_boots_from_its_template_and_shuts_down_when_asked(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """It learns which run it is; it is given time to end by itself, and is not cut off."""
    vm = new_vm(guest)
    kvm.start(vm, 3)
    token = token_of(vm, 3)
    assert token.vm == vm.uuid
    began = time.monotonic()
    kvm2 = KvmHost(kvm.libvirt, state_dir=kvm.libvirt.folder / "patient", shutdown_seconds=60.0)
    kvm2.stop(vm, 3, graceful=True)
    assert time.monotonic() - began < 60.0
    assert "reason=shutdown" in (kvm.libvirt.logs / f"{vm.instance_name}.log").read_text()
    assert read_tokens(str(disk_of(vm)))[0].count >= token.count


def test_a_guest_that_powers_off_is_reported_so_until_it_is_stopped(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """Also by a driver that was started afterwards; the stop is what makes it history."""
    vm = new_vm(guest)
    ear = listen(kvm)
    kvm.start(vm, 1)
    token_of(vm, 1)
    kvm.libvirt.virsh("shutdown", "--mode", "acpi", vm.uuid)
    ended = ear.hear(VmReport(vm.uuid, GuestState.SHUT_DOWN, 1))
    assert ended.reason == "its guest shut itself down"
    for driver in ("the same", "another"):
        if driver == "another":
            kvm.restarted()
        report = kvm.report(vm)
        assert report == VmReport(vm.uuid, GuestState.SHUT_DOWN, 1)
        assert report.reason == "its guest shut itself down"
    kvm.stop(vm, 1)
    assert kvm.report(vm) is None


def test_a_killed_qemu_is_a_crash(kvm: KvmHost, new_vm: NewVm) -> None:
    """An event says so at once; a new run starts there, and the old one never again."""
    vm = new_vm()
    ear = listen(kvm)
    kvm.start(vm, 1)
    ear.hear(VmReport(vm.uuid, GuestState.RUNNING, 1))
    os.kill(qemu_of(kvm, vm), signal.SIGKILL)
    assert "unexpectedly" in ear.hear(VmReport(vm.uuid, GuestState.CRASHED, 1)).reason
    with pytest.raises(Refused, match="is over"):
        kvm.start(vm, 1)
    kvm.stop(vm, 1)
    kvm.start(vm, 2)
    ear.hear(VmReport(vm.uuid, GuestState.RUNNING, 2))
    assert [r for r in ear.reports if r.run_epoch == 2] == [VmReport(vm.uuid, GuestState.RUNNING, 2)]


def test_a_panic_is_a_crash(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """The guest's kernel tells of it."""
    vm = new_vm(guest)
    ear = listen(kvm)
    kvm.start(vm, 1)
    token_of(vm, 1)
    kvm.libvirt.virsh("inject-nmi", vm.uuid)
    ear.hear(VmReport(vm.uuid, GuestState.CRASHED, 1))


def test_how_a_run_ended_while_nobody_listened_is_found_out(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """A crash and a shutdown, both while the agent was away: told when it is back."""
    crashed, powered_off = new_vm(), new_vm(guest)
    kvm.start(crashed)
    kvm.start(powered_off)
    token_of(powered_off, 1)
    os.kill(qemu_of(kvm, crashed), signal.SIGKILL)
    kvm.libvirt.virsh("shutdown", "--mode", "acpi", powered_off.uuid)
    until = time.monotonic() + SECONDS
    while kvm.libvirt.processes("qemu-system-x86_64") and time.monotonic() < until:
        time.sleep(0.1)
    kvm.restarted()
    ear = listen(kvm)
    ear.hear(VmReport(crashed.uuid, GuestState.CRASHED, 1))
    ear.hear(VmReport(powered_off.uuid, GuestState.SHUT_DOWN, 1))


def test_vms_live_through_the_death_of_libvirtd(kvm: KvmHost, new_vm: NewVm) -> None:
    """Their processes stay; the driver finds libvirtd again, and hears what becomes of them."""
    vm = new_vm()
    ear = listen(kvm)
    kvm.start(vm)
    pid = qemu_of(kvm, vm)
    kvm.libvirt.signal("libvirtd", signal.SIGKILL)
    ear.wait(lambda ear: len(ear.connected) >= 2)
    assert kvm.report(vm) == VmReport(vm.uuid, GuestState.RUNNING, 1)
    assert qemu_of(kvm, vm) == pid
    os.kill(pid, signal.SIGKILL)
    ear.hear(VmReport(vm.uuid, GuestState.CRASHED, 1))


def test_a_vm_that_dies_while_libvirtd_takes_it_up_again_is_told(kvm: KvmHost, new_vm: NewVm) -> None:
    """libvirtd, just begun again, has no event for that: it ends the domain without a word."""
    vm = new_vm()
    ear = listen(kvm)
    kvm.start(vm)
    pid = qemu_of(kvm, vm)
    os.kill(pid, signal.SIGSTOP)
    kvm.libvirt.signal("libvirtd", signal.SIGKILL)
    ear.wait(lambda ear: len(ear.connected) >= 2)
    os.kill(pid, signal.SIGKILL)
    ear.hear(VmReport(vm.uuid, GuestState.CRASHED, 1))


def test_a_host_that_was_cut_off_comes_back_empty(kvm: KvmHost, new_vm: NewVm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing starts by itself, the runs of before are said to be gone, and what was stopped stays refused."""
    stopped, running = new_vm(), new_vm()
    kvm.start(stopped, 4)
    kvm.stop(stopped, 4)
    kvm.start(running, 2)
    kvm.libvirt.end()
    kvm.libvirt.boot()
    monkeypatch.setattr(roll_call, "boot_id", lambda _proc: "another")  # the driver is in this process, which goes on
    kvm.restarted()
    assert kvm.libvirt.virsh("list", "--all").strip() == ""
    gone = kvm.report(running)
    assert gone == VmReport(running.uuid, GuestState.ABSENT, 2)
    assert gone.host_restarted
    with pytest.raises(Refused):
        kvm.start(stopped, 4)
    kvm.start(running, 3)
    assert kvm.report(running) == VmReport(running.uuid, GuestState.RUNNING, 3)


def test_the_storage_refuses_a_second_writer(
    kvm: KvmHost, make_libvirt: Callable[[str], LibvirtHost], new_vm: NewVm
) -> None:
    """The same VM on a second host, which has not heard of the first: QEMU's lock on its disk says no."""
    vm = new_vm()
    other = KvmHost(make_libvirt("two"))
    kvm.start(vm, 1)
    with pytest.raises(Refused, match="second writer"):
        other.start(vm, 2)
    assert other.report(vm) is None
    assert kvm.report(vm) == VmReport(vm.uuid, GuestState.RUNNING, 1)
    kvm.stop(vm, 1)
    other.start(vm, 2)


def test_a_start_that_libvirtd_carries_out_too_late_never_runs(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """libvirtd hangs just as it is told to start a VM. When it goes on, the VM comes to be - and is ended unrun."""
    vm = new_vm(guest)
    kvm.start(new_vm())  # whatever libvirt is asked once, it has been asked
    book = kvm.driver._book
    begin = book.begin

    def hang(*words: object) -> None:
        begin(*words)
        kvm.libvirt.signal("libvirtd", signal.SIGSTOP)

    book.begin = hang
    with pytest.raises(Unreachable):
        kvm.start(vm, 1, seconds=3.0)
    book.begin = begin
    with pytest.raises(Unreachable):
        kvm.stop(vm, 1, seconds=1.0)
    kvm.libvirt.signal("libvirtd", signal.SIGCONT)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            kvm.stop(vm, 1, seconds=10.0)
            break
        except Unreachable:
            continue
    assert kvm.report(vm) is None
    log = (kvm.libvirt.logs / f"{vm.instance_name}.log").read_text()
    assert "starting up" in log, "libvirtd had not been told to start it: the test tests nothing"
    assert read_tokens(str(disk_of(vm))) == ()
    assert kvm.libvirt.virsh("list", "--all", "--name").split() != []


def test_a_qemu_that_libvirtd_forgot_is_found_and_ended(kvm: KvmHost, new_vm: NewVm) -> None:
    """It counts as live, bars new runs, and a stop ends it."""
    vm = new_vm()
    kvm.start(vm, 1)
    pid = qemu_of(kvm, vm)
    kvm.libvirt.signal("libvirtd", signal.SIGSTOP)
    for path in (kvm.libvirt.folder / "run" / "libvirt" / "qemu").glob("*.xml"):
        path.unlink()
    kvm.libvirt.signal("libvirtd", signal.SIGKILL)
    kvm.libvirt.wait_until_it_answers()
    kvm.restarted()
    assert kvm.report(vm) == VmReport(vm.uuid, GuestState.UNKNOWN, 1)
    with pytest.raises(Refused, match="libvirt does not know"):
        kvm.start(vm, 2)
    kvm.stop(vm, 1)
    assert not Path(f"/proc/{pid}").exists() or pid not in kvm.libvirt.processes()
    kvm.start(vm, 2)


@pytest.fixture
def small_pool(tmp_path: Path) -> Iterator[PoolView]:
    """Storage of 8 MiB, mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "holdfast-test", folder], check=True)
    yield PoolView("pool-2", "small", "SharedMountPoint", "", path=str(folder))
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_guest_that_stopped_for_want_of_storage_goes_on(
    small_pool: PoolView, make_libvirt: Callable[[str], LibvirtHost], new_vm: NewVm, guest: Path
) -> None:
    """It is paused, says why, and goes on from there once its storage is back."""
    kvm = KvmHost(make_libvirt("one"), cache="writeback")
    vm = new_vm(guest)
    vm = replace(vm, disks=(replace(vm.disks[0], pool=small_pool),))
    hog = Path(small_pool.path) / "hog"
    ear = listen(kvm)
    kvm.start(vm)
    with hog.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    paused = ear.hear(VmReport(vm.uuid, GuestState.PAUSED, 1), 2 * SECONDS)
    assert paused.reason.startswith("paused on an I/O error of its disk: ")
    report = kvm.report(vm)
    assert report == paused
    hog.unlink()
    ear.wait(lambda ear: ear.reports[-1] == VmReport(vm.uuid, GuestState.RUNNING, 1))
    assert token_of(vm, 1).vm == vm.uuid


def test_what_cannot_run_is_refused_in_words(kvm: KvmHost, new_vm: NewVm, small_pool: PoolView) -> None:
    """No disk, no pool, no room, no template, no bridge: each is named, and nothing runs."""
    vm = new_vm()
    disk = vm.disks[0]
    unmounted = PoolView("p", "archive", "NetworkFilesystem", "", "10.0.0.9", path="/x", details={"mount": "/mnt/none"})
    full = Path(small_pool.path) / "hog"
    full.write_bytes(bytes((8 << 20) - 4096))
    cases = {
        "has no disk": replace(vm, disks=()),
        "archive is not mounted at /mnt/none": replace(vm, disks=(replace(disk, pool=unmounted),)),
        "No space left": replace(vm, disks=(replace(disk, pool=small_pool),)),
        "template /nowhere/image.qcow2 is not there": replace(
            vm, disks=(replace(disk, template="/nowhere/image.qcow2"),)
        ),
        "nothing that this host can open": replace(vm, disks=(replace(disk, template="http://x/image.qcow2"),)),
        "no name for a disk": replace(vm, disks=(DiskSpec(disk.pool, "../../etc/shadow", size=1 << 20),)),
    }
    for text, spec in cases.items():
        with pytest.raises(Refused) as refusal:
            kvm.start(spec)
        assert text in str(refusal.value)
        assert kvm.report(vm) is None
    bridged = KvmHost(kvm.libvirt, bridge="hf-no-bridge")
    with pytest.raises(Refused, match="hf-no-bridge"):
        bridged.start(replace(vm, nics=(NicSpec("02:00:00:00:00:01", "guests"),)))
    kvm.start(vm)


def test_a_disk_that_is_there_is_never_made_anew(kvm: KvmHost, new_vm: NewVm, guest: Path) -> None:
    """Neither the VM's own, nor another's that bears the name, nor what is no disk at all."""
    vm = new_vm(guest)
    kvm.start(vm)
    kvm.stop(vm)
    before = disk_of(vm).stat().st_ino
    kvm.start(vm, 2)
    assert disk_of(vm).stat().st_ino == before
    kvm.stop(vm, 2)
    thief = replace(new_vm(guest), disks=vm.disks)
    with pytest.raises(Refused, match=f"the disk of VM {vm.uuid}"):
        kvm.start(thief)
    other = new_vm(guest)
    disk_of(other).write_bytes(b"precious" * 1000)
    with pytest.raises(Refused, match="no qcow2 image"):
        kvm.start(other)
    assert disk_of(other).read_bytes() == b"precious" * 1000


def test_a_damaged_page_bars_its_vm_alone(kvm: KvmHost, new_vm: NewVm) -> None:
    """What is allowed of its runs is not known then: never taken for nothing."""
    damaged, sound = new_vm(), new_vm()
    kvm.start(damaged, 3)
    kvm.stop(damaged, 3)
    page = kvm.driver._book._folder / f"{damaged.uuid}.json"
    page.write_text("{")
    kvm.restarted()
    with pytest.raises(DriverError, match="cannot be read"):
        kvm.start(damaged, 3)
    kvm.start(sound, 1)
    assert kvm.report(sound) == VmReport(sound.uuid, GuestState.RUNNING, 1)


def test_a_vm_moves_live_and_its_old_run_is_over(
    make_libvirt: Callable[[str], LibvirtHost], new_vm: NewVm, guest: Path
) -> None:
    """One run at a time, the same guest without a pause worth the name, under the new permit."""
    there = KvmHost(make_libvirt("there"))
    here = KvmHost(make_libvirt("here"), migration_uri=there.libvirt.tcp_uri, migration_unsafe=True)
    vm = new_vm(guest)
    here_says = listen(here)
    here.start(vm, 1)
    before = token_of(vm, 1)
    here.driver.migrate_vm(here.view, there.view, vm, there.permit(vm, 2), SECONDS)
    assert here.report(vm) is None
    assert there.report(vm) == VmReport(vm.uuid, GuestState.RUNNING, 2)
    there_says = listen(there)  # nobody listened there while it came
    there_says.hear(VmReport(vm.uuid, GuestState.RUNNING, 2))
    assert token_of(vm, 1, after=before.count).token == before.token, "the guest did not go on"
    with pytest.raises(Refused):
        here.start(vm, 1)
    os.kill(qemu_of(there, vm), signal.SIGKILL)
    there_says.hear(VmReport(vm.uuid, GuestState.CRASHED, 2))
    there.restarted()
    assert there.report(vm) == VmReport(vm.uuid, GuestState.CRASHED, 2)
    assert all(report.state is GuestState.RUNNING for report in here_says.reports)


def test_a_move_to_where_the_run_was_refused_is_turned_away(
    make_libvirt: Callable[[str], LibvirtHost], new_vm: NewVm
) -> None:
    """The target was told that run 2 must never live there. libvirt tells it that a guest arrives: mostly before that
    lives, and then it stays where it is. If the guest was quicker, it is ended all the same, and runs nowhere."""
    there = KvmHost(make_libvirt("there"))
    here = KvmHost(make_libvirt("here"), migration_uri=there.libvirt.tcp_uri, migration_unsafe=True)
    vm = new_vm()
    listen(there)
    here.start(vm, 1)
    there.stop(vm, 2)
    turned_away = False
    try:
        here.driver.migrate_vm(here.view, there.view, vm, there.permit(vm, 2), SECONDS)
    except (Refused, Unreachable):
        turned_away = True
    until = time.monotonic() + SECONDS
    while there.report(vm) is not None:
        assert time.monotonic() < until, there.report(vm)
        time.sleep(0.05)
    if turned_away:
        assert here.report(vm) == VmReport(vm.uuid, GuestState.RUNNING, 1)
