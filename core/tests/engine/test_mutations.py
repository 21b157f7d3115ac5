"""Plants a violation of each rule in the engine and shows that the properties catch it.

A property that nothing can break proves nothing. Each mutant names the rule whose watch has to speak.
"""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from engine_bed import RuleBroken, ungranted
from engine_walk import live
from holdfast.engine import fencing, host, permits, verdict
from holdfast.engine.brake import Domain
from holdfast.engine.incident import (
    ActivitySeen,
    Alarm,
    CutDone,
    HealthSeen,
    HostHa,
    PowerRead,
    Prepared,
    Proven,
    RecoverDone,
    Release,
    Silent,
    Stage,
    Step,
)
from holdfast.engine.policy import HostPolicy
from holdfast.model.evidence import Evidence, Kind, ProofKind, Verdict
from holdfast.model.states import HAEvent, Opinion
from permit_life import TwoRuns, permit_life

Plant = Callable[[pytest.MonkeyPatch], None]
MUTANTS: list[Any] = []
SEEDS, STRIDES = 1500, 200


def mutant(rule: str) -> Callable[[Plant], Plant]:
    """Register a mutation, with the beginning of what the watch has to say of it."""

    def register(plant: Plant) -> Plant:
        MUTANTS.append(pytest.param(rule, plant, id=plant.__name__))
        return plant

    return register


def handler(patch: pytest.MonkeyPatch, kind: type, change: Callable[..., Step]) -> None:
    """Replace how one kind of observation is handled; `change` is given the real handler first."""
    real = host._HANDLERS[kind]
    patch.setitem(host._HANDLERS, kind, lambda *given: change(real, *given))


def dropping(real: Callable[..., Step], kind: type) -> Callable[..., Step]:
    """The same step without its decisions of one kind."""

    def mutated(*given: Any) -> Step:
        after, decisions = real(*given)
        return after, tuple(decision for decision in decisions if type(decision) is not kind)

    return mutated


# --- S1, S2: what counts as proof, and unknown is never dead ---------------------------------------------------------


@mutant("S1")
def lease_needs_no_armed_watchdog(patch: pytest.MonkeyPatch) -> None:
    def change(real: Any, record: HostHa, *rest: Any) -> Step:
        after, decisions = real(record._replace(armed=True), *rest)
        return after._replace(armed=record.armed), decisions

    handler(patch, ActivitySeen, change)


@mutant("S1")
def fenced_without_a_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fencing, "prove", dropping(fencing.prove, Proven))


@mutant("S1")
def disk_activity_does_not_contradict_a_lease(patch: pytest.MonkeyPatch) -> None:
    real = verdict.lease_expired

    def only_beats(evidence: Any, now: float, needed: float) -> bool:
        return real([piece for piece in evidence if piece.opinion is not Opinion.ALIVE], now, needed)

    patch.setattr(verdict, "lease_expired", only_beats)


@mutant("S1")
def owners_grants_do_not_delay_a_lease_proof(patch: pytest.MonkeyPatch) -> None:
    real = verdict.lease_expired

    def only_pools(evidence: Any, now: float, needed: float) -> bool:
        pools = [piece for piece in evidence if piece.kind is not Kind.GRANT]
        return real([*pools, ungranted(now)], now, needed)

    patch.setattr(verdict, "lease_expired", only_pools)


@mutant("S4")
def unknown_storage_counts_as_dead(patch: pytest.MonkeyPatch) -> None:
    real = verdict.activity

    def mutated(evidence: Any, now: float) -> Verdict:
        found = real(evidence, now)
        return Verdict(Opinion.DEAD, tuple(evidence)) if found.opinion is Opinion.UNKNOWN else found

    patch.setattr(verdict, "activity", mutated)


@mutant("S4")
def unknown_power_counts_as_off(patch: pytest.MonkeyPatch) -> None:
    real = verdict.power

    def mutated(evidence: Any, now: float) -> Any:
        opinion, pieces = real(evidence, now)
        return (Opinion.DEAD if opinion is Opinion.UNKNOWN else opinion), pieces

    patch.setattr(verdict, "power", mutated)


@mutant("S[134]")
def stale_and_future_evidence_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Evidence, "read_at", lambda piece, now: piece.opinion)


@mutant("S4")
def unknown_does_not_break_a_run(patch: pytest.MonkeyPatch) -> None:
    real = host._counted

    def mutated(samples: Any, opinion: Opinion) -> Any:
        return samples if opinion is Opinion.UNKNOWN else real(samples, opinion)

    patch.setattr(host, "_counted", mutated)


# --- S3: only consecutive read-backs prove ---------------------------------------------------------------------------


@mutant("S3")
def acceptance_is_proof(patch: pytest.MonkeyPatch) -> None:
    def change(real: Any, record: HostHa, seen: CutDone, now: float, policy: HostPolicy, domains: Any) -> Step:
        if seen.accepted and record.fence is not None and record.fence.stage is Stage.CUTTING:
            return fencing.prove(record, ProofKind.CHASSIS_OFF, now, record.fence.reads, policy)
        return real(record, seen, now, policy, domains)  # type: ignore[no-any-return]

    handler(patch, CutDone, change)


