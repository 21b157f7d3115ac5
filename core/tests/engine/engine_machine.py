"""A Hypothesis state machine that tells one host anything at all, in any order; the bed checks the rules."""

from math import inf
from random import Random
from typing import Any

from engine_bed import CALM, HOST, STORM, Bed, RuleBroken, beat, declaration, link, policy, power, ungranted
from engine_walk import Walk
from holdfast.engine.brake import Domain
from holdfast.engine.host import next_due
from holdfast.engine.incident import (
    ActivitySeen,
    AskActivity,
    AskHealth,
    CutDone,
    CutPower,
    Declared,
    HealthSeen,
    Heard,
    Judged,
    PowerRead,
    Prepare,
    Prepared,
    ReadPower,
    Recover,
    RecoverDone,
    Silent,
    Switched,
)
from holdfast.model.evidence import Evidence, Kind
from holdfast.model.states import HAState, Opinion
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

OPINION_MENU = (Opinion.DEAD, Opinion.DEAD, Opinion.ALIVE, Opinion.UNKNOWN)
AGE_MENU = (0.0, 0.0, 0.0, 0.0, 5.0, 59.0, 61.0, -0.5, -3600.0)
LASTING_MENU = (0.0, 3.9, 4.1, 24.0, 26.0, 1000.0)
STEP_MENU = (0.0, 0.05, 0.25, 0.5, 1.0, 5.0, 11.0, 60.0, 400.0)
DOMAIN_MENU: tuple[tuple[Domain, ...], ...] = (
    (), CALM, STORM, (*CALM, Domain("zone z1", 1000, 301)), (Domain("c", 0, 0),)
)  # fmt: skip
NUMBER_MENUS: dict[str, tuple[Any, ...]] = {
    "recovery_attempts": (0, 0, 2),
    "dead_needed": (1, 2, 3),
    "alive_needed": (1, 3),
    "off_needed": (2, 3),
    "fence_off_needed": (2, 3),
    "fence_max_attempts": (1, 3),
    "power_check": (False, True),
    "power_on_after_fence": (False, True),
    "degraded_max": (1.0, 300.0),
}
MEMORY_KEYS = ("recoveries", "armed", "fence", "other")
FENCE_KEYS = ("cause", "attempt", "problem")

OPINIONS = st.sampled_from(OPINION_MENU)
AGES = st.sampled_from(AGE_MENU)
LASTING = st.sampled_from(LASTING_MENU)
SEEDS = st.integers(0, 2**16)
STEPS = st.sampled_from(STEP_MENU)
NUMBERS = st.builds(policy, **{name: st.sampled_from(menu) for name, menu in NUMBER_MENUS.items()})
GARBAGE: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(MEMORY_KEYS),
    st.one_of(
        st.none(),
        st.integers(-3, 10**12),
        st.text(max_size=3),
        st.lists(st.integers(), max_size=2),
        st.dictionaries(
            st.sampled_from(FENCE_KEYS),
            st.one_of(st.none(), st.integers(-3, 10), st.sampled_from(["PowerOffConfirmed", "LeaseExpired", "?"])),
        ),
    ),
)


