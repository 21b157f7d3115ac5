"""How long each host has been heard, silent, writing or cut off on end: what the checker's patience is measured by."""

from holdfast.settings import Settings

from holdfast_simulator.scenario import Scenario
from holdfast_simulator.world.happenings import Happening
from holdfast_simulator.world.host import SimHost
from holdfast_simulator.world.network import AGENT, COORDINATOR, DATABASE
from holdfast_simulator.world.world import World

_KNOWING = 4.0
"""Seconds beyond the limits that a decision, its batch and its probes may take to follow the truth."""

_LATELY = 15.0


class Wellbeing:
    """Remembers since when things are as they are. Sampled at each happening, and by the clock in between."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        settings = Settings(scenario.settings)
        self._world = world
        self._silent_after = settings.number("ping.interval") * settings.number("ping.timeout")
        self._stale = settings.number("ha.storage.beat.stale")
        self.grace = max(self._silent_after, self._stale) + _KNOWING + _worst_delay(scenario)
        self._since: dict[tuple[str, ...], tuple[bool, float]] = {}
        self._servers = [f"ms{number}" for number in range(1, scenario.world.servers + 1)]
        self._down_at: dict[str, float] = {}
        self._sample()

    def note(self, event: Happening) -> None:
        """Something happened: look at everything."""
        self._look(event.at)

    def _sample(self) -> None:
        now = self._world.time.now()
        self._look(now)
        self._world.time.call_at(now + 1.0, self._sample)

    def _look(self, now: float) -> None:
        for uuid, host in self._world.hosts.items():
            if not host.powered:
                self._down_at[uuid] = now
            writes = any(host.beats_on(pool) and self._world.pool(pool).latency < 1.0 for pool in host.pools)
            self._set(("writes", uuid), writes, now)
            for server in self._servers:
                path = self._world.network.path(AGENT, uuid, server)
                self._set(("heard", uuid, server), host.speaking and path.faultless, now)
                self._set(("silent", uuid, server), not (host.speaking and path.up), now)
            self._look_for_keepers(uuid, host, now)
        for server in self._servers:
            for kind in ("database", "coordinator"):
                network = self._world.network
                up = network.path(kind, server, kind).up and network.path(kind, kind, server).up
                self._set(("cut", kind, server), not up, now)

    def _look_for_keepers(self, uuid: str, host: SimHost, now: float) -> None:
        """Whether its storage answers nobody, and its owner hears it and can answer, coordinator and database too."""
        network, owner = self._world.network, None
        if host.pools and host.speaking and not any(self._world.pool(pool).up for pool in host.pools):
            owner = (self._world.coordinator.holder(uuid) or ("",))[0]
        for server in self._servers:
            ways = ((AGENT, uuid), (COORDINATOR, COORDINATOR), (DATABASE, DATABASE))
            kept = server == owner and all(
                network.path(kind, server, there).faultless and network.path(kind, there, server).faultless
                for kind, there in ways
            )
            self._set(("kept", uuid, server), kept, now)

    def _set(self, key: tuple[str, ...], value: bool, now: float) -> None:
        known = self._since.get(key)
        if known is None or known[0] is not value:
            self._since[key] = (value, now)

    def _held_for(self, key: tuple[str, ...]) -> float:
        value, since = self._since.get(key, (False, 0.0))
        return self._world.time.now() - since if value else 0.0

    def heard_for(self, host: str, server: str) -> float:
        """Seconds for which the server must have heard the host's beats on end; 0 if it cannot hear it now."""
        return self._held_for(("heard", host, server))

    def silent_for(self, host: str, server: str) -> float:
        """Seconds for which the server cannot have heard the host."""
        return self._held_for(("silent", host, server))

    def wrote_for(self, host: str) -> float:
        """Seconds for which the host's storage heartbeat moved on end on some pool."""
        return self._held_for(("writes", host))

    def kept_for(self, host: str) -> float:
        """Seconds for which its owner must have kept it alive, because its storage answers nobody."""
        return max(self._held_for(("kept", host, server)) for server in self._servers)

    def cut_for(self, kind: str, server: str) -> float:
        """Seconds for which a server has been without its database or coordinator."""
        return self._held_for(("cut", kind, server))

    def any_cut_lately(self, kind: str) -> bool:
        """Whether some server was, or a moment ago had been, without its database or coordinator."""
        now = self._world.time.now()
        found = (self._since.get(("cut", kind, server), (False, -1e9)) for server in self._servers)
        return any(cut or (since > 0.0 and now - since < _LATELY) for cut, since in found)

    def was_down_lately(self, host: str) -> bool:
        """Whether the chassis was off within the last minute."""
        return self._world.time.now() - self._down_at.get(host, -1e9) < 60.0


def _worst_delay(scenario: Scenario) -> float:
    return max((fault.amount * 3 for fault in scenario.faults if fault.kind in ("delay", "reorder")), default=0.0)
