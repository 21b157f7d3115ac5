"""Sees to it that the agent of each owned host has its standing orders: pools to beat on, and the settings.

They are told at each connection and at each change, and again until the agent has confirmed them.
"""

import logging
from functools import lru_cache
from math import inf

from holdfast.engine.incident import LeaseTerms
from holdfast.errors import HoldfastError
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model import Host
from holdfast.model.views import HostOrders
from holdfast.settings import CATALOGUE, Settings

from holdfast_manager.desk import Desk
from holdfast_manager.inventory import HA_SWITCH
from holdfast_manager.link import Link

log = logging.getLogger("holdfast.manager.orders")

_SECONDS = 5.0
_AGAIN_SECONDS = 5.0
_PREFIXES = ("ha.storage.", "ha.watchdog.", "ha.self.fence.", "kvm.ha.")
_LEASE_NAMES = ("ha.storage.lease", "ha.watchdog.time", "ha.watchdog.margin")
_NAMES = tuple(name for name in CATALOGUE if name.startswith(_PREFIXES))


class StandingOrders:
    """What was confirmed by whom. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._confirmed: dict[str, HostOrders] = {}
        self._next_try: dict[str, float] = {}
        self._made: dict[tuple[int, bool, bool], HostOrders] = {}
        """Cluster, whether HA is on, whether a watchdog is counted on -> the orders, by the inventory `_made_of`."""
        self._made_of: object = None

    def connected(self, host_uuid: str) -> None:
        """An agent connected: whatever it was told before, tell it again."""
        self._confirmed.pop(host_uuid, None)
        link = self._desk.links.links.get(host_uuid)
        if link is not None:
            link.lease = None  # it may have obeyed another owner meanwhile
        self._next_try.pop(host_uuid, None)
        host = self._desk.inventory.hosts_by_uuid.get(host_uuid)
        if host is not None:
            self._see_to(host, self._orders(host))

    def refresh(self) -> None:
        """A new inventory, or time has passed: tell those whose orders changed or were not confirmed yet."""
        for host in self._desk.inventory.hosts.values():
            if host.uuid in self._desk.links.links:
                self._see_to(host, self._orders(host))

    def _orders(self, host: Host) -> HostOrders:
        inventory = self._desk.inventory
        if inventory is not self._made_of:
            self._made, self._made_of = {}, inventory
        row = inventory.ha.get(host.id)
        on = row is not None and row.enabled and not inventory.switch_off(host, HA_SWITCH)
        link = self._desk.links.links.get(host.uuid)
        key = (host.cluster_id, on, link is not None and link.armed)
        found = self._made.get(key)
        if found is None:
            values = _values(inventory.settings, host.data_center_id, host.cluster_id)
            found = HostOrders(inventory.ha_pools(host), on, values, counts_on_watchdog=key[2])
            self._made[key] = found
        return found

    def _see_to(self, host: Host, orders: HostOrders) -> None:
        desk, now = self._desk, self._desk.clock.monotonic()
        link = desk.links.links.get(host.uuid)
        known = link is not None and link.lease is not None and self._confirmed.get(host.uuid) == orders
        if known or self._next_try.get(host.uuid, 0.0) > now:
            return
        if not desk.epoch(host) or not desk.links.heard_within(host.uuid, desk.silent_after()):
            return
        try:
            driver = desk.hypervisor(host)
        except HoldfastError:
            return  # said where the host was attached
        if not _takes_orders(driver):
            self._take_note(host.uuid, orders, LeaseTerms())
            return
        self._next_try[host.uuid] = inf
        desk.spawn(self._tell(host, driver, orders))

    async def _tell(self, host: Host, driver: Hypervisor, orders: HostOrders) -> None:
        desk, again = self._desk, 0.0
        terms, before = _terms(orders), _lease_of(desk.links.links.get(host.uuid))
        if before is not None:
            # Until it answers, the host may keep to the old terms or to the new ones: what holds for both is safe.
            self._note_terms(host.uuid, LeaseTerms(max(before.needs, terms.needs), before.pools | terms.pools))
        try:
            tell = desk.while_owned(host, driver.give_orders)
            await desk.pool("orders").call(_SECONDS, tell, desk.host_view(host), orders, _SECONDS)
            self._take_note(host.uuid, orders, terms)
        except HoldfastError as problem:
            again = _AGAIN_SECONDS
            log.warning("host %s did not take its standing orders yet: %s", host.name, problem)
        finally:
            self._next_try[host.uuid] = desk.clock.monotonic() + again

    def _take_note(self, host_uuid: str, orders: HostOrders, terms: LeaseTerms) -> None:
        self._confirmed[host_uuid] = orders
        self._note_terms(host_uuid, terms)

    def _note_terms(self, host_uuid: str, terms: LeaseTerms) -> None:
        link = self._desk.links.links.get(host_uuid)
        if link is not None:
            link.lease = terms


def _lease_of(link: Link | None) -> LeaseTerms | None:
    return link.lease if link is not None else None


def _terms(orders: HostOrders) -> LeaseTerms:
    """What the host keeps to once it has these orders."""
    needs = sum(float(orders.settings[name]) for name in _LEASE_NAMES)
    return LeaseTerms(needs, frozenset(pool.name for pool in orders.pools))


def _takes_orders(driver: Hypervisor) -> bool:
    """Whether the driver has anybody to give them to."""
    return "give_orders" in vars(driver) or type(driver).give_orders is not Hypervisor.give_orders


@lru_cache(maxsize=1024)
def _values(settings: Settings, zone: int, cluster: int) -> dict[str, str]:
    """Settings are immutable, and stay the same object until one is changed."""
    found = {}
    for name in _NAMES:
        value = settings.value(name, zone=zone, cluster=cluster)
        found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
