"""A host whose owner changes: what grants of life must be safe against, in true time.

Two servers and a coordinator, each with a clock of its own. A server may stop and go on, with its clock or without it:
a machine that its own hypervisor paused notices nothing. Beats, renewals and grants are late, and in the worst order.
"""

import math
from dataclasses import dataclass, field

from lease_model import DRIFT, TICK, Model

LEASE = 5.0
SHARE = 0.95
LATE = (0.0, 0.0, 0.25, 0.25, 2.0, 6.0)


@dataclass
class Server:
    """`heard` is when the newest beat it knows was sent, by the host's clock; `inbox` what has not reached it yet."""

    number: int
    rate: float
    link: bool = True
    stopped_until: float = 0.0
    lost_time: float = 0.0
    owns: bool = False
    until: float = 0.0
    heard: float = -math.inf
    heard_at: float = 0.0
    next_renewal: float = 0.0
    inbox: list[tuple[float, float]] = field(default_factory=list)
    answers: list[tuple[float, float, float]] = field(default_factory=list)

    def clock(self, now: float) -> float:
        return (now - self.lost_time) * self.rate


class TwoOwners(Model):
    """`rule` is what a grant waits for: a "renewal" asked for after its beat was heard, the owner's own "clock", or
    "nothing". `from_takeover`: whether a new owner counts from its takeover. `from_sent`: whether a grant counts from
    when its beat was sent.
    """

    def __init__(self, seed: int, rule: str = "renewal", from_takeover: bool = True, from_sent: bool = True) -> None:
        super().__init__(seed)
        self.rule, self.from_takeover, self.from_sent = rule, from_takeover, from_sent
        self.malice, self.cut_at = "", math.inf
        rates = (1 + self.chance.uniform(-DRIFT, DRIFT) for _ in range(2))
        self.servers = [Server(number, rate) for number, rate in enumerate(rates)]
        self.holder: Server | None = None
        self.holder_until = 0.0
        self.asked: list[tuple[float, Server, float, float]] = []
        self.takeovers = self.given = 0
        # Chance seldom stops the owner just when it matters: most hosts live by grants alone from some time on, and
        # soon after lose their owner, or find that only the one before it hears them.
        self.former: Server | None = None
        self.strike_at = self.chance.uniform(4.0, 8.0) if seed % 4 else math.inf
        self.stop_at = self.strike_at + self.chance.uniform(8.0, 30.0)
        self.stop_for = self.chance.uniform(9.0, 15.0) if seed % 4 > 1 else 0.0

    # --- the world -------------------------------------------------------------------------------------------------

    def _world(self) -> None:
        super()._world()
        chance, now = self.chance, self.now
        for server in self.servers:
            if chance.random() < (0.01 if server.link else 0.03):
                server.link = not server.link
            if chance.random() < 0.003:
                self._stop(server, chance.choice((1.0, 6.0, 12.0, 30.0)), frozen=chance.random() < 0.5)
        if self.strike_at <= now < self.strike_at + TICK:
            self._run_a_vm()
        if now >= self.strike_at:
            self.path.update({("host", pool): False for pool in self.pools})
            self.path.update({("reader", pool): True for pool in self.pools})
            self.frozen_until = 0.0
            self.link = True
        if self.holder is not None and self.stop_at <= now < self.stop_at + TICK:
            self._stop(self.holder, self.stop_for, frozen=True)
            self.former = self.holder
        if now >= self.stop_at:
            for server in self.servers:
                server.link = server is self.former and now < self.stop_at + self.stop_for + LEASE
        for server in self.servers:
            if now >= server.stopped_until:
                self._serve(server)
        self._coordinate()

    def _vms(self, clock: float) -> None:
        if self.now < self.strike_at:
            super()._vms(clock)

    def _stop(self, server: Server, seconds: float, frozen: bool) -> None:
        if self.now < server.stopped_until:
            return
        server.stopped_until = self.now + seconds
        if frozen:
            server.lost_time += seconds

    # --- servers and coordinator -----------------------------------------------------------------------------------

    def _talk(self, clock: float) -> None:
        self.armed_seen = True
        for server in self.servers:
            if server.link:
                server.inbox.append((self.now + self.chance.choice(LATE), clock))

    def _serve(self, server: Server) -> None:
        """One turn: what came in, then what is due."""
        now, clock = self.now, server.clock(self.now)
        for answer in [one for one in server.answers if one[0] <= now]:
            server.answers.remove(answer)
            _, asked_at, heard = answer
            # An answer that comes after the lease ended by the server's own clock is of no use any more.
            if server.owns and (clock < server.until or server.until == 0.0):
                server.until = asked_at + LEASE * SHARE
                if self.rule == "renewal" and heard > -math.inf:
                    self._grant(heard)
        if server.owns and server.until and clock >= server.until:
            server.owns = False
        for beat in [one for one in server.inbox if one[0] <= now]:
            server.inbox.remove(beat)
            if server.owns and beat[1] > server.heard:
                server.heard, server.heard_at = beat[1], clock
                if self.rule == "nothing" or (self.rule == "clock" and clock < server.until):
                    self._grant(beat[1])
        if clock >= server.next_renewal:
            server.next_renewal = clock + 1.0
            self.asked.append((now + self.chance.choice(LATE[:4]), server, clock, server.heard))

    def _grant(self, sent: float) -> None:
        self.given += 1
        late = self.now + self.chance.choice((0.25, 0.25, 4.0, 15.0))
        self.grants.append((sent if self.from_sent else late * self.host_rate, late))

    def _coordinate(self) -> None:
        """Renewals and claims, in true time: a claim is free once its holder's lease is over."""
        for one in [one for one in self.asked if one[0] <= self.now]:
            self.asked.remove(one)
            _, server, asked_at, heard = one
            if self.holder is server and self.now < self.holder_until:
                self.holder_until = self.now + LEASE
                server.answers.append((self.now + self.chance.choice(LATE[:4]), asked_at, heard))
            elif (self.holder is None or self.now >= self.holder_until) and self.now >= server.stopped_until:
                self._take_over(server)

    def _take_over(self, server: Server) -> None:
        self.holder, self.holder_until = server, self.now + LEASE
        server.owns, server.until, server.answers = True, 0.0, []
        server.heard = -math.inf
        server.heard_at = server.clock(self.now) if self.from_takeover else -math.inf
        self.takeovers += 1

    def _ungranted(self) -> float:
        """Only the owner judges, and only while it runs."""
        server = self.holder
        if server is None or not server.owns or self.now < server.stopped_until:
            return 0.0
        return server.clock(self.now) - server.heard_at
