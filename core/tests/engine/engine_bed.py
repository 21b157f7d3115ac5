"""The bed on which one host is driven step by step: every step is checked by the `RuleWatch` and for purity."""

from collections.abc import Callable
from math import inf
from typing import Any

from holdfast.engine import host as engine
from holdfast.engine.brake import Domain
from holdfast.engine.incident import (
    ActivitySeen,
    Alarm,
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    Decision,
    Declared,
    HealthSeen,
    Heard,
    HostHa,
    Judged,
    Moved,
    Observation,
    PowerRead,
    Prepare,
    Prepared,
    Proven,
    ReadPower,
    Recover,
    RecoverDone,
    Silent,
    Stage,
    Switched,
    Tick,
)
from holdfast.engine.policy import HostPolicy, host_policy
from holdfast.engine.resumption import resume
from holdfast.engine.rule_watch import RuleWatch
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAState, Opinion
from holdfast.settings import Settings

HOST = "host-1"
ASKS = (AskHealth, AskActivity, Recover, Prepare, CutPower, ReadPower)
STORM = (Domain("cluster c1", 10, 6),)
CALM = (Domain("cluster c1", 10, 1),)
_DEFAULTS = host_policy(Settings())


class RuleBroken(AssertionError):
    """A step broke a safety rule; `rule` is the first broken one, as `S<n>: what is wrong`."""

    def __init__(self, rule: str, context: str = "") -> None:
        super().__init__(f"{rule}\n{context}")
        self.rule = rule


def policy(**changes: Any) -> HostPolicy:
    """The policy of the default settings, with some numbers changed."""
    return _DEFAULTS._replace(**changes)


def link(opinion: Opinion, at: float, **more: Any) -> Evidence:
    """A word about the management link."""
    return Evidence(Kind.LINK, HOST, opinion, "manager", at, f"link {opinion}", **more)


def power(opinion: Opinion, at: float, source: str = "bmc-1", **more: Any) -> Evidence:
    """A chassis reading."""
    return Evidence(Kind.POWER, HOST, opinion, source, at, f"chassis {opinion}", **more)


def beat(opinion: Opinion, at: float, pool: str = "p1", lasting: float = 5.0, **more: Any) -> Evidence:
    """A reading of a pool's storage heartbeat."""
    return Evidence(Kind.HEARTBEAT, HOST, opinion, "neighbour", at, f"{pool} {opinion}", 60.0, pool, lasting, **more)


def ungranted(at: float, lasting: float = 99.0, opinion: Opinion = Opinion.DEAD, **more: Any) -> Evidence:
    """For how long no owner can have granted the host life."""
    return Evidence(Kind.GRANT, HOST, opinion, "manager", at, "no grant", lasting=lasting, **more)


def declaration(at: float) -> Evidence:
    """An admin's word."""
    return Evidence(Kind.ADMIN, HOST, Opinion.DEAD, "admin", at, "declared dead by admin")


