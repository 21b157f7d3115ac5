"""Agents that come and go, and what they say of their VMs."""

import logging
from math import inf

from holdfast.errors import HoldfastError
from holdfast.hooks.store import Change, OwnedBy, Query, Update
from holdfast.model import Host, HostStatus, Permit, PermitState, Vm
from holdfast.model.views import VmReport

from holdfast_manager.actor import HostActor
from holdfast_manager.census import UNWATCHED
from holdfast_manager.comparison import LOST, Comparison
from holdfast_manager.desk import Desk
from holdfast_manager.hosts import Hosts
from holdfast_manager.link import Link
from holdfast_manager.standing_orders import StandingOrders

log = logging.getLogger("holdfast.manager.connections")


class Connections:
    """Works off what `Links` collected. Event loop only."""

    def __init__(self, desk: Desk, hosts: Hosts, comparison: Comparison, orders: StandingOrders) -> None:
        self._desk = desk
        self._orders = orders
        self._hosts = hosts
        self._comparison = comparison
        hosts.on_fell_silent.append(self._fell_silent)
        hosts.on_heard_again = self._heard_again
        comparison.on_agreed = self._agreed

    def work_off(self) -> None:
        """Take what has come in since the last call; returns at once."""
        links = self._desk.links
        while links.connections:
            uuid, boot_id = links.connections.popleft()
            if uuid in self._hosts.actors:
                self._desk.spawn(self._connected(uuid, boot_id))
                self._comparison.want(uuid)
        while links.reports:
            uuid, report = links.reports.popleft()
            if report.state in LOST:
                self._desk.spawn(self._lost(uuid, report))

    # --- hosts -------------------------------------------------------------------------------------------------

    def _fell_silent(self, actor: HostActor) -> None:
        link = self._desk.links.links.get(actor.host.uuid)
        if link is not None:
            link.up_sent_at = -inf
        if actor.record.state in UNWATCHED:
            self._desk.spawn(self._unwatched(actor))

    async def _unwatched(self, actor: HostActor) -> None:
        """It is silent, and host HA does not see to it: say so."""
        try:
            told = await self._hosts.effects.unwatched.opened(actor.host, actor.record.state, actor.record.reason)
            if told:
                await self._desk.memory.commit([OwnedBy(actor.host.id, actor.epoch), *told])
        except HoldfastError as problem:
            log.warning("host %s is silent, its HA is off, and that could not be told: %s", actor.host.name, problem)
        if actor.host.status == HostStatus.UP:
            await self._set_status(actor, HostStatus.DISCONNECTED)

    def _heard_again(self, actor: HostActor) -> None:
        uuid = actor.host.uuid
        self._comparison.want(uuid)
        link = self._desk.links.links.get(uuid)
        if link is not None and link.size is not None and not self._is_up(actor.host, link):
            self._desk.spawn(self._set_up(actor, link, link.size))

    def _agreed(self, actor: HostActor) -> None:
        """The host just answered: its row may still say otherwise, if the store was away when it came back."""
        host, link = self._desk.inventory.hosts.get(actor.host.id), self._desk.links.links.get(actor.host.uuid)
        if host is None or link is None:
            return
        if link.size is not None and not (self._is_up(host, link) and self._has_size(host, link)):
            self._desk.spawn(self._set_up(actor, link, link.size))

    def _is_up(self, host: Host, link: Link) -> bool:
        """Whether the store has the host as Up: by its row, or as this server wrote since that row was read."""
        return host.status == HostStatus.UP or self._desk.inventory_at <= link.up_sent_at

    def _has_size(self, host: Host, link: Link) -> bool:
        return _size_of(host) == link.size or (
            link.size_sent == link.size and self._desk.inventory_at <= link.up_sent_at
        )

    async def _set_up(self, actor: HostActor, link: Link, size: tuple[int, int, int]) -> None:
        """Store the size as well. Batches are written in the order of their coming, so the last word stays."""
        link.size_sent, link.up_sent_at = size, self._desk.clock.monotonic()
        values = dict(zip(("cpus", "speed", "ram"), size, strict=True))
        stored = await self._set_status(actor, HostStatus.UP, mgmt_server_id=self._desk.msid, **values)
        if not stored and link.size_sent == size:
            link.size_sent, link.up_sent_at = None, -inf

    async def _set_status(self, actor: HostActor, status: HostStatus, **values: object) -> bool:
        """Whether it is stored."""
        host = actor.host
        event = self._desk.journal.event("HOST.STATUS", f"host {host.name} is {status}", resource=host.uuid)
        changes: list[Change] = [
            OwnedBy(host.id, actor.epoch),
            Update(Host, host.id, {"status": status, **values}),
            event,
        ]
        stored = True
        try:
            if status == HostStatus.UP and host.status == HostStatus.DISCONNECTED:
                changes += await self._hosts.effects.unwatched.closed(host)
            await self._desk.memory.commit(changes)
        except HoldfastError as problem:
            stored = False
            log.warning("host %s: status %s was not stored: %s", host.name, status, problem)
        self._desk.ring_inventory()
        return stored

    async def _connected(self, uuid: str, boot_id: str) -> None:
        actor, link = self._hosts.actors.get(uuid), self._desk.links.links.get(uuid)
        if actor is None or link is None or link.boot_id != boot_id or link.size is None:
            return
        self._orders.connected(uuid)
        if not self._is_up(actor.host, link) or (link.size_sent or _size_of(actor.host)) != link.size:
            await self._set_up(actor, link, link.size)

    # --- VMs ---------------------------------------------------------------------------------------------------

    async def _lost(self, uuid: str, report: VmReport) -> None:
        """The host says that a VM ended there. Whatever goes wrong, comparing the host finds it again."""
        actor = self._hosts.actors.get(uuid)
        if actor is None:
            return
        try:
            vms = await self._desk.memory.select(Vm, Query(equal={"uuid": report.vm_uuid}, limit=1))
            if not vms:
                return
            query = Query(equal={"vm_id": vms[0].id, "run_epoch": report.run_epoch, "host_id": actor.host.id})
            permits = await self._desk.memory.select(Permit, query)
        except HoldfastError as problem:
            log.info("what host %s says of VM %s has to wait: %s", actor.host.name, report.vm_uuid, problem)
            self._comparison.want(uuid)
            return
        if not permits or permits[0].state == PermitState.ENDED:
            return
        running = permits[0].state == PermitState.RUNNING
        if not running or not await self._comparison.end(actor, vms[0], permits[0], report):
            self._comparison.want(uuid)


def _size_of(host: Host) -> tuple[int, int, int]:
    return host.cpus, host.speed, host.ram
