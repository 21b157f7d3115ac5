"""How long each host has been heard, silent, writing or cut off on end: what the checker's patience is measured by."""

import math
from dataclasses import dataclass

from holdfast.settings import Settings

from holdfast_simulator.scenario import Scenario
from holdfast_simulator.world.happenings import Happening
from holdfast_simulator.world.host import SimHost
from holdfast_simulator.world.network import AGENT, COORDINATOR, DATABASE, Path
from holdfast_simulator.world.world import World

_KNOWING = 4.0
"""Seconds beyond the limits that a decision, its batch and its probes may take to follow the truth."""

_LATELY = 15.0


@dataclass(slots=True)
class _Spell:
    """Since when something is so, or is not."""

    value: bool | None = None
    since: float = -math.inf

    def note(self, value: bool, now: float) -> None:
        """It is so now."""
        if self.value is not value:
            self.value, self.since = value, now


@dataclass(frozen=True, slots=True)
class _Sight:
    """One host, with all that is looked at of it: looking things up takes most of the time there.

    Per server: its name, the path of beats to it, every path that an owner needs, and what is remembered of the host.
    """

    host: SimHost
    writes: _Spell
    servers: tuple[tuple[str, Path, tuple[Path, ...], _Spell, _Spell, _Spell], ...]


class Wellbeing:
    """Remembers since when things are as they are. Sampled at each happening, and by the clock in between."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        settings = Settings(scenario.settings)
        self._world = world
        self._silent_after = settings.number("ping.interval") * settings.number("ping.timeout")
        self._stale = settings.number("ha.storage.beat.stale")
        self.grace = max(self._silent_after, self._stale) + _KNOWING + _worst_delay(scenario)
        self._spells: dict[tuple[str, ...], _Spell] = {}
        self._sights: list[_Sight] = []
        self._servers = [f"ms{number}" for number in range(1, scenario.world.servers + 1)]
        self._down_at: dict[str, float] = {}
        path = world.network.path
        self._services = [
            (path(kind, server, kind), path(kind, kind, server), self._spell("cut", kind, server))
            for server in self._servers
            for kind in (DATABASE, COORDINATOR)
        ]
        self._sample()

    def note(self, event: Happening) -> None:
        """Something happened: look at everything."""
        self._look(event.at)

    def _sample(self) -> None:
        now = self._world.time.now()
        self._look(now)
        self._world.time.call_at(now + 1.0, self._sample)

    def _look(self, now: float) -> None:
        if len(self._sights) != len(self._world.hosts):
            self._sights = [self._sight(host) for host in self._world.hosts.values()]
        for sight in self._sights:
            host, speaking = sight.host, sight.host.speaking
            if not host.powered:
                self._down_at[host.uuid] = now
            writes = any(host.beats_on(pool) and self._world.pool(pool).latency < 1.0 for pool in host.pools)
            sight.writes.note(writes, now)
            owner = self._owner_that_keeps(host) if speaking else None
            for server, path, ways, heard, silent, kept in sight.servers:
                heard.note(speaking and path.faultless, now)
                silent.note(not (speaking and path.up), now)
                kept.note(server == owner and all(way.faultless for way in ways), now)
        for there, back, cut in self._services:
            cut.note(not (there.up and back.up), now)

    def _owner_that_keeps(self, host: SimHost) -> str | None:
        """The owner of a host whose storage answers nobody: it must keep it alive as long as it gets through."""
        if not host.pools or any(self._world.pool(pool).up for pool in host.pools):
            return None
        return (self._world.coordinator.holder(host.uuid) or ("",))[0]

    def _sight(self, host: SimHost) -> "_Sight":
        path, uuid = self._world.network.path, host.uuid
        servers = []
        for server in self._servers:
            ends = ((AGENT, uuid), (COORDINATOR, COORDINATOR), (DATABASE, DATABASE))
            ways = tuple(way for kind, end in ends for way in (path(kind, server, end), path(kind, end, server)))
            heard, silent, kept = (self._spell(word, uuid, server) for word in ("heard", "silent", "kept"))
            servers.append((server, path(AGENT, uuid, server), ways, heard, silent, kept))
        return _Sight(host, self._spell("writes", uuid), tuple(servers))

    def _spell(self, *key: str) -> "_Spell":
        return self._spells.setdefault(key, _Spell())

    def _held_for(self, *key: str) -> float:
        spell = self._spells.get(key)
        return self._world.time.now() - spell.since if spell is not None and spell.value else 0.0

    def heard_for(self, host: str, server: str) -> float:
        """Seconds for which the server must have heard the host's beats on end; 0 if it cannot hear it now."""
        return self._held_for("heard", host, server)

    def silent_for(self, host: str, server: str) -> float:
        """Seconds for which the server cannot have heard the host."""
        return self._held_for("silent", host, server)

    def wrote_for(self, host: str) -> float:
        """Seconds for which the host's storage heartbeat moved on end on some pool."""
        return self._held_for("writes", host)

    def kept_for(self, host: str) -> float:
        """Seconds for which its owner must have kept it alive, because its storage answers nobody."""
        return max(self._held_for("kept", host, server) for server in self._servers)

    def cut_for(self, kind: str, server: str) -> float:
        """Seconds for which a server has been without its database or coordinator."""
        return self._held_for("cut", kind, server)

    def any_cut_lately(self, kind: str) -> bool:
        """Whether some server was, or a moment ago had been, without its database or coordinator."""
        now = self._world.time.now()
        found = (self._spell("cut", kind, server) for server in self._servers)
        return any(spell.value or (spell.since > 0.0 and now - spell.since < _LATELY) for spell in found)

    def was_down_lately(self, host: str) -> bool:
        """Whether the chassis was off within the last minute."""
        return self._world.time.now() - self._down_at.get(host, -1e9) < 60.0


def _worst_delay(scenario: Scenario) -> float:
    return max((fault.amount * 3 for fault in scenario.faults if fault.kind in ("delay", "reorder")), default=0.0)