class EngineMachine(RuleBasedStateMachine):
    """One host under any sequence of observations. Violations surface as `RuleBroken` from the bed."""

    def __init__(self) -> None:
        super().__init__()
        self.walk = Walk(Random(0))

    @property
    def bed(self) -> Bed:
        """The bed in use."""
        return self.walk.bed

    @initialize(seed=SEEDS, numbers=NUMBERS)
    def begin(self, seed: int, numbers: Any) -> None:
        self.walk = Walk(Random(seed))
        self.bed.policy = numbers

    @rule(seed=SEEDS, strides=st.integers(1, 30))
    def the_world_goes_on(self, seed: int, strides: int) -> None:
        self.walk.chance = Random(seed)
        for _ in range(strides):
            self.walk.stride()

    # --- anything may be told at any time ----------------------------------------------------------------------------

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.bed.advance(seconds)

    @rule()
    def due_moment_comes(self) -> None:
        self.bed.to_due()

    @rule(armed=st.booleans())
    def agent_speaks(self, armed: bool) -> None:
        self.bed.tell(Heard(armed))

    @rule(age=AGES)
    def link_falls_silent(self, age: float) -> None:
        self.bed.tell(Silent(link(Opinion.DEAD, self.bed.now - age)))

    @rule(on=st.sampled_from([True, True, True, False]))
    def switch_turns(self, on: bool) -> None:
        self.bed.tell(Switched(on))

    @rule(eligible=st.sampled_from([True, True, False]), deliberate=st.booleans(), maintenance=st.booleans())
    def provider_judges(self, eligible: bool, deliberate: bool, maintenance: bool) -> None:
        self.bed.tell(Judged(eligible, "because", deliberate, maintenance))

    @rule()
    def admin_declares_it_dead(self) -> None:
        self.bed.tell(Declared(declaration(self.bed.now)))

    @rule(domains=st.sampled_from(DOMAIN_MENU))
    def census_changes(self, domains: tuple[Domain, ...]) -> None:
        self.bed.domains = domains

    @rule(back=st.integers(-1, 3), which=st.integers(0, 5), opinion=OPINIONS)
    def answer_comes_that_may_be_stale(self, back: int, which: int, opinion: Opinion) -> None:
        token, now = self.bed.host.token - back, self.bed.now
        pieces = (link(opinion, now), power(opinion, now))
        observation = (
            HealthSeen(token, pieces),
            ActivitySeen(token, (beat(opinion, now), ungranted(now))),
            RecoverDone(token, opinion is Opinion.ALIVE),
            Prepared(token),
            CutDone(token, True),
            PowerRead(token, power(opinion, now)),
        )[which]
        asked = (AskHealth, AskActivity, Recover, Prepare, CutPower, ReadPower)[which]
        if self.bed.in_flight.get(asked) == token:
            del self.bed.in_flight[asked]
        self.bed.tell(observation)

    # --- what is in flight is answered, well or badly ----------------------------------------------------------------

    def _asked(self, kind: type) -> bool:
        return kind in self.bed.in_flight

    @precondition(lambda self: self._asked(AskHealth))
    @rule(word=OPINIONS, chassis=st.lists(OPINIONS, max_size=2), age=AGES, scripted=st.booleans())
    def health_check_ends(self, word: Opinion, chassis: list[Opinion], age: float, scripted: bool) -> None:
        at = self.bed.now - age
        first = Evidence(Kind.AGENT, HOST, word, "script", at) if scripted else link(word, at)
        pieces = tuple(power(opinion, at, f"bmc-{n}") for n, opinion in enumerate(chassis))
        self.bed.answer(AskHealth, (first, *pieces))

    @precondition(lambda self: self._asked(AskActivity))
    @rule(
        pools=st.lists(OPINIONS, max_size=3),
        age=AGES,
        lasting=LASTING,
        written=st.sampled_from([None, *Opinion]),
        granted=st.one_of(st.none(), st.tuples(OPINIONS, LASTING)),
    )
    def activity_check_ends(
        self,
        pools: list[Opinion],
        age: float,
        lasting: float,
        written: Opinion | None,
        granted: tuple[Opinion, float] | None,
    ) -> None:
        at = self.bed.now - age
        beats = tuple(beat(opinion, at, f"p{n}", lasting) for n, opinion in enumerate(pools))
        disks = () if written is None else (Evidence(Kind.ACTIVITY, HOST, written, "neighbour", at, pool="p0"),)
        grants = () if granted is None else (ungranted(at, granted[1], granted[0]),)
        self.bed.answer(AskActivity, beats + disks + grants)

    @precondition(lambda self: self._asked(Recover))
    @rule(accepted=st.booleans())
    def recovery_ends(self, accepted: bool) -> None:
        self.bed.answer(Recover, accepted, "the BMC says so")

    @precondition(lambda self: self._asked(Prepare))
    @rule()
    def quarantine_is_stored(self) -> None:
        self.bed.answer(Prepare)

    @precondition(lambda self: self._asked(CutPower))
    @rule(accepted=st.booleans())
    def cut_is_answered(self, accepted: bool) -> None:
        self.bed.answer(CutPower, accepted, "" if accepted else "refused")

    @precondition(lambda self: self._asked(ReadPower))
    @rule(opinion=OPINIONS, age=AGES)
    def power_is_read_back(self, opinion: Opinion, age: float) -> None:
        self.bed.answer(ReadPower, power(opinion, self.bed.now - age))

    # --- a crash at any instant --------------------------------------------------------------------------------------

    @rule(
        state=st.sampled_from([None, *HAState]),
        garbage=GARBAGE,
        numbers=NUMBERS,
        poll_every=st.sampled_from([0.0, 2.0]),
    )
    def another_server_takes_over(self, state: HAState | None, garbage: Any, numbers: Any, poll_every: float) -> None:
        self.walk.bed = Bed(numbers, resumed=(state, garbage), poll_every=poll_every, now=self.bed.now)

    # --- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def it_is_never_due_in_no_time(self) -> None:
        if next_due(self.bed.host) != next_due(self.bed.host):
            raise RuleBroken("the due moment is not a number")

    @invariant()
    def counters_stay_whole(self) -> None:
        host = self.bed.host
        if host.recoveries < 0 or host.token < 0 or host.since == inf:
            raise RuleBroken(f"a counter went astray: {host}")
