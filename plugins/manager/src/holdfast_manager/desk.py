"""What every part of the manager shares: its stores of knowledge, its pools, and the question "may I act?".

One object instead of ten constructor parameters; it holds no logic beyond look-ups and spawning.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from functools import partial, wraps
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from holdfast.errors import Conflict, HoldfastError
from holdfast.hooks.hypervisor import Hypervisor
from holdfast.hooks.provider import HaProvider
from holdfast.model import HAState, Host, Oobm
from holdfast.model.states import HostStatus
from holdfast.model.views import HostView
from holdfast.runtime import CallPool, Runtime

from holdfast_manager.fence_devices import FenceDevices, fence_seconds
from holdfast_manager.inventory import Inventory
from holdfast_manager.journal import Journal
from holdfast_manager.link import Links
from holdfast_manager.membership import Membership
from holdfast_manager.memory import Memory
from holdfast_manager.probes import WITNESSES, HostProbes, ProbeLimits
from holdfast_manager.usage import Usage

log = logging.getLogger("holdfast.manager")

T = TypeVar("T")

_CALM = frozenset({HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED, None})

_POOL_SETTINGS = {
    "health": "ha.max.concurrent.health.check.operations",
    "activity": "ha.max.concurrent.activity.check.operations",
    "recovery": "ha.max.concurrent.recovery.operations",
    "fence": "ha.max.concurrent.fence.operations",
    "oobm": "outofbandmanagement.sync.poolsize",
}
"""The settings that bound the pools, and are followed when they change."""

_OTHER_POOLS = {"agent": 256, "start": 1024, "oobm-readiness": 16}
"""Calls at once, of kinds that no setting bounds. A start takes as long as its guest does, and a rack has thousands; no
question to a host that hangs holds it up."""


class PluginHub(Protocol):
    """What the manager asks of the loader."""

    def driver(self, point: str, name: str) -> Any:
        """The driver of that name; `PluginError` if it cannot be had."""

    def drivers(self, point: str) -> Any:
        """The configured drivers of an ordered or many-valued point."""

    def selected(self, point: str) -> Any:
        """The names that the configuration chose for a point, in order."""

    def driver_class(self, point: str, name: str) -> Any:
        """A driver's class, checked but not constructed."""

    def settings(self, point: str, name: str) -> Any:
        """What the configuration says a driver is constructed with."""


