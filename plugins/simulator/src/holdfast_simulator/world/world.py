"""The world: everything that is simulated, put together, and the truth about it."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from holdfast.errors import NotFound
from holdfast.model import GuestState

from holdfast_simulator.world.agents import Agents
from holdfast_simulator.world.coordination import CoordinatorService
from holdfast_simulator.world.gateway import Gateway, Owner
from holdfast_simulator.world.happenings import Chronicle, What
from holdfast_simulator.world.host import SimHost, Size
from holdfast_simulator.world.network import STORAGE, Network, Path
from holdfast_simulator.world.physics import Physics
from holdfast_simulator.world.storage import Pool
from holdfast_simulator.world.timing import WorldTime


class Journal(Protocol):
    """Where hosts write themselves down, so that a world in real time outlives its program."""

    def save(self, name: str, dump: Callable[[], dict[str, Any]]) -> None:
        """Keep what `dump()` gives under the host's name; returns once it would survive a kill."""


class NoJournal:
    """Keeps nothing: for worlds that end with their program."""

    def save(self, name: str, dump: Callable[[], dict[str, Any]]) -> None:
        """Do nothing."""


class World:
    """Hosts, BMCs, pools, networks, the coordinator service; all under one lock.

    `grows` lets hosts and pools come into being when they are first named, as in a shared world in real time.
    """

    def __init__(
        self,
        time: WorldTime,
        *,
        seed: str = "0",
        physics: Physics | None = None,
        journal: Journal | None = None,
        grows: bool = False,
    ) -> None:
        self.time = time
        self.lock = threading.RLock()
        self.physics = physics or Physics()
        self.journal: Journal = journal or NoJournal()
        self.grows = grows
        self.chronicle = Chronicle(time.now)
        self.tell = self.chronicle.tell
        self.network = Network(time, Random(f"{seed}/network"))  # noqa: S311 - reproducible on purpose
        self.network.changed = self._path_changed
        self.coordinator = CoordinatorService(time, self.chronicle)
        self.hosts: dict[str, SimHost] = {}
        self.pools: dict[str, Pool] = {}
        self.agents = Agents(self)
        self._by_uuid: dict[str, SimHost] = {}

    # --- making and finding

    def add_host(
        self, name: str, uuid: str = "", size: Size | None = None, kept: dict[str, Any] | None = None
    ) -> SimHost:
        """A host, powered on and up, or as its journal `kept` it."""
        if name in self.hosts:
            raise ValueError(f"there is a simulated host {name!r} already")
        host = SimHost(self, name, uuid or name, size or Size())
        self.hosts[name] = host
        self.rename(host, host.uuid)
        if kept is not None:
            host.load(kept)
        host.save()
        return host

    def rename(self, host: SimHost, uuid: str) -> None:
        """Let the host go by this uuid from now on. What was known under the old one is forgotten."""
        self._by_uuid.pop(host.uuid, None)
        if uuid != host.uuid:
            for pool in host.pools:
                self.pool(pool).remove(host.uuid)
            host.pools.clear()
        host.uuid = uuid
        self._by_uuid[uuid] = host

    def knows(self, key: str) -> bool:
        """Whether there is a host of that uuid or name already."""
        return key in self._by_uuid or key in self.hosts

    def host(self, key: str) -> SimHost:
        """A host by uuid or name; `NotFound` names it. A growing world makes it."""
        found = self._by_uuid.get(key) or self.hosts.get(key)
        if found is None and self.grows:
            found = self.add_host(key)
        if found is None:
            raise NotFound(f"no simulated host {key!r}; there are {', '.join(sorted(self.hosts)) or 'none'}")
        return found

    def add_pool(self, uuid: str, name: str = "") -> Pool:
        """A storage pool, up. Idempotent."""
        if uuid not in self.pools:
            self.pools[uuid] = Pool(uuid, name or uuid, self.time.now, self.physics.storage_beat)
        return self.pools[uuid]

    def pool(self, uuid: str) -> Pool:
        """A pool by uuid. A growing world makes it."""
        if uuid not in self.pools:
            if not self.grows:
                raise NotFound(f"no simulated pool {uuid!r}; there are {', '.join(sorted(self.pools)) or 'none'}")
            self.add_pool(uuid)
        return self.pools[uuid]

    def gateway(self, server: str, owner: Owner) -> Gateway:
        """A way into the world for one life of one management server."""
        return Gateway(self, server, owner)

    # --- faults that are not one host's

    def _path_changed(self, path: Path) -> None:
        if path.kind == STORAGE and path.source in self._by_uuid:
            self._by_uuid[path.source].refresh_storage()

    def set_pool(self, uuid: str, up: bool | None = None, latency: float | None = None) -> None:
        """Take a pool down or up, or make it slow."""
        pool = self.pool(uuid)
        pool.up = pool.up if up is None else up
        pool.latency = pool.latency if latency is None else latency
        self.tell(What.FAULT, detail=f"pool {pool.name} {'up' if pool.up else 'down'}, latency {pool.latency:g} s")
        for host in self.hosts.values():
            host.refresh_storage()

    # --- the truth

    def live_runs(self, vm_uuid: str) -> list[tuple[str, int]]:
        """Host uuid and run epoch of every run of the VM that can write, now or later, without a new permit."""
        return [
            (host.uuid, guest.run_epoch)
            for host in self.hosts.values()
            if (guest := host.book.guests.get(vm_uuid)) is not None and guest.live
        ]

    def all_live_runs(self) -> dict[str, list[tuple[str, int]]]:
        """The same for all VMs that have one."""
        found: dict[str, list[tuple[str, int]]] = {}
        for host in self.hosts.values():
            for guest in host.book.live():
                found.setdefault(guest.spec.uuid, []).append((host.uuid, guest.run_epoch))
        return found

    def serving(self, vm_uuid: str) -> bool:
        """Whether a run of the VM really works now: started, on a host that is up."""
        return any(
            guest is not None and guest.state is GuestState.RUNNING and not guest.starting and host.condition == "up"
            for host in self.hosts.values()
            if (guest := host.book.guests.get(vm_uuid)) is not None
        )
