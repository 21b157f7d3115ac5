"""Stand-ins, in the management server, for drivers that live on the hosts.

They implement the same interfaces. A host's agent that cannot be asked is `Unreachable`: the outcome is not known.
"""

import asyncio
import contextlib
import time
from concurrent.futures import TimeoutError as NoResult
from typing import Any

from holdfast.errors import DeadlineExceeded, Refused, Unreachable
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.hypervisor import HostListener, Hypervisor
from holdfast.hooks.markers import hookimpl
from holdfast.model import PermitGrant
from holdfast.model.views import (
    DiskReading,
    HeartbeatReading,
    HostOrders,
    HostView,
    LifeGrant,
    PoolView,
    VmReport,
    VmSpec,
)
from holdfast.protocol import questions as q

from holdfast_agents_port.switchboard import Switchboard

_GRACE = 1.0
"""The switchboard keeps the deadline itself; this is for a loop that is too busy to."""


class Asking:
    """From any thread but the event loop's."""

    def __init__(self, switchboard: Switchboard, loop: asyncio.AbstractEventLoop) -> None:
        self._switchboard = switchboard
        self._loop = loop

    def ask(self, host_uuid: str, asked: q.Asked, deadline: float) -> Any:
        """Blocks for the agent's answer."""
        work = self._switchboard.ask(host_uuid, asked, deadline)
        try:
            answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as problem:
            work.close()
            raise Unreachable("this management server is stopping") from problem
        try:
            return answer.result(deadline + _GRACE)
        except NoResult:
            answer.cancel()
            raise DeadlineExceeded(f"no answer within {deadline:g} s") from None

    def soon(self, function: Any, *arguments: Any) -> None:
        """Call something on the event loop."""
        self._loop.call_soon_threadsafe(function, *arguments)


class AgentHypervisor(Hypervisor):
    """Hypervisors of hosts that run an agent."""

    runs_on = "server"

    def __init__(self, asking: Asking, switchboard: Switchboard) -> None:
        self._asking = asking
        self._switchboard = switchboard

    @hookimpl
    def attach(self, host: HostView, listener: HostListener) -> None:
        """Deliver what the agent says to `listener`."""
        self._asking.soon(self._switchboard.attach, host.uuid, listener)

    @hookimpl
    def detach(self, host_uuid: str) -> None:
        """Stop delivering."""
        self._asking.soon(self._switchboard.detach, host_uuid)

    @hookimpl
    def start_vm(self, host: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Through the agent."""
        self._asking.ask(host.uuid, q.StartVm(_owned(host), vm, permit), deadline)

    @hookimpl
    def stop_vm(self, host: HostView, vm_uuid: str, run_epoch: int, graceful: bool, deadline: float) -> None:
        """Through the agent."""
        self._asking.ask(host.uuid, q.StopVm(_owned(host), vm_uuid, run_epoch, graceful), deadline)

    @hookimpl
    def list_vms(self, host: HostView, deadline: float) -> tuple[VmReport, ...]:
        """Through the agent."""
        found: tuple[VmReport, ...] = self._asking.ask(host.uuid, q.ListVms(host), deadline)
        return found

    @hookimpl
    def reboot_vm(self, host: HostView, vm_uuid: str, run_epoch: int, deadline: float) -> None:
        """Through the agent."""
        self._asking.ask(host.uuid, q.RebootVm(_owned(host), vm_uuid, run_epoch), deadline)

    @hookimpl
    def migrate_vm(self, host: HostView, target: HostView, vm: VmSpec, permit: PermitGrant, deadline: float) -> None:
        """Through both agents: the target's is told first, so that it remembers the run whatever comes."""
        began = time.monotonic()
        self._asking.ask(target.uuid, q.ExpectVm(target, vm, permit), deadline)
        left = deadline - (time.monotonic() - began)
        self._asking.ask(host.uuid, q.MigrateVm(_owned(host), target, vm, permit), max(left, 0.1))

    @hookimpl
    def remove_disks(self, host: HostView, vm: VmSpec, deadline: float) -> None:
        """Through the agent."""
        self._asking.ask(host.uuid, q.RemoveDisks(_owned(host), vm), deadline)

    @hookimpl
    def give_orders(self, host: HostView, orders: HostOrders, deadline: float) -> None:
        """To the agent."""
        self._asking.ask(host.uuid, q.ObeyOrders(_owned(host), orders), deadline)

    @hookimpl
    def grant_life(self, grant: LifeGrant) -> None:
        """To the agent, or to the server that it is connected to."""
        with contextlib.suppress(RuntimeError):  # this server stops: its loop takes nothing any more
            self._asking.soon(self._switchboard.grant_life, grant)


class AgentHeartbeat(HeartbeatDriver):
    """Heartbeat drivers that live on the hosts. Their agents prepare and write by themselves, as they are ordered."""

    runs_on = "agent"

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    @hookimpl
    def prepare(self, pool: PoolView, writer: str, deadline: float) -> None:
        """By the writer's own agent."""
        self._asking.ask(writer, q.PrepareHeartbeat(pool, writer), deadline)

    @hookimpl
    def write(self, pool: PoolView, writer: str, sequence: int, deadline: float) -> None:
        """By the writer's own agent."""
        self._asking.ask(writer, q.WriteHeartbeat(pool, writer, sequence), deadline)

    @hookimpl
    def read(self, pool: PoolView, subject: str, reader: str, deadline: float) -> HeartbeatReading:
        """By the reader's agent."""
        found: HeartbeatReading = self._asking.ask(reader, q.ReadHeartbeat(pool, subject, reader), deadline)
        return found

    @hookimpl
    def look_at_disks(self, pool: PoolView, disks: tuple[str, ...], reader: str, deadline: float) -> DiskReading:
        """By the reader's agent."""
        found: DiskReading = self._asking.ask(reader, q.LookAtDisks(pool, disks, reader), deadline)
        return found

    @hookimpl
    def remove(self, pool: PoolView, subject: str, deadline: float) -> None:
        """By the subject's own agent."""
        self._asking.ask(subject, q.RemoveHeartbeat(pool, subject), deadline)


def _owned(host: HostView) -> HostView:
    """Effects carry the owner's epoch, and the agent refuses an old one (S5)."""
    if host.owner_epoch <= 0:
        raise Refused(f"this management server does not own host {host.name}")
    return host
