"""What libvirt is told of a VM, and what is made of what it says."""

import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from holdfast.errors import Refused
from holdfast.model.states import GuestState
from holdfast.model.views import DiskSpec, NicSpec, PoolView, VmSpec
from holdfast_hypervisor_kvm import domain_state
from holdfast_hypervisor_kvm.domain_xml import Machine, PlacedDisk, domain_uuid, domain_xml
from holdfast_hypervisor_kvm.end_notes import how_it_ended
from holdfast_hypervisor_kvm.place import Place
from holdfast_hypervisor_kvm.run_mark import RunMark, read_mark, remarked

UUID = "3d2f9c1e-0000-4000-8000-000000000001"
POOL = PoolView("p", "p", "Filesystem", "", path="/pool")
VM = VmSpec(UUID, "HA-TEST-VM1", "i-2-abc-VM", 2, 1000, 512, nics=(NicSpec("02:00:00:00:00:01", "guests", "12"),))
DISK = PlacedDisk(DiskSpec(POOL, "d", template="/t"), Place("file", "/pool/d.qcow2"), Place("nfs", "/t.qcow2", "nas"))


def made(vm: VmSpec = VM, **machine: object) -> ElementTree.Element:
    return ElementTree.fromstring(domain_xml(vm, 7, (DISK,), Machine("qemu", **machine)))  # type: ignore[arg-type]


def test_a_run_is_marked_and_begins_only_once() -> None:
    """The mark is read back from the domain; whatever ends the guest ends the domain."""
    root = made()
    assert read_mark(ElementTree.tostring(root, encoding="unicode")) == RunMark(UUID, 7)
    assert root.findtext("uuid") == UUID
    assert (root.findtext("on_poweroff"), root.findtext("on_crash")) == ("destroy", "destroy")
    assert root.find("devices/panic") is not None
    strings = [entry.text for entry in root.iterfind("sysinfo/oemStrings/entry")]
    assert strings == [f"holdfast:vm={UUID}", "holdfast:run=7"]


def test_a_disk_stops_its_guest_on_errors_and_tells_its_whole_chain() -> None:
    """libvirt does not look into images on NFS or iSCSI servers by itself."""
    disk = made().find("devices/disk")
    assert disk is not None
    driver = disk.find("driver")
    assert driver is not None
    assert (driver.get("error_policy"), driver.get("rerror_policy"), driver.get("cache")) == ("stop", "stop", "none")
    backing = disk.find("backingStore")
    assert backing is not None
    assert backing.get("type") == "network"
    assert backing.find("format").get("type") == "qcow2"  # type: ignore[union-attr]
    assert backing.find("backingStore") is not None


def test_networks_are_bridges() -> None:
    """By the network's name, else the usual one with the VLAN; and a name that Linux has no room for is refused."""

    def bridge(**machine: object) -> str | None:
        source = made(**machine).find("devices/interface/source")
        return None if source is None else source.get("bridge")

    assert bridge() == "cloudbr0-12"
    assert bridge(bridges=(("guests", "br7"),)) == "br7"
    assert bridge(bridge="none") is None
    assert made(bridge="user").find("devices/interface").get("type") == "user"  # type: ignore[union-attr]
    with pytest.raises(Refused, match="too long"):
        bridge(bridge="a-long-bridge")


def test_names_are_data_and_never_xml() -> None:
    """Whatever an owner called it."""
    vm = replace(VM, name='<&"\x00\u202e>', instance_name="i-<x>")
    assert made(vm).findtext("name") == "i-<x>"
    assert "\x00" not in (made(vm).findtext("title") or "")


def test_a_moved_domain_carries_its_new_mark_alone() -> None:
    """Everything else stays as libvirt has it."""
    text = ElementTree.tostring(made(), encoding="unicode")
    moved = remarked(text, RunMark(UUID, 8))
    assert read_mark(moved) == RunMark(UUID, 8)
    assert moved.count("holdfast:run ") == 1
    assert read_mark(remarked("<domain><name>x</name></domain>", RunMark("v", 1))) == RunMark("v", 1)


@pytest.mark.parametrize("text", ["", "<", "<domain/>", "<run/>", '<run vm="x" epoch="y"/>'])
def test_a_mark_that_says_nothing_is_none(text: str) -> None:
    """Domains of others are not Holdfast's."""
    assert read_mark(text) is None


def test_vm_ids_that_are_no_uuids_get_one_of_their_own() -> None:
    """The same each time."""
    assert domain_uuid("vm-1") == domain_uuid("vm-1") != domain_uuid("vm-2")
    assert domain_uuid(UUID.upper()) == UUID


def test_states_that_may_write_are_never_called_ended() -> None:
    """Of all numbers libvirt may give only SHUTOFF means that nothing is there."""
    ended = {GuestState.ABSENT, GuestState.CRASHED, GuestState.SHUT_DOWN}
    for state in range(12):
        for reason in range(20):
            guest, _ = domain_state.of_domain(state, reason)
            assert (guest in ended) == (state == domain_state.SHUTOFF)
    assert domain_state.of_domain(3, 5) == (GuestState.PAUSED, domain_state.PAUSED_ON_ERROR)
    assert domain_state.of_domain(3, 2)[0] is GuestState.UNKNOWN


def test_ends_are_told_apart() -> None:
    """A shutdown in the guest is no crash; what libvirt cannot explain is one."""
    assert domain_state.of_stop(0)[0] is GuestState.SHUT_DOWN
    assert {domain_state.of_stop(detail)[0] for detail in (2, 5, 99)} == {GuestState.CRASHED}
    assert domain_state.of_stop(3) == (GuestState.ABSENT, domain_state.MOVED)


def test_the_log_tells_how_a_vm_ended(tmp_path: Path) -> None:
    """The last end counts, and only if it is of this run."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    (tmp_path / "i-1.log").write_text(
        "2020-01-01 00:00:00.000+0000: shutting down, reason=shutdown\n"
        f"{stamp}.500+0000: shutting down, reason=crashed\n"
    )
    found = how_it_ended(tmp_path, "i-1", now - 5)
    assert found is not None
    assert found[0] is GuestState.CRASHED
    assert how_it_ended(tmp_path, "i-1", now + 5) is None
    assert how_it_ended(tmp_path, "i-2", now) is None