class Bed:
    """One host, its time, its policy, and what is in flight for it."""

    def __init__(
        self,
        numbers: HostPolicy | None = None,
        *,
        resumed: tuple[HAState | None, dict[str, Any]] | None = None,
        poll_every: float = 0.0,
        now: float = 1000.0,
    ) -> None:
        self.policy = numbers or policy()
        self.now = now
        self.domains: tuple[Domain, ...] = CALM
        self.log: list[Decision] = []
        self.last: tuple[Decision, ...] = ()
        self.in_flight: dict[type, int] = {}
        host, decisions = HostHa(HOST, since=now), ()
        if resumed is not None:
            host, decisions = resume(HOST, resumed[0], resumed[1], now, self.policy)
        self.host = host._replace(poll_every=poll_every)
        self.watch = RuleWatch(self.host, decisions)
        self._note(decisions)

    def _note(self, decisions: tuple[Decision, ...]) -> None:
        self.last = decisions
        self.log.extend(decisions)
        for decision in decisions:
            if isinstance(decision, ASKS):
                self.in_flight[type(decision)] = decision.token

    def tell(self, observation: Observation) -> tuple[Decision, ...]:
        """One step; raises `RuleBroken` if a rule is broken or the step is not pure."""
        before = self.host
        copy = HostHa(*before)
        after, decisions = engine.step(before, observation, self.now, self.policy, self.domains)
        again = engine.step(copy, observation, self.now, self.policy, self.domains)
        if (after, decisions) != again or before != copy:
            raise RuleBroken("purity: the same step twice differs, or changed its input", str(observation))
        broken = self.watch.saw(
            before, observation, self.now, self.policy, domains=self.domains, after=after, decisions=decisions
        )
        if broken:
            raise RuleBroken(broken[0], f"{broken} on {observation} at {before}, which became {after} with {decisions}")
        if after.token != before.token:
            self.in_flight = {}
        self.host = after
        self._note(decisions)
        return decisions

    # --- time ------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ticks until nothing more is due now; a state that never rests here is a busy loop."""
        for _ in range(4):
            self.tell(Tick())
            if engine.next_due(self.host) > self.now or self.in_flight:
                return
        raise RuleBroken("busy loop: a tick leaves it due at once", str(self.host))

    def advance(self, seconds: float) -> None:
        """Let time pass, then tick."""
        self.now += seconds
        self.tick()

    def to_due(self) -> bool:
        """Go to the moment the host waits for; False if it waits for none."""
        due = engine.next_due(self.host)
        if due == inf:
            return False
        self.now = max(self.now, due)
        self.tick()
        return True

    # --- answers to what is in flight ------------------------------------------------------------------------------

    def answer(self, kind: type, *content: Any) -> tuple[Decision, ...]:
        """Answer what the engine asked for; a KeyError means that it did not."""
        token = self.in_flight.pop(kind)
        make: dict[type, Callable[..., Observation]] = {
            AskHealth: HealthSeen,
            AskActivity: ActivitySeen,
            Recover: RecoverDone,
            Prepare: Prepared,
            CutPower: CutDone,
            ReadPower: PowerRead,
        }
        return self.tell(make[kind](token, *content))

    def health(self, chassis: Opinion = Opinion.ALIVE, word: Opinion = Opinion.DEAD) -> tuple[Decision, ...]:
        """A health check ends: what the link and the chassis say."""
        return self.answer(AskHealth, (link(word, self.now), power(chassis, self.now)))

    def activity(self, *opinions: Opinion, lasting: float = 5.0, granted: float = inf) -> tuple[Decision, ...]:
        """An activity check ends: one opinion per pool. `granted` seconds ago an owner granted the host life."""
        pools = tuple(beat(o, self.now, f"p{n}", lasting) for n, o in enumerate(opinions, 1))
        return self.answer(AskActivity, (*pools, ungranted(self.now, min(lasting, granted))))

    def read(self, opinion: Opinion) -> tuple[Decision, ...]:
        """A read-back ends."""
        return self.answer(ReadPower, power(opinion, self.now))

    # --- stretches of a timeline -----------------------------------------------------------------------------------

    def enable(self) -> "Bed":
        """HA on, host healthy."""
        self.tell(Switched(True))
        return self

    def fall_silent(self) -> "Bed":
        """Available to Checking, with both checks in flight."""
        self.tell(Silent(link(Opinion.DEAD, self.now)))
        self.tick()
        return self

    def lose_power(self) -> "Bed":
        """Silent, and the BMC reads OFF often enough: Fencing, Prepare in flight."""
        self.fall_silent()
        for _ in range(self.policy.off_needed):
            if AskHealth not in self.in_flight:
                self.advance(self.policy.power_interval)
            self.health(Opinion.DEAD)
        return self

    def hang(self, pools: int = 2) -> "Bed":
        """Silent, powered, and every pool dead often enough."""
        self.fall_silent()
        for _ in range(self.policy.dead_needed):
            if AskActivity not in self.in_flight:
                self.advance(self.policy.activity_interval)
            self.activity(*[Opinion.DEAD] * pools)
        return self

    def declare(self) -> tuple[Decision, ...]:
        """An admin declares the host dead."""
        return self.tell(Declared(declaration(self.now)))

    def listen(self) -> None:
        """Let a fence that was taken over listen, then give it the sign of death that it looks for."""
        if CutPower not in self.in_flight and self.host.fence is not None and self.host.fence.next_at > self.now:
            self.advance(self.host.fence.next_at - self.now)
        self.witness()

    def witness(self) -> None:
        """If a fence looks for a fresh sign of death before it cuts, let it read the chassis OFF."""
        if self.host.fence is not None and self.host.fence.stage is Stage.LOOKING:
            self.read(Opinion.DEAD)

    def answer_pools_until_cut(self, *opinions: Opinion, lasting: float = 5.0) -> None:
        """Let time pass until the next cut is sent, answering the activity checks meanwhile."""
        while CutPower not in self.in_flight:
            if AskActivity in self.in_flight:
                self.activity(*opinions, lasting=lasting)
            assert self.to_due()
            self.witness()

    def cut(self, accepted: bool = True, detail: str = "") -> "Bed":
        """From Prepare in flight to the answered cut, its first read-back in flight."""
        self.answer(Prepare)
        self.listen()
        self.answer(CutPower, accepted, detail)
        return self

    def read_off(self) -> "Bed":
        """As many OFF read-backs as prove it."""
        for _ in range(self.policy.fence_off_needed):
            if ReadPower not in self.in_flight:
                self.advance(self.policy.power_interval)
            self.read(Opinion.DEAD)
        return self

    # --- what was decided ------------------------------------------------------------------------------------------

    def moves(self) -> list[str]:
        """The states gone through since the start."""
        return [str(decision.target) for decision in self.log if isinstance(decision, Moved)]

    def all(self, kind: type) -> list[Any]:
        """Every decision of one kind so far."""
        return [decision for decision in self.log if type(decision) is kind]

    def alarms(self) -> list[str]:
        """The names of the alarms so far."""
        return [alarm.name for alarm in self.all(Alarm)]

    def proof(self) -> Any:
        """The one proof so far."""
        (proven,) = self.all(Proven)
        return proven.proof


def in_state(state: HAState) -> Bed:
    """A host with an armed watchdog, brought to that state by what it takes to get there."""
    bed = Bed(policy(recovery_attempts=1, alive_needed=1)).enable()
    bed.tell(Heard(armed=True))
    if state is HAState.DISABLED:
        bed.tell(Switched(False))
    elif state is HAState.INELIGIBLE:
        bed.tell(Judged(False, "no neighbour"))
    elif state is HAState.FENCED:
        bed.lose_power().cut().read_off()
    elif state is HAState.FENCING:
        bed.lose_power()
    elif state in (HAState.RECOVERING, HAState.RECOVERED):
        bed.hang()
        if state is HAState.RECOVERED:
            bed.answer(Recover, True)
    elif state is not HAState.AVAILABLE:
        bed.fall_silent()
        if state is HAState.SUSPECT:
            bed.activity(Opinion.UNKNOWN)
        elif state is HAState.DEGRADED:
            bed.activity(Opinion.ALIVE)
    assert bed.host.state is state
    return bed