@mutant("S3")
def one_read_back_is_enough(patch: pytest.MonkeyPatch) -> None:
    real = fencing.power_read

    def mutated(record: HostHa, evidence: Evidence, now: float, policy: HostPolicy) -> Step:
        return real(record, evidence, now, policy._replace(fence_off_needed=1))

    patch.setattr(fencing, "power_read", mutated)


@mutant("S3")
def read_backs_need_not_be_consecutive(patch: pytest.MonkeyPatch) -> None:
    real = fencing.power_read

    def mutated(record: HostHa, evidence: Evidence, now: float, policy: HostPolicy) -> Step:
        after, decisions = real(record, evidence, now, policy)
        if after.fence is not None and record.fence is not None and after.fence.stage is Stage.READING:
            most = max(after.fence.off_reads, record.fence.off_reads)
            after = after._replace(fence=after.fence._replace(off_reads=most))
        return after, decisions

    patch.setattr(fencing, "power_read", mutated)


@mutant("S3")
def read_backs_of_an_earlier_attempt_count(patch: pytest.MonkeyPatch) -> None:
    real = fencing._cut

    def mutated(record: HostHa, *rest: Any) -> Step:
        after, decisions = real(record, *rest)
        assert after.fence is not None
        return after._replace(fence=after.fence._replace(off_reads=2)), decisions

    patch.setattr(fencing, "_cut", mutated)


# --- S4: two witnesses -----------------------------------------------------------------------------------------------


@mutant("S4")
def one_pool_condemns(patch: pytest.MonkeyPatch) -> None:
    def mutated(evidence: Any, now: float) -> Verdict:
        dead = tuple(piece for piece in evidence if piece.read_at(now) is Opinion.DEAD)
        return Verdict(Opinion.DEAD if dead else Opinion.UNKNOWN, dead)

    patch.setattr(verdict, "activity", mutated)


@mutant("S4")
def the_link_alone_condemns(patch: pytest.MonkeyPatch) -> None:
    def change(real: Any, record: HostHa, seen: Silent, now: float, *rest: Any) -> Step:
        return fencing.begin(record._replace(silent=True), HAEvent.POWER_OFF_CONFIRMED, now, "", (seen.evidence,))

    handler(patch, Silent, change)


@mutant("S[14]")
def the_pools_alone_condemn(patch: pytest.MonkeyPatch) -> None:
    def change(real: Any, record: HostHa, *rest: Any) -> Step:
        after, decisions = real(record._replace(silent=True), *rest)
        return after._replace(silent=record.silent), decisions

    handler(patch, ActivitySeen, change)


@mutant("S4")
def one_off_reading_confirms(patch: pytest.MonkeyPatch) -> None:
    def change(real: Any, record: HostHa, seen: Any, now: float, policy: HostPolicy, domains: Any) -> Step:
        return real(record, seen, now, policy._replace(off_needed=1), domains)  # type: ignore[no-any-return]

    handler(patch, HealthSeen, change)


@mutant("S4")
def signs_of_life_do_not_end_a_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fencing, "survived", lambda record, *rest: (record, ()))


