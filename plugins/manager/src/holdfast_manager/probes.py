"""The ways to look at, and to switch, one host, lent to its provider. Run in a pool's thread; never raise.

Every trouble becomes `unknown` evidence (S2) or an outcome that was not accepted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import NotFound, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.provider import ActionOutcome
from holdfast.model import Evidence, Host, Kind, Opinion, PowerAction
from holdfast.model.views import DiskReading, PoolView
from holdfast.runtime import Clock

from holdfast_manager.fence_devices import FenceDevices, words
from holdfast_manager.inventory import Inventory

WITNESSES = 4
_TOO_SHORT = 0.05


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """Deadlines and ages, seconds."""

    silent_after: float
    stale_after: float
    activity_window: float
    heartbeat_timeout: float
    action_timeout: float


class HostProbes:
    """`holdfast.hooks.provider.Probes` for one host, on one inventory snapshot."""

    def __init__(
        self,
        host: Host,
        inventory: Inventory,
        clock: Clock,
        limits: ProbeLimits,
        silence: float,
        heard: bool,
        neighbours: tuple[Host, ...],
        devices: FenceDevices,
        driver: Callable[[str, str], Any],
        ask_agent: Callable[[], Any] | None,
        disks: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._host = host
        self._inventory = inventory
        self._clock = clock
        self._limits = limits
        self._silence = silence
        self._heard = heard
        self._neighbours = neighbours
        self._devices = devices
        self._driver = driver
        self._ask_agent = ask_agent
        self._disks = disks
        """Pool uuid -> the disks there that this host alone may write."""

    def _evidence(self, kind: Kind, opinion: Opinion, source: str, detail: str, **more: Any) -> Evidence:
        return Evidence(kind, self._host.uuid, opinion, source, self._clock.monotonic(), detail, **more)

    def link(self) -> Evidence:
        """Whether the host was heard lately. One that was only just taken over is neither heard nor silent (S2)."""
        seconds = self._silence
        if seconds >= self._limits.silent_after:
            text = f"no beat for {seconds:.1f} s"
            return self._evidence(Kind.LINK, Opinion.DEAD, "management link", text, max_age=5.0)
        if not self._heard:
            text = f"not heard since this server began to listen {seconds:.1f} s ago"
            return self._evidence(Kind.LINK, Opinion.UNKNOWN, "management link", text, max_age=5.0)
        return self._evidence(Kind.LINK, Opinion.ALIVE, "management link", f"a beat {seconds:.1f} s ago", max_age=5.0)

    def agent(self) -> Evidence:
        """Ask the host's agent."""
        if self._ask_agent is None:
            return self._evidence(Kind.AGENT, Opinion.UNKNOWN, "agent", "no way to ask the agent")
        try:
            self._ask_agent()
        except Exception as problem:
            return self._evidence(Kind.AGENT, Opinion.UNKNOWN, "agent", words(problem))
        return self._evidence(Kind.AGENT, Opinion.ALIVE, "agent", "the agent answers")

    def power(self) -> Evidence:
        """Read the power from every fence device."""
        problem = self._inventory.oobm_problem(self._host)
        if problem:
            return self._evidence(Kind.POWER, Opinion.UNKNOWN, "oobm", problem)
        opinion, readings = self._devices.read()
        if len(readings) == 1:
            (one,) = readings
            detail = one.problem if one.opinion is Opinion.UNKNOWN and one.problem else f"chassis power is {one.state}"
            source = f"{one.row.driver} {one.row.address}"
        else:
            detail = "; ".join(f"level {one.row.level}: {one.words}" for one in readings)
            source = f"{len(readings)} fence devices"
        age = {} if opinion is Opinion.UNKNOWN else {"max_age": 10.0}
        return self._evidence(Kind.POWER, opinion, source, detail, **age)

    def heartbeats(self) -> tuple[Evidence, ...]:
        """Each pool, as a healthy neighbour sees it."""
        return tuple(self._heartbeat(pool) for pool in self._inventory.ha_pools(self._host))

    def _heartbeat(self, pool: PoolView) -> Evidence:
        if not self._neighbours:
            text = f"no healthy neighbour can look at pool {pool.name}"
            return self._evidence(Kind.HEARTBEAT, Opinion.UNKNOWN, "neighbours", text, pool=pool.name)
        problems = []
        until = self._clock.monotonic() + self._limits.heartbeat_timeout
        for neighbour in self._neighbours[:WITNESSES]:
            # Half of what is left for each: one that does not answer must not take the next one's time.
            seconds = (until - self._clock.monotonic()) / 2
            if seconds <= _TOO_SHORT:
                break
            found = self._ask_neighbour(pool, neighbour, seconds)
            if isinstance(found, Evidence):
                return found
            problems.append(found)
        return self._evidence(Kind.HEARTBEAT, Opinion.UNKNOWN, "neighbours", "; ".join(problems), pool=pool.name)

    def _ask_neighbour(self, pool: PoolView, neighbour: Host, seconds: float) -> Evidence | str:
        """What one neighbour sees; in words, if that says nothing and another one has to be asked."""
        source = f"{neighbour.name} on {pool.name}"
        try:
            driver: HeartbeatDriver = self._driver("heartbeat", pool.heartbeat)
            reading = driver.read(pool, self._host.uuid, neighbour.uuid, seconds)
        except NotFound:
            return f"{source}: no heartbeat was ever written"
        except Exception as problem:
            return f"{source}: {words(problem)}"
        if not reading.unchanged_for >= 0:
            return f"{source}: nonsense, unchanged for {reading.unchanged_for} s"
        text = f"heartbeat on {pool.name} unchanged for {reading.unchanged_for:.1f} s, seen by {neighbour.name}"
        stale = reading.unchanged_for > self._limits.stale_after
        if stale and not reading.ever_moved:
            # It has only just begun to look: it has not seen the beat stand still, merely not move yet.
            return f"{text}, which has not seen it move yet"
        opinion = Opinion.DEAD if stale else Opinion.ALIVE
        return self._evidence(
            Kind.HEARTBEAT, opinion, source, text, pool=pool.name, lasting=reading.unchanged_for, max_age=5.0
        )

    def disks(self) -> tuple[Evidence, ...]:
        """Each pool with disks of the host's VMs, as a healthy neighbour sees them."""
        pools = (pool for pool in self._inventory.ha_pools(self._host) if self._disks.get(pool.uuid))
        return tuple(piece for pool in pools if (piece := self._activity(pool)) is not None)

    def _activity(self, pool: PoolView) -> Evidence | None:
        """A disk that changes is a sign of life. One that stands still is none of death, so that says nothing.

        Storage that cannot tell says so, for people: it holds no fence.
        """
        problems, cannot_tell = [], ""
        until = self._clock.monotonic() + self._limits.heartbeat_timeout / 2
        for neighbour in self._neighbours[:WITNESSES]:
            seconds = (until - self._clock.monotonic()) / 2
            if seconds <= _TOO_SHORT:
                break
            try:
                driver: HeartbeatDriver = self._driver("heartbeat", pool.heartbeat)
                reading = driver.look_at_disks(pool, self._disks[pool.uuid], neighbour.uuid, seconds)
            except Unsupported as problem:
                cannot_tell = str(problem)  # such storage, or an agent that is older than the question
                continue
            except Exception as problem:
                problems.append(f"{neighbour.name} on {pool.name}: {words(problem)}")
                continue
            return self._judged(pool, neighbour, reading)
        if cannot_tell and not problems:
            return self._evidence(
                Kind.ACTIVITY, Opinion.UNKNOWN, "neighbours", cannot_tell, pool=pool.name, answerable=False
            )
        text = "; ".join(problems) or f"no healthy neighbour can look at the disks on pool {pool.name}"
        return self._evidence(Kind.ACTIVITY, Opinion.UNKNOWN, "neighbours", text, pool=pool.name)

    def _judged(self, pool: PoolView, neighbour: Host, reading: DiskReading) -> Evidence | None:
        source = f"{neighbour.name} on {pool.name}"
        if reading.found and not reading.watched_for > 0:
            text = f"{neighbour.name} has only begun to watch the disks on {pool.name}"
            return self._evidence(Kind.ACTIVITY, Opinion.UNKNOWN, source, text, pool=pool.name)
        if not reading.changed or not 0 <= reading.unchanged_for <= self._limits.activity_window:
            return None
        text = (
            f"disk {reading.changed} on {pool.name} changed {reading.unchanged_for:.1f} s ago, seen by {neighbour.name}"
        )
        return self._evidence(
            Kind.ACTIVITY, Opinion.ALIVE, source, text, pool=pool.name, lasting=reading.unchanged_for, max_age=5.0
        )

    def switch_power(self, action: PowerAction) -> ActionOutcome:
        """Send a power action to the fence devices."""
        problem = self._inventory.oobm_problem(self._host)
        return ActionOutcome(False, problem) if problem else self._devices.switch(action, self._limits.action_timeout)
