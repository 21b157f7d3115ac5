"""A host, its pools, a neighbour and an owner in true time, with everything late that can be late.

The host's side is the agent's own rules; the rest is what they have to be safe against: drifting clocks, writes that
hang and land late, feedings that were decided in time and carried out late, an agent that freezes, starts that wait.
"""

import math
import random

from holdfast.beats.record import BeatRecord
from holdfast.beats.sightings import Sightings
from holdfast.model.views import DiskSpec, PoolView, VmSpec
from holdfast_agent.storage import feeding
from holdfast_agent.storage.lease import OWNER, StorageLease
from holdfast_agent.storage.terms import LeaseTerms

TICK = 0.25
DRIFT = 0.0005
POOLS = ("a", "b")
VIEWS = {name: PoolView(name, name, "NetworkFilesystem", "nfs", scope="CLUSTER") for name in POOLS}
TERMS = LeaseTerms(tuple(VIEWS.values()), True, action="reboot", problem="")
LOCAL = PoolView("local", "local", "Filesystem", "", scope="HOST")


def vm(name: str, pool: PoolView) -> VmSpec:
    return VmSpec(name, name, name, 1, 1, 1, disks=(DiskSpec(pool, "disk"),))


class Write:
    def __init__(self, begun: float, sequence: int, lands_at: float, known_at: float) -> None:
        self.begun, self.sequence, self.lands_at, self.known_at = begun, sequence, lands_at, known_at
        self.landed = False


