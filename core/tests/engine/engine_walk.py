"""A small world round one host, and a random walk through it: mostly coherent, sometimes mischievous.

Pure chance rarely gets far into a fence; a world that answers as a real one would gets there in a few strides.
"""

from random import Random
from typing import Any

from engine_bed import CALM, HOST, STORM, Bed, beat, link, policy, power, ungranted
from holdfast.engine.incident import (
    ActivitySeen,
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    HealthSeen,
    Heard,
    Judged,
    Observation,
    PowerRead,
    Prepare,
    Prepared,
    ReadPower,
    Recover,
    RecoverDone,
    Silent,
    Switched,
)
from holdfast.engine.resumption import memory
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import Opinion

DEAD, ALIVE, UNKNOWN = Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN


def random_policy(chance: Random) -> Any:
    """Numbers small enough that every counter is reached."""
    return policy(
        recovery_attempts=chance.choice([0, 0, 1, 2]),
        dead_needed=chance.choice([1, 2, 3]),
        alive_needed=chance.choice([1, 2, 4]),
        off_needed=chance.choice([2, 3]),
        fence_off_needed=chance.choice([2, 3]),
        fence_max_attempts=chance.choice([1, 2, 3]),
        power_check=chance.random() < 0.7,
        degraded_max=chance.choice([1.0, 5.0, 300.0]),
        recovery_wait=chance.choice([0.0, 2.0, 120.0]),
        power_on_after_fence=chance.random() < 0.5,
    )