# --- S5: results of an older generation ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [HealthSeen, ActivitySeen, RecoverDone, Prepared, CutDone, PowerRead])
def test_a_stale_answer_taken_for_a_fresh_one_is_caught(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S5: whichever answer the engine stopped checking, some life shows the effect of one that nothing asked for."""

    def change(real: Any, record: HostHa, seen: Any, *rest: Any) -> Step:
        busy = record._replace(health_busy=True, activity_busy=True, action_busy=True)
        return real(busy, seen._replace(token=record.token), *rest)  # type: ignore[no-any-return]

    handler(monkeypatch, kind, change)
    assert first_violation().startswith("S5: ")


# --- S7: the brake ---------------------------------------------------------------------------------------------------


@mutant("S7")
def the_brake_is_ignored(patch: pytest.MonkeyPatch) -> None:
    for module in (host, fencing):
        patch.setattr(module, "held", lambda domains, policy: "")


@mutant("S7")
def the_brake_counts_each_domain_as_larger(patch: pytest.MonkeyPatch) -> None:
    real = fencing.held

    def mutated(domains: tuple[Domain, ...], policy: HostPolicy) -> str:
        return real(tuple(domain._replace(silent=domain.silent - 4) for domain in domains), policy)

    for module in (host, fencing):
        patch.setattr(module, "held", mutated)


# --- S8: written down, quarantined, listed, then cut -----------------------------------------------------------------


@mutant("S[48]")
def power_is_cut_before_it_is_prepared(patch: pytest.MonkeyPatch) -> None:
    real = fencing.begin

    def mutated(record: HostHa, cause: HAEvent, now: float, *rest: Any) -> Step:
        after, decisions = real(record, cause, now, *rest)
        if decisions and after.fence is not None:
            after = after._replace(fence=after.fence._replace(stage=Stage.READY, next_at=now))
        return after, decisions

    patch.setattr(fencing, "begin", mutated)


@mutant("S8")
def a_declaration_does_not_wait_for_the_quarantine(patch: pytest.MonkeyPatch) -> None:
    real = fencing.declared

    def mutated(record: HostHa, now: float, evidence: Evidence, policy: HostPolicy) -> Step:
        if record.fence is not None:
            return fencing.prove(record, ProofKind.DECLARED_DEAD, now, (evidence,), policy)
        return real(record, now, evidence, policy)

    patch.setattr(fencing, "declared", mutated)


@mutant("S8")
def a_transition_is_not_stored(patch: pytest.MonkeyPatch) -> None:
    real = host.move

    def mutated(record: HostHa, event: HAEvent, *rest: Any) -> Step:
        after, decisions = real(record, event, *rest)
        return after, () if event is HAEvent.PERFORM_ACTIVITY_CHECK else decisions

    patch.setattr(host, "move", mutated)


@mutant("S8")
def a_refused_event_leaves_a_fence_behind(patch: pytest.MonkeyPatch) -> None:
    real = fencing.begin

    def mutated(record: HostHa, cause: HAEvent, *rest: Any) -> Step:
        after, decisions = real(record, cause, *rest)
        return (after, decisions) if decisions else (after._replace(fence=fencing.Fence(cause)), ())

    patch.setattr(fencing, "begin", mutated)


# --- S10: nothing is given up silently -------------------------------------------------------------------------------


@mutant("S10")
def a_failed_fence_is_given_up_silently(patch: pytest.MonkeyPatch) -> None:
    real = fencing._attempt_failed

    def mutated(record: HostHa, now: float, policy: HostPolicy, problem: str) -> Step:
        after, decisions = real(record, now, policy, problem)
        assert after.fence is not None
        never = float("inf")
        return after._replace(fence=after.fence._replace(next_at=never), activity_due=never), decisions

    patch.setattr(fencing, "_attempt_failed", mutated)


@mutant("S10")
def a_stuck_fence_raises_no_alarm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fencing, "_attempt_failed", dropping(fencing._attempt_failed, Alarm))


@mutant("S10")
def a_held_brake_raises_no_alarm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(host, "_condemn", dropping(host._condemn, Alarm))


@mutant("S10")
def a_survivor_stays_in_quarantine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fencing, "survived", dropping(fencing.survived, Release))


@mutant("S10")
def a_switched_off_host_stays_in_quarantine(patch: pytest.MonkeyPatch) -> None:
    handler(patch, host.Switched, lambda real, *given: dropping(real, Release)(*given))


# --- the frame: purity and rest --------------------------------------------------------------------------------------


@mutant("purity")
def the_engine_remembers_something(patch: pytest.MonkeyPatch) -> None:
    count = iter(range(10**9))

    def change(real: Any, record: HostHa, *rest: Any) -> Step:
        after, decisions = real(record, *rest)
        return after._replace(reason=f"step {next(count)}"), decisions

    handler(patch, ActivitySeen, change)


@mutant("busy loop")
def a_state_is_due_for_ever(patch: pytest.MonkeyPatch) -> None:
    real = host.next_due
    patch.setattr(host, "next_due", lambda record: 0.0 if record.fence is not None else real(record))


def first_violation() -> str:
    """What the watch says first in any of the lives; "" if every life passes."""
    for seed in range(SEEDS):
        try:
            live(seed, STRIDES)
        except RuleBroken as broken:
            return broken.rule
    return ""


@pytest.mark.parametrize(("rule", "plant"), MUTANTS)
def test_the_properties_catch_a_planted_violation(rule: str, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some random life breaks the rule by name once the violation is planted."""
    plant(monkeypatch)
    assert re.match(f"{rule}: ", first_violation())


@pytest.mark.parametrize(
    "covers",
    [
        pytest.param(lambda *_: True, id="anything_covers"),
        pytest.param(lambda proof, vm, permit, host: proof.kind is not ProofKind.NEVER_RAN, id="any_host_covers"),
        pytest.param(
            lambda proof, vm, permit, host: proof.subject in (host, vm), id="an_agent_report_covers_later_runs"
        ),
    ],
)
def test_a_proof_that_covers_too_much_is_caught(covers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S1: granting runs under proofs that do not speak of the earlier run ends with two live runs."""
    monkeypatch.setattr(permits, "covers", covers)
    assert any(has_two_runs(seed) for seed in range(300))


def has_two_runs(seed: int) -> bool:
    """Whether this life of a VM's permits ends with two live runs."""
    try:
        permit_life(Random(seed))
    except TwoRuns:
        return True
    return False
