"""Hypervisor: runs VMs on a host, under permits."""

from typing import Protocol

from holdfast.hooks.markers import hookspec, optional
from holdfast.model.evidence import PermitGrant
from holdfast.model.views import Beat, HostOrders, HostView, LifeGrant, VmReport, VmSpec


class HostListener(Protocol):
    """Where a driver that runs in the management server delivers what a host's agent says. Never blocks."""

    def on_connected(self, host_uuid: str, boot_id: str, cpus: int, speed: int, ram: int) -> None:
        """The agent connected: CPUs, MHz per CPU, bytes of memory."""

    def on_beat(self, beat: Beat) -> None:
        """One sign of life."""

    def on_vm(self, host_uuid: str, report: VmReport) -> None:
        """A VM changed state on that host."""


class Hypervisor:
    """Starts, stops and lists VMs of one hypervisor type. Group `holdfast.hypervisor`; chosen by the host's hypervisor.

    `runs_on` is "agent" (the driver lives on the host and the manager reaches it through the agents' port) or "server"
    (the driver lives in the management server and reaches hosts by itself; it then delivers beats to a listener).

    All methods block and must return or raise within `deadline` seconds. `Unreachable` means that the outcome is not
    known; `Refused` that nothing happened. A host keeps, across agent restarts, the highest run epoch it was told of
    for each VM, and refuses any start at or below an epoch that was stopped there.
    """

    runs_on = "agent"

    @hookspec
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Run `vm` under `permit`. Returns once the guest runs. Idempotent for the same run epoch."""
        raise NotImplementedError

    @hookspec
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        """End every run of the VM up to `run_epoch` on this host and refuse them from now on, also if none is there.

        Returning is proof: no run of an epoch up to `run_epoch` is or will be live on this host. `graceful` asks the
        guest first. Idempotent.
        """
        raise NotImplementedError

    @hookspec
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        """Every VM the host has, as it is now."""
        raise NotImplementedError

    @optional
    def attach(self, host: HostView, listener: HostListener) -> None:
        """Optional: deliver this host's connections, beats and VM changes to `listener`.

        With `runs_on = "agent"` the agent calls it once, for its own host; such a driver calls `on_connected` (then
        with any boot id: it says the host's size) and `on_vm`, and leaves the beats to the agent.
        """

    @optional
    def detach(self, host_uuid: str) -> None:
        """Optional: stop delivering."""

    @optional
    def reboot_vm(self, host: HostView, vm_uuid: str, run_epoch: int, deadline: float) -> None:
        """Optional. Reboot the guest in place, within the same run; raise `Unsupported` if it cannot."""
        raise NotImplementedError

    @optional
    def migrate_vm(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Optional. Move a running VM to `target` live; returns once it runs there under `permit` and not here."""
        raise NotImplementedError

    @optional
    def remove_disks(self, host: HostView, vm: VmSpec, deadline: float) -> None:
        """Optional. Remove the disks of a VM that is gone for good and runs nowhere; `host` reaches their storage.

        Idempotent. A disk that is not known to be this VM's is left alone, and `Refused` says so. Drivers that make no
        disks leave it out.
        """

    @optional
    def give_orders(self, host: HostView, orders: HostOrders, deadline: float) -> None:
        """Optional, for `runs_on = "server"`: hand the host's agent its standing orders, at each connection and change.

        An agent keeps them over restarts, and follows them while it can ask nobody. Idempotent.
        """

    @optional
    def grant_life(self, grant: LifeGrant) -> None:
        """Optional, for `runs_on = "server"`: pass the owner's grant on to the host's agent. Called on the event loop.

        Never blocks, and raises nothing: a grant that is lost is given again with the next beat. The agent renews its
        storage lease from when it sent the beat that the grant names, and heeds no grant of another boot or of an
        owner epoch below one that it has seen.
        """
