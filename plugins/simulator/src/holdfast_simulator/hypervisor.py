"""Hypervisor driver `simulator`: VMs on simulated hosts, and the beats of their agents."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from holdfast.hooks.hypervisor import HostListener, Hypervisor
from holdfast.hooks.markers import hookimpl
from holdfast.model import PermitGrant
from holdfast.model.views import HostOrders, HostView, LifeGrant, VmReport, VmSpec

from holdfast_simulator.seat import Seat
from holdfast_simulator.world.agents import Move, Start, Stop
from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.host import SimHost


class SimulatorHypervisor(Seat, Hypervisor):
    """Talks to the simulated hosts' agents. A host added by URL http://sim/<name> comes into being on first use."""

    runs_on = "server"

    def __init__(self, settings: Mapping[str, Any] | None = None, *, gateway: Gateway | None = None) -> None:
        super().__init__(settings, gateway)

    @hookimpl
    def attach(self, host: HostView, listener: HostListener) -> None:
        """Deliver the host's connection, beats and VM changes to `listener`."""
        world = self.gateway.world
        with world.lock:
            world.agents.attach(self._machine(host), self.gateway, listener)

    @hookimpl
    def detach(self, host_uuid: str) -> None:
        """Stop delivering."""
        with self.gateway.world.lock:
            self.gateway.world.agents.detach(host_uuid, self.gateway)

    @hookimpl
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Run `vm`; returns once the guest runs."""
        agents, server = self.gateway.world.agents, self.gateway.server
        machine = self._machine(host)
        self.announce(machine, "start", vm.uuid, permit.run_epoch)
        self.gateway.ask_agent(machine, deadline, agents.start, Start(server, vm, permit.run_epoch))

    @hookimpl
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        """End every run up to `run_epoch`; returning is proof."""
        agents, server = self.gateway.world.agents, self.gateway.server
        order = Stop(server, vm_uuid, run_epoch, graceful)
        machine = self._machine(host)
        self.announce(machine, "stop", vm_uuid, run_epoch)
        self.gateway.ask_agent(machine, deadline, agents.stop, order)

    @hookimpl
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        """Every VM the host has."""
        reports = self.gateway.ask_agent(self._machine(host), deadline, self.gateway.world.agents.inventory)
        assert isinstance(reports, tuple)
        return reports

    @hookimpl
    def give_orders(self, host: HostView, orders: HostOrders, deadline: float) -> None:
        """Tell the agent whether host HA is on; simulated hosts take the rest from the world's physics."""
        agents = self.gateway.world.agents
        self.gateway.ask_agent(self._machine(host), deadline, agents.orders, orders.ha)

    @hookimpl
    def grant_life(self, grant: LifeGrant) -> None:
        """To the agent, which may never get it."""
        world = self.gateway.world
        with world.lock:
            machine = world.host(grant.host_uuid)
        self.gateway.tell_agent(machine, world.agents.granted, grant)

    @hookimpl
    def reboot_vm(self, host: HostView, vm_uuid: str, run_epoch: int, deadline: float) -> None:
        """Reboot the guest in place."""
        agents = self.gateway.world.agents
        self.gateway.ask_agent(self._machine(host), deadline, agents.reboot, vm_uuid, run_epoch)

    @hookimpl
    def migrate_vm(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Move a running VM; returns once it runs on `target` and not on `host`."""
        agents, server = self.gateway.world.agents, self.gateway.server
        order = Move(server, vm, permit.run_epoch, self._machine(target))
        machine = self._machine(host)
        self.announce(machine, "migrate", vm.uuid, permit.run_epoch)
        self.gateway.ask_agent(machine, deadline, agents.migrate, order)

    def _machine(self, host: HostView) -> SimHost:
        world = self.gateway.world
        with world.lock:
            if not world.grows:
                return world.host(host.uuid)
            name = urlsplit(host.url).path.strip("/") or host.name or host.uuid
            machine = world.hosts.get(name) or world.add_host(name, host.uuid)
            if machine.uuid != host.uuid:
                world.rename(machine, host.uuid)
                machine.save()
            return machine
