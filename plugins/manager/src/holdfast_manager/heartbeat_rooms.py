"""Sees to it that each host of this server beats on the pools that speak of it.

Drivers that live on the hosts are prepared by their agents; this is for those with `runs_on = "server"`. A host that
never beat gives no witness (S4): fencing it when it hangs would wait for ever.
"""

import logging
from math import inf

from holdfast.errors import HoldfastError
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model import Host
from holdfast.model.views import PoolView

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.heartbeats")

_RETRY_SECONDS = 5.0


class HeartbeatRooms:
    """What was prepared, and what is still to be. Event loop only."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ready: dict[str, frozenset[str]] = {}
        self._next_try: dict[str, float] = {}

    def refresh(self) -> None:
        """Prepare, in the background, what the present inventory asks for and was not prepared yet."""
        desk, now = self._desk, self._desk.clock.monotonic()
        heard_within = desk.silent_after()
        for cluster, hosts in desk.inventory.hosts_of_cluster.items():
            pools = desk.inventory.ha_pools(hosts[0]) if hosts else ()
            wanted = frozenset(pool.uuid for pool in pools)
            for host in hosts:
                due = self._next_try.get(host.uuid, 0.0) <= now
                if self._ready.get(host.uuid, frozenset()) == wanted or not due or not desk.epoch(host):
                    continue
                if desk.links.heard_within(host.uuid, heard_within):
                    self._next_try[host.uuid] = inf
                    desk.spawn(self._prepare(host, pools, cluster))

    async def _prepare(self, host: Host, pools: tuple[PoolView, ...], cluster: int) -> None:
        seconds = self._desk.inventory.settings.number("kvm.ha.activity.check.timeout", cluster=cluster)
        ready = set(self._ready.get(host.uuid, frozenset())) & {pool.uuid for pool in pools}
        try:
            for pool in pools:
                if pool.uuid not in ready:
                    driver: HeartbeatDriver = self._desk.plugins.driver("heartbeat", pool.heartbeat)
                    if getattr(driver, "runs_on", "agent") == "server":
                        await self._desk.pool("heartbeat").call(seconds, driver.prepare, pool, host.uuid, seconds)
                    ready.add(pool.uuid)
        except HoldfastError as problem:
            log.warning("host %s does not beat on every storage pool yet: %s", host.name, problem)
        finally:
            self._ready[host.uuid] = frozenset(ready)
            self._next_try[host.uuid] = self._desk.clock.monotonic() + _RETRY_SECONDS