class Desk:
    """Shared state of one manager. Event loop only, except `driver`."""

    def __init__(self, name: str, runtime: Runtime, memory: Memory, membership: Membership, plugins: PluginHub) -> None:
        self.name = name
        self.runtime = runtime
        self.clock = runtime.clock
        self.memory = memory
        self.membership = membership
        self.usage = Usage(memory, runtime.clock)
        self.plugins = plugins
        self.journal = Journal(runtime)
        self.inventory = Inventory()
        self.inventory_at = 0.0
        """Before that moment (monotonic) the reading of the present inventory had not begun."""
        self.links = Links(runtime.clock, lambda: None)
        self.msid = 0
        self.states: dict[int, HAState | None] = {}
        """Host id -> HA state, live for owned hosts, from the tables for others."""
        self.changing_passwords: set[int] = set()
        """Fence devices (`oobm` rows) that may refuse the password in the tables: a new one is on its way to them."""
        self._passed_over: dict[int, int] = {}
        """Host id -> how many of its neighbours knew nothing of it when they were asked."""
        self._pools: dict[str, CallPool] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ring_inventory: Callable[[], None] = lambda: None

    # --- pools and tasks ---------------------------------------------------------------------------------------

    def pool(self, name: str) -> CallPool:
        """The bounded pool for one kind of driver call."""
        found = self._pools.get(name)
        if found is None:
            found = self._pools[name] = self.runtime.pool(name, self._pool_size(name))
        return found

    def _pool_size(self, name: str) -> int:
        setting = _POOL_SETTINGS.get(name)
        return self.inventory.settings.whole(setting) if setting else _OTHER_POOLS.get(name, 64)

    def fit_pools(self) -> None:
        """Give the pools the sizes that the settings ask for now."""
        for name, pool in self._pools.items():
            if pool.limit != self._pool_size(name):
                pool.resize(self._pool_size(name))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something on its own; what it raises is logged, not lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task of the manager failed", exc_info=task.exception())

    async def stop_tasks(self) -> None:
        """Cancel what still runs."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- ownership ---------------------------------------------------------------------------------------------

    def while_owned(self, host: Host, function: Callable[..., T]) -> Callable[..., T]:
        """`function`, but `Conflict` if this server no longer owns the host when its turn in a pool comes (S5)."""
        epoch = self.epoch(host)

        @wraps(function)  # its name is in the words of a deadline that passed
        def call(*args: Any) -> T:
            if not epoch or self.epoch(host) != epoch:
                raise Conflict(f"this server does not own host {host.name} any more")
            return function(*args)

        return call

    def epoch(self, host: Host) -> int:
        """The owner epoch under which this server acts on the host; 0 if it may not."""
        return self.membership.epochs.get(host.uuid, 0) if self.membership.holds() else 0

    def host_view(self, host: Host) -> HostView:
        """The host as drivers see it that act on it: under which epoch this server owns it, or 0."""
        return replace(self.inventory.host_view(host), owner_epoch=self.epoch(host))

    # --- drivers -----------------------------------------------------------------------------------------------

    def provider(self, name: str) -> HaProvider | None:
        """The HA provider, or None if it is not installed or broken."""
        try:
            found: HaProvider = self.plugins.driver("provider", name)
        except HoldfastError as problem:
            log.error("HA provider %s cannot be used: %s", name, problem)
            return None
        return found

    def hypervisor(self, host: Host) -> Hypervisor:
        """The driver of the host's hypervisor; `PluginError` if there is none."""
        found: Hypervisor = self.plugins.driver("hypervisor", host.hypervisor_type.lower())
        return found

    # --- looking at hosts --------------------------------------------------------------------------------------

    def silent_after(self) -> float:
        """Seconds without a beat after which a link counts as silent."""
        settings = self.inventory.settings
        return settings.number("ping.interval") * settings.number("ping.timeout")

    def calm_hosts(self) -> Counter[int]:
        """Cluster id -> how many of its hosts are up and not in doubt."""
        found: Counter[int] = Counter()
        for host in self.inventory.hosts.values():
            if self.is_calm(host):
                found[host.cluster_id] += 1
        return found

    def is_calm(self, host: Host) -> bool:
        """Whether the host is up and not in doubt."""
        return host.status == HostStatus.UP and self.states.get(host.id) in _CALM

    def is_undoubted(self, host: Host) -> bool:
        """Whether host HA has nothing to find out about the host now."""
        return self.states.get(host.id) in _CALM

    def neighbours(self, host: Host) -> Iterator[Host]:
        """Hosts of the same cluster that are up and not in doubt."""
        for other in self.inventory.hosts_of_cluster.get(host.cluster_id, ()):
            if other.id != host.id and self.is_calm(other):
                yield other

    def witnesses(self, host: Host) -> tuple[Host, ...]:
        """A few neighbours to ask, those this server hears itself first; always the same, unless they know nothing."""
        limit, passed = self.silent_after(), self._passed_over.get(host.id, 0)
        heard: list[Host] = []
        others: list[Host] = []
        for other in self.neighbours(host):
            (heard if self.links.heard_within(other.uuid, limit) else others).append(other)
            if len(heard) == passed + WITNESSES:
                break
        found = [*heard, *others]
        if passed >= len(found):
            self._passed_over.pop(host.id, None)
            passed = 0
        return tuple(found[passed : passed + WITNESSES])

    def ask_others(self, host: Host) -> None:
        """Those that were asked about the host could not say: the next neighbours have their turn.

        Neighbours that hung with it, and came back, have not seen its heartbeat move and never will; others have.
        """
        self._passed_over[host.id] = self._passed_over.get(host.id, 0) + WITNESSES

    def probes(
        self,
        host: Host,
        still_wanted: Callable[[], bool] = lambda: True,
        disks: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> HostProbes:
        """Probes for one check of one host, on the inventory as it is now. Nothing is sent unless `still_wanted`.

        `disks` are those that the host alone may write, by the uuid of their pool.
        """
        settings = self.inventory.settings
        cluster = host.cluster_id
        link = self.links.links.get(host.uuid)
        silence = self.clock.monotonic() - link.heard_at if link else 0.0
        attempt = settings.number("kvm.ha.fence.timeout", cluster=cluster)
        limits = ProbeLimits(
            silent_after=self.silent_after(),
            stale_after=settings.number("ha.storage.beat.stale"),
            activity_window=settings.number("kvm.ha.activity.check.window", cluster=cluster),
            heartbeat_timeout=settings.number("kvm.ha.activity.check.timeout", cluster=cluster),
            # One reading fits into what is left of the attempt, and what the device said is known by then.
            action_timeout=max(attempt / 2, attempt - settings.number("kvm.ha.power.check.timeout", cluster=cluster)),
        )
        devices = self.fence_devices(host, still_wanted=still_wanted)
        heard = link is not None and link.connected
        return HostProbes(
            host, self.inventory, self.clock, limits, silence, heard, self.witnesses(host), devices,
            self.plugins.driver, self._agent_question(host), disks,
        )  # fmt: skip

    def fence_devices(
        self, host: Host, rows: tuple[Oobm, ...] | None = None, still_wanted: Callable[[], bool] = lambda: True
    ) -> FenceDevices:
        """The host's fence devices, or those `rows` of them, on the inventory as it is now."""
        number = partial(self.inventory.settings.number, cluster=host.cluster_id)
        return FenceDevices(
            host, self.inventory, self.runtime, self.plugins.driver,
            reading=number("kvm.ha.power.check.timeout"), pause=number("kvm.ha.power.check.interval"),
            may_act=lambda: self.membership.owns(host.uuid) and still_wanted(), rows=rows,
        )  # fmt: skip

    def fence_seconds(self, host: Host, timeout: float) -> float:
        """The bound on one fence attempt on the host, of which `timeout` is the usual one."""
        return fence_seconds(self.inventory.fence_devices.get(host.id, ()), timeout)

    def _agent_question(self, host: Host) -> Callable[[], Any] | None:
        view = self.host_view(host)

        def ask() -> Any:
            return self.hypervisor(host).list_vms(view, 1.0)

        return ask
