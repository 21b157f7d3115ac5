"""Hypervisor driver `kvm`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import Refused
from holdfast.hooks.hypervisor import HostListener
from holdfast.hooks.markers import hookimpl
from holdfast.model import GuestState, PermitGrant
from holdfast.model.views import HostView, VmReport, VmSpec
from holdfast.options import Option

from holdfast_hypervisor_kvm import migration
from holdfast_hypervisor_kvm.capacity import domain_type, read_capacity
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.disk_images import DiskImages
from holdfast_hypervisor_kvm.domain_xml import Machine, PlacedDisk, domain_uuid, domain_xml
from holdfast_hypervisor_kvm.lookup import Lookup
from holdfast_hypervisor_kvm.mounts import read_mounts
from holdfast_hypervisor_kvm.options import SETTINGS
from holdfast_hypervisor_kvm.places import Places
from holdfast_hypervisor_kvm.processes import Processes
from holdfast_hypervisor_kvm.roll_call import RollCall
from holdfast_hypervisor_kvm.run_book import RunBook
from holdfast_hypervisor_kvm.run_mark import RunMark
from holdfast_hypervisor_kvm.starting import Starting
from holdfast_hypervisor_kvm.stopping import Stopping
from holdfast_hypervisor_kvm.turns import Turns
from holdfast_hypervisor_kvm.watch import Watch

log = logging.getLogger("holdfast.hypervisor.kvm")


class KvmHypervisor:
    """Runs the VMs of the host that it lives on, through that host's libvirtd. Group `holdfast.hypervisor`, `kvm`.

    Domains are transient: a host that boots starts nothing by itself. Their runs are kept on disk, so that what was
    stopped stays stopped. Thread-safe; calls for one VM are carried out one after the other.
    """

    runs_on = "agent"
    SETTINGS: ClassVar[Mapping[str, Option]] = SETTINGS

    def __init__(self, settings: Mapping[str, Any] | None = None, *, processes: Processes | None = None) -> None:
        self._settings = {key: option.default for key, option in SETTINGS.items()} | dict(settings or {})
        state = Path(self._settings["state_dir"])
        self._book = RunBook(state / "runs")
        self._book.open()
        scratch = state / "scratch"
        scratch.mkdir(exist_ok=True)
        self._images = DiskImages(scratch)
        self._places = Places(read_mounts)
        seen = processes or Processes()
        self._turns = Turns()
        self._watch = Watch(self._settings["uri"], self._book, self._settings["resume_seconds"])
        self._connection = self._watch.connection
        self._lookup = Lookup(self._connection, self._watch.sightings)
        self._starting = Starting(self._connection, self._watch.sightings, self._lookup, seen, self._book)
        self._stopping = Stopping(self._connection, self._lookup, seen, self._settings["shutdown_seconds"])
        self._roll_call = RollCall(self._watch, self._book, seen, self._starting, Path(self._settings["qemu_log_dir"]))
        self._watch.gone = self._stopping.has_gone
        self._watch.rebooted = self._stopping.has_rebooted
        self._watch.find_ends = self._roll_call.find_ends
        self._watch.is_unborn = self._starting.is_unborn
        self._watch.drop = lambda vm_uuid: self._starting.drop_in_turn(vm_uuid, self._turns.of)
        self._machine: Machine | None = None

    @hookimpl
    def attach(self, host: HostView, listener: HostListener) -> None:
        """Tell `listener` of the host's size and of every change of its VMs, by libvirt's events.

        `ConfigurationError` if the binding is missing or libvirt too old. A libvirtd that is silent is waited for.
        """
        self._watch.attach(host.uuid, listener)

    @hookimpl
    def detach(self, host_uuid: str) -> None:
        """Stop telling."""
        self._watch.detach(host_uuid)

    @hookimpl
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Make the VM's disks if they are not there, and run it; returns once QEMU runs it."""
        if permit.vm_uuid != vm.uuid or permit.host_uuid != host.uuid:
            raise Refused(f"the permit is not for VM {vm.name} on host {host.name}")
        limit, epoch = Deadline(deadline), permit.run_epoch
        self._book.check_start(vm.uuid, vm.name, epoch)
        with self._turns.of(vm.uuid, limit) as turn:
            self._book.check_start(vm.uuid, vm.name, epoch)
            if self._starting.is_there(vm, epoch, limit):
                return
            machine = self._machine_of_host(limit)
            text = domain_xml(vm, epoch, self._disks(vm, limit), machine)
            self._starting.start(vm, epoch, text, turn, limit)

    @hookimpl
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        """Refuse runs up to `run_epoch` from now on, then end them: libvirt's domain, and any QEMU it lost track of."""
        limit = Deadline(deadline)
        self._book.revoke(vm_uuid, run_epoch)
        with self._turns.of(vm_uuid, limit):
            newest = self._book.page(vm_uuid).begun
            self._stopping.stop(domain_uuid(vm_uuid), run_epoch, newest, graceful, limit)

    @hookimpl
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        """What libvirt runs, what runs without libvirt's knowledge, and what ended and was not stopped by order yet."""
        return self._roll_call.reports(Deadline(deadline))

    @hookimpl
    def reboot_vm(self, host: HostView, vm_uuid: str, run_epoch: int, deadline: float) -> None:
        """Ask the guest to reboot; reset it if it does not within half of the time."""
        limit = Deadline(deadline)
        with self._turns.of(vm_uuid, limit):
            self._stopping.reboot(domain_uuid(vm_uuid), run_epoch, limit)

    @hookimpl
    def migrate_vm(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Move the VM live, libvirtd to libvirtd; its old run is refused here from then on."""
        limit, uuid = Deadline(deadline), domain_uuid(vm.uuid)
        with self._turns.of(vm.uuid, limit):
            seen = self._lookup.look(uuid, limit)
            if seen is None or seen.state not in (GuestState.RUNNING, GuestState.PAUSED):
                raise Refused(f"VM {vm.name} does not run on host {host.name}")
            if seen.mark.run_epoch >= permit.run_epoch:
                raise Refused(f"run {seen.mark.run_epoch} of VM {vm.name} cannot become run {permit.run_epoch}")
            where = self._settings["migration_uri"].format(address=target.address)
            mark = RunMark(vm.uuid, permit.run_epoch)
            order = migration.Order(uuid, mark, where, target.address, self._settings["migration_unsafe"])
            migration.move(self._connection, order, limit)
            self._book.revoke(vm.uuid, seen.mark.run_epoch)

    @hookimpl
    def remove_disks(self, host: HostView, vm: VmSpec, deadline: float) -> None:
        """Remove those that bear the VM's mark; a LUN is made blank, so that it can be given out again."""
        limit, uuid = Deadline(deadline), domain_uuid(vm.uuid)
        with self._turns.of(vm.uuid, limit):
            if self._lookup.look(uuid, limit) is not None or self._starting.has_process(uuid):
                raise Refused(f"VM {vm.name} runs on host {host.name}: its disks are left alone")
            for disk in vm.disks:
                self._images.remove(vm.uuid, disk, self._places.disk(disk), limit)

    def _disks(self, vm: VmSpec, limit: Deadline) -> tuple[PlacedDisk, ...]:
        if not vm.disks:
            raise Refused(f"VM {vm.name} has no disk: deploy it on a storage pool that this host can use")
        placed = []
        for disk in vm.disks:
            place = self._places.disk(disk)
            template = self._places.template(disk.template) if disk.template else None
            self._images.ensure(vm.uuid, disk, place, template, limit)
            placed.append(PlacedDisk(disk, place, template))
        return tuple(placed)

    def _machine_of_host(self, limit: Deadline) -> Machine:
        """What this host's VMs have in common; asked of libvirt once."""
        if self._machine is not None:
            return self._machine
        settings, module = self._settings, self._connection.module
        console = Path(settings["console_dir"]) if settings["console_dir"] else None

        def question(connection: Any) -> Machine:
            kind = domain_type(module, connection, settings["machine"], settings["domain_type"])
            return Machine(
                kind, read_capacity(connection, Path("/proc")).arch, settings["machine"],
                settings["cpu"] or ("host-model" if kind == "kvm" else ""), settings["cache"], settings["bridge"],
                tuple(settings["bridges"].items()), console,
            )  # fmt: skip

        machine = self._connection.look("asking what the host can do", limit, question)
        if machine.domain_type == "qemu":
            log.warning("VMs of this host run in software emulation, many times slower than with KVM")
        if console is not None:
            console.mkdir(parents=True, exist_ok=True)
        self._machine = machine
        return machine