class Walk:
    """One life of one host. `stride` takes one step of it; the bed raises `RuleBroken` when a rule is broken."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.bed = Bed(random_policy(chance), poll_every=chance.choice([0.0, 0.0, 0.0, 2.0])).enable()
        self.powered, self.hung, self.linked, self.armed = True, False, True, chance.random() < 0.5
        self.bmc = "good"
        self.pools = ["good"] * chance.choice([1, 1, 2, 3])
        self.stopped_at = self.bed.now

    def stride(self) -> None:
        """One thing happens."""
        roll = self.chance.random()
        if roll < 0.06:
            self._world_changes()
        elif roll < 0.10:
            self._mischief()
        elif roll < 0.25:
            self._link_tells()
        elif self.bed.in_flight and roll < 0.85:
            self._answer(self.chance.choice(list(self.bed.in_flight)))
        elif not self.bed.to_due() or roll > 0.97:
            self.bed.advance(self.chance.choice([0.0, 0.2, 1.0, 5.0, 30.0, 400.0]))

    def _alive(self) -> bool:
        return self.powered and not self.hung

    def _world_changes(self) -> None:
        was_alive = self._alive()
        match self.chance.randrange(7):
            case 0:
                self.powered = not self.powered
            case 1:
                self.hung = not self.hung
            case 2:
                self.linked = not self.linked
            case 3:
                self.bmc = self.chance.choice(["good", "good", "dark", "lies", "refuses"])
            case 4:
                self.pools[self.chance.randrange(len(self.pools))] = self.chance.choice(["good", "dark"])
            case 5:
                self.bed.domains = self.chance.choice([(), CALM, CALM, STORM])
            case 6:
                self.powered, self.hung, self.linked, self.bmc = True, False, True, "good"
                self.bed.tell(Judged(True, maintenance=False))
        if was_alive and not self._alive():
            self.stopped_at = self.bed.now

    def _mischief(self) -> None:
        bed, chance = self.bed, self.chance
        match chance.randrange(6):
            case 0:
                bed.tell(Switched(chance.random() < 0.7))
            case 1:
                bed.tell(Judged(chance.random() < 0.6, "because", chance.random() < 0.5, chance.random() < 0.3))
            case 2 if chance.random() < 0.3:
                bed.declare()
            case 3 if chance.random() < 0.3:
                kept = memory(bed.host)
                self.bed = Bed(bed.policy, resumed=(bed.host.state, kept), poll_every=bed.host.poll_every, now=bed.now)
                self.bed.domains = bed.domains
            case _:
                self._unasked()

    def _unasked(self) -> None:
        """An answer that nothing asked for: of an older generation, of a newer one, or a second copy."""
        token, now = self.bed.host.token + self.chance.choice([-2, -1, -1, 0, 1]), self.bed.now
        say = self.chance.choice([DEAD, DEAD, ALIVE])
        unasked: dict[type, Observation] = {
            AskHealth: HealthSeen(token, (link(say, now), power(say, now))),
            AskActivity: ActivitySeen(token, (beat(say, now, lasting=99.0), ungranted(now))),
            Recover: RecoverDone(token, say is ALIVE),
            Prepare: Prepared(token),
            CutPower: CutDone(token, True),
            ReadPower: PowerRead(token, power(say, now)),
        }
        kind = self.chance.choice(list(unasked))
        if self.bed.in_flight.get(kind) != token:
            self.bed.tell(unasked[kind])

    def _link_tells(self) -> None:
        if self._alive() and self.linked:
            if not self.bed.host.poll_every:
                self.bed.tell(Heard(self.armed))
        elif not self.bed.host.silent:
            self.bed.tell(Silent(link(DEAD, self.bed.now)))

    # --- answers as the world has them, one in twenty of them distorted ----------------------------------------------

    def _answer(self, kind: type) -> None:
        content: tuple[Any, ...] = ()
        if kind is AskHealth:
            words = self._distorted((self._word(), self._chassis()))
            content = (words,)
        elif kind is AskActivity:
            seen = self._distorted((*(self._pool(n) for n in range(len(self.pools))), self._grant()))
            content = ((*seen, *self._disks()),)
        elif kind in (CutPower, Recover):
            content = (self._power_command(),)
            if kind is Recover and self.bmc == "good":
                self.powered, self.hung = True, self.chance.random() < 0.5
        elif kind is ReadPower:
            content = self._distorted((self._chassis(),))
        self.bed.answer(kind, *content)

    def _word(self) -> Evidence:
        spoken = self._alive() and self.linked
        if self.bed.host.poll_every and self.chance.random() < 0.5:
            return Evidence(Kind.AGENT, HOST, ALIVE if spoken else DEAD, "script", self.bed.now)
        return link(ALIVE if spoken else DEAD, self.bed.now)

    def _chassis(self) -> Evidence:
        says = UNKNOWN if self.bmc == "dark" else ALIVE if self.powered else DEAD
        return power(says, self.bed.now)

    def _pool(self, number: int) -> Evidence:
        lasting = 0.0 if self._alive() else self.bed.now - self.stopped_at
        says = UNKNOWN if self.pools[number] == "dark" else ALIVE if lasting <= 4.0 else DEAD
        return beat(says, self.bed.now, f"p{number}", lasting)

    def _disks(self) -> tuple[Evidence, ...]:
        """Now and then somebody looks at the disks themselves, and may see them written although no beat moves."""
        if self.chance.random() < 0.98:
            return ()
        return (Evidence(Kind.ACTIVITY, HOST, ALIVE, "neighbour", self.bed.now, pool="p0"),)

    def _grant(self) -> Evidence:
        """A host that stopped long ago may have been granted life until later: its pools died first."""
        lasting = 0.0 if self._alive() else self.bed.now - self.stopped_at
        return ungranted(self.bed.now, self.chance.choice([lasting, lasting, lasting, min(lasting, 20.0)]))

    def _power_command(self) -> bool:
        if self.bmc == "good" and self._alive():
            self.stopped_at = self.bed.now
        if self.bmc == "good":
            self.powered = False
        return self.bmc in ("good", "lies")

    def _distorted(self, pieces: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        if self.chance.random() < 0.95:
            return pieces
        spoilt = []
        for piece in pieces:
            opinion, late = self.chance.choice(list(Opinion)), self.chance.choice([0.0, 61.0, 3600.0, -1.0])
            spoilt.append(Evidence(piece.kind, HOST, opinion, "?", self.bed.now - late, pool=piece.pool, lasting=99.0))
        return tuple(spoilt[: self.chance.randrange(len(spoilt) + 1)] or spoilt)


def live(seed: int, strides: int) -> Walk:
    """One whole life from a seed."""
    walk = Walk(Random(seed))
    for _ in range(strides):
        walk.stride()
    return walk
