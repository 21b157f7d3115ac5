"""A VM as libvirt is told of it. Transient: nothing is defined that a host could start by itself when it boots."""

from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from holdfast.errors import Refused
from holdfast.model.views import DiskSpec, NicSpec, VmSpec

from holdfast_hypervisor_kvm.place import Place
from holdfast_hypervisor_kvm.run_mark import RunMark

NO_NETWORK = "none"
USER_NETWORK = "user"
_LONGEST_BRIDGE = 15


@dataclass(frozen=True, slots=True)
class Machine:
    """What all VMs of this host have in common. `domain_type` is kvm or qemu."""

    domain_type: str
    arch: str = "x86_64"
    machine: str = "q35"
    cpu: str = ""
    cache: str = "none"
    bridge: str = "cloudbr0"
    bridges: tuple[tuple[str, str], ...] = ()
    console_dir: Path | None = None

    def bridge_of(self, nic: NicSpec) -> str:
        """The bridge for a network: the one configured for its name, else the usual one, with the VLAN's number."""
        named = dict(self.bridges).get(nic.network)
        if named is not None:
            return named
        return (
            f"{self.bridge}-{nic.vlan}" if nic.vlan and self.bridge not in (NO_NETWORK, USER_NETWORK) else self.bridge
        )


@dataclass(frozen=True, slots=True)
class PlacedDisk:
    """A disk, where it is, and where the image under it is."""

    disk: DiskSpec
    place: Place
    template: Place | None


def domain_uuid(vm_uuid: str) -> str:
    """libvirt's uuid for a VM: its own, or one made from it."""
    try:
        return str(UUID(vm_uuid))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, f"holdfast:vm:{vm_uuid}"))


def domain_xml(vm: VmSpec, run_epoch: int, disks: tuple[PlacedDisk, ...], machine: Machine) -> str:
    """The domain for one run of a VM. `Refused` if it cannot be made of what is known."""
    root = Element("domain", {"type": machine.domain_type})
    _text(root, "name", vm.instance_name)
    _text(root, "uuid", domain_uuid(vm.uuid))
    _text(root, "title", _printable(vm.name))
    SubElement(root, "metadata").append(RunMark(vm.uuid, run_epoch).element())
    _text(root, "memory", str(vm.ram), unit="MiB")
    _text(root, "vcpu", str(vm.cpu))
    _firmware(root, vm, run_epoch, machine)
    features = SubElement(root, "features")
    for name in ("acpi", "apic"):
        SubElement(features, name)
    if machine.cpu:
        SubElement(root, "cpu", {"mode": machine.cpu})
    SubElement(root, "clock", {"offset": "utc"})
    # A run that ended is over: only a new permit begins another one.
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(root, event, action)
    devices = SubElement(root, "devices")
    for number, placed in enumerate(disks):
        _disk(devices, number, placed, machine)
    for nic in vm.nics:
        _nic(devices, nic, machine)
    _console(devices, vm, machine)
    rng = SubElement(devices, "rng", {"model": "virtio"})
    _text(rng, "backend", "/dev/urandom", model="random")
    # The guest's kernel tells of its own panic, which is a crash to HA.
    SubElement(devices, "panic", {"model": "isa"})
    return tostring(root, encoding="unicode")


def _firmware(root: Element, vm: VmSpec, run_epoch: int, machine: Machine) -> None:
    sysinfo = SubElement(root, "sysinfo", {"type": "smbios"})
    strings = SubElement(sysinfo, "oemStrings")
    for told in (f"holdfast:vm={vm.uuid}", f"holdfast:run={run_epoch}"):
        _text(strings, "entry", told)
    system = SubElement(root, "os")
    _text(system, "type", "hvm", arch=machine.arch, machine=machine.machine)
    SubElement(system, "boot", {"dev": "hd"})
    SubElement(system, "smbios", {"mode": "sysinfo"})


def _disk(devices: Element, number: int, placed: PlacedDisk, machine: Machine) -> None:
    disk = SubElement(devices, "disk", {"device": "disk"})
    # On an error the guest stops where it is, and goes on from there once the storage is back.
    SubElement(
        disk, "driver",
        {"name": "qemu", "type": placed.disk.format, "cache": machine.cache, "error_policy": "stop",
         "rerror_policy": "stop", "discard": "unmap"},
    )  # fmt: skip
    disk.set("type", placed.place.source(disk))
    _backing(disk, placed)
    SubElement(disk, "target", {"dev": f"vd{chr(ord('a') + number)}", "bus": "virtio"})


def _backing(disk: Element, placed: PlacedDisk) -> None:
    """The chain of images, told in full: libvirt does not look into those on NFS or iSCSI servers by itself."""
    if placed.template is None:
        SubElement(disk, "backingStore")
        return
    backing = SubElement(disk, "backingStore")
    SubElement(backing, "format", {"type": placed.disk.template_format})
    backing.set("type", placed.template.source(backing))
    SubElement(backing, "backingStore")


def _nic(devices: Element, nic: NicSpec, machine: Machine) -> None:
    bridge = machine.bridge_of(nic)
    if bridge == NO_NETWORK:
        return
    if bridge == USER_NETWORK:
        interface = SubElement(devices, "interface", {"type": "user"})
    else:
        if len(bridge) > _LONGEST_BRIDGE:
            raise Refused(
                f"network {nic.network} would need the bridge {bridge}, too long a name for Linux: name a bridge for "
                "it in [hypervisor.kvm.bridges]"
            )
        interface = SubElement(devices, "interface", {"type": "bridge"})
        SubElement(interface, "source", {"bridge": bridge})
    SubElement(interface, "mac", {"address": nic.mac})
    SubElement(interface, "model", {"type": "virtio"})


def _console(devices: Element, vm: VmSpec, machine: Machine) -> None:
    serial = SubElement(devices, "serial", {"type": "pty"})
    if machine.console_dir is not None:
        SubElement(serial, "log", {"file": str(machine.console_dir / f"{vm.instance_name}.log"), "append": "on"})
    SubElement(serial, "target", {"port": "0"})


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:200]