class Model:
    def __init__(self, seed: int, half: bool = True, from_begin: bool = True, recheck: str = "throughout") -> None:
        self.chance = chance = random.Random(seed)
        self.half, self.from_begin, self.recheck = half, from_begin, recheck
        self.now = 0.0
        self.host_rate = 1 + chance.uniform(-DRIFT, DRIFT)
        self.reader_rate = 1 + chance.uniform(-DRIFT, DRIFT)
        self.device_rate = 1 + chance.uniform(-DRIFT, DRIFT)
        self.lease = StorageLease(TERMS.lease)
        self.pools = dict.fromkeys(POOLS[: chance.choice((1, 2))], 0)
        self.writes: dict[str, Write] = {}
        self.due = dict.fromkeys(self.pools, 0.0)
        self.sequence = 0
        self.path = {(who, pool): True for who in ("host", "reader") for pool in self.pools}
        self.link = True
        self.frozen_until = 0.0
        self.running: dict[str, VmSpec] = {}
        self.fed_at = 0.0
        self.counting = False
        self.concern = False
        self.feed_due: float | None = None
        self.next_step = 0.0
        self.late_feedings: tuple[float, ...] = (1.0, 3.0, 4.5, 8.0, 9.5)
        self.reset_at: float | None = None
        self.reset_with: list[str] = []
        self.sightings = Sightings()
        self.readings: dict[str, float] = {}
        self.heard_at = 0.0
        self.grants: list[tuple[float, float]] = []
        self.next_talk = 0.0
        self.next_look = 0.0
        self.proven_at: float | None = None
        self.pending: list[tuple[float, float, VmSpec]] = []
        self.violations: list[str] = []
        self.armed_seen = False
        # Chance seldom hits where it hurts, so most hosts are cut off at some time, and meet with one of these as well.
        self.malice = ("", "late feeding", "late answer", "late start")[seed % 4]
        self.cut_at = chance.uniform(15.0, 60.0) if self.malice else math.inf

    def host_clock(self) -> float:
        return self.now * self.host_rate

    def run(self, seconds: float = 150.0) -> None:
        while self.now < seconds and not self.violations:
            self._world()
            if self.reset_at is None:
                self._device()
            if self.reset_at is None and self.now >= self.frozen_until:
                self._host()
            self._neighbour()
            self._judge()
            self.now += TICK

    def _world(self) -> None:
        chance = self.chance
        for key in self.path:
            if chance.random() < (0.01 if self.path[key] else 0.02):
                self.path[key] = not self.path[key]
        if chance.random() < (0.01 if self.link else 0.015):
            self.link = not self.link
        if self.now >= self.cut_at:
            healed = self.malice == "late start" and self.now > self.cut_at + 40.0
            self.link = healed
            self.path.update({("host", pool): healed for pool in self.pools})
            self.path.update({("reader", pool): True for pool in self.pools})
            if self.now < self.cut_at + TICK:
                self._be_malicious()
        if chance.random() < 0.004:
            self.frozen_until = max(self.frozen_until, self.now + chance.choice((1.0, 4.0, 12.0, 40.0)))
        for pool, write in list(self.writes.items()):
            if not write.landed and self.now >= write.lands_at and self.path["host", pool]:
                write.landed = True
                self.pools[pool] = write.sequence
                write.known_at = self.now + chance.choice((0.0, 0.0, 1.0, 6.0))

    def _be_malicious(self) -> None:
        if self.proven_at is not None:
            return  # the owner orders no start any more
        if self.malice == "late answer":
            self._run_a_vm()
            for pool in self.pools:
                self.sequence += 1
                self.pools[pool] = self.sequence
                self.writes[pool] = Write(self.host_clock(), self.sequence, self.now, self.now + 9.0)
                self.writes[pool].landed = True
        elif self.malice == "late start":
            self.running.clear()
            order = vm("late", VIEWS["a"])
            if not feeding.why_no_start(TERMS, self.lease, order, self.host_clock(), self.host_clock()):
                self.pending.append((self.now + 44.0, self.host_clock(), order))

    def _run_a_vm(self) -> None:
        """So that there is something that could run twice, if the rules let it start now."""
        # A feeding that is too late resets the host, and then nothing is left to be shown.
        self.late_feedings = (1.0, 3.0)
        spec, clock = vm("kept", VIEWS["a"]), self.host_clock()
        if self.reset_at is None and not feeding.why_no_start(TERMS, self.lease, spec, clock, clock):
            self.running[spec.uuid], self.concern = spec, True
            if not self.counting:
                self.counting, self.fed_at = True, self.now

    def _device(self) -> None:
        seconds = TERMS.watchdog_seconds if self.half else int(TERMS.watchdog)
        # What was decided earlier is carried out whenever the thread gets to it.
        if self.feed_due is not None and self.now >= self.feed_due:
            self.fed_at, self.feed_due = self.now, None
        if self.counting and (self.now - self.fed_at) * self.device_rate > seconds:
            self.reset_at = self.now
            self.reset_with = [name for name, spec in self.running.items() if feeding.is_endangered(spec)]
            if not self.concern:
                self.violations.append("S11: reset although nothing ran that another host could run")
            self.running.clear()
            self.pending.clear()
            self.writes = {pool: write for pool, write in self.writes.items() if write.landed}

    def _host(self) -> None:
        chance, clock = self.chance, self.host_clock()
        for pool in self.pools:
            write = self.writes.get(pool)
            if write is not None and write.landed and self.now >= write.known_at:
                self.lease.renew(pool, write.begun if self.from_begin else clock, clock)
                del self.writes[pool]
                self.due[pool] = self.now + TERMS.interval
            elif write is None and self.now >= self.due[pool]:
                self.sequence += 1
                late = chance.choice((0.0, 0.0, 0.0, 0.5, 3.0, 9.0, 20.0))
                self.writes[pool] = Write(clock, self.sequence, self.now + late, math.inf)
        for asked, arrives in list(self.grants):
            if self.now >= arrives:
                self.lease.renew(OWNER, asked, clock)
                self.grants.remove((asked, arrives))
        if self.link and self.now >= self.next_talk:
            self.next_talk = self.now + 1.0
            self._talk(clock)
        self._vms(clock)
        if self.feed_due is None and self.now >= self.next_step:
            self.next_step = self.now + 1.0
            running = list(self.running.values())
            self.concern = any(feeding.is_endangered(spec) for spec in running)
            if not self.concern:
                self.counting = False
            elif feeding.may_feed(self.lease, running, clock):
                self.feed_due = self.now + chance.choice((0.0,) * 12 + self.late_feedings)
                if self.malice == "late feeding" and self.now >= self.cut_at and self.lease.ends_at() - clock < 1.0:
                    seconds = TERMS.watchdog_seconds if self.half else int(TERMS.watchdog)
                    self.feed_due = self.now + seconds - 2 * TICK
                if self.feed_due == self.now:
                    self.fed_at, self.feed_due = self.now, None

    def _talk(self, clock: float) -> None:
        """A beat to the one owner there is, which hears it at once and often grants, late or not."""
        self.heard_at, self.armed_seen = self.now, True
        if self.chance.random() < 0.8:
            self.grants.append((clock, self.now + self.chance.choice((0.25, 0.25, 4.0, 15.0))))

    def _ungranted(self) -> float:
        """For how long the owner has heard nothing that it could grant, by its own clock."""
        return (self.now - self.heard_at) * self.reader_rate

    def _vms(self, clock: float) -> None:
        chance = self.chance
        if chance.random() < 0.05:
            spec = vm(f"vm{chance.randrange(3)}", chance.choice([*(VIEWS[p] for p in self.pools), LOCAL]))
            if self.link and self.proven_at is None and not feeding.why_no_start(TERMS, self.lease, spec, clock, clock):
                self.pending.append((self.now + chance.choice((0.0, 0.0, 2.0, 20.0, 40.0)), clock, spec))
        for pending in list(self.pending):
            at, ordered, spec = pending
            if self.now >= at:
                self.pending.remove(pending)
                since = clock if self.recheck == "now" else ordered
                if not self.recheck or not feeding.why_no_start(TERMS, self.lease, spec, since, clock):
                    self.running[spec.uuid] = spec
                    if feeding.is_endangered(spec):
                        self.concern = True
                        if not self.counting:
                            self.counting, self.fed_at = True, self.now
        if self.running and chance.random() < 0.02:
            self.running.pop(chance.choice(sorted(self.running)))

    def _neighbour(self) -> None:
        if self.now < self.next_look:
            return
        self.next_look = self.now + 1.0
        clock = self.now * self.reader_rate
        for pool, sequence in self.pools.items():
            if not self.path["reader", pool]:
                self.sightings.blinded()
                self.readings.clear()
                return
            found = self.sightings.saw(f"reader-{pool}", BeatRecord("host", sequence), clock, clock)
            self.readings[pool] = found.unchanged_for if found.ever_moved else 0.0

    def _judge(self) -> None:
        needs = TERMS.lease + TERMS.watchdog + TERMS.margin
        silent = self._ungranted()
        still = len(self.readings) == len(self.pools) and all(seen > needs for seen in self.readings.values())
        if self.proven_at is None and self.armed_seen and silent > needs and still:
            self.proven_at = self.now
        # Nothing takes the proof back, and the owner orders no more starts here: the VMs may run elsewhere already.
        if self.proven_at is not None:
            alive = [name for name, spec in self.running.items() if feeding.is_endangered(spec)]
            if alive:
                self.violations.append(f"proven dead at {self.proven_at}, but {alive} run at {self.now}")
