"""The safety rules as properties of the engine: any observations, in any order, at any time (S2-S5, S7, S8, S10)."""

import pytest
from engine_bed import Bed
from engine_chance import tell
from engine_machine import GARBAGE, NUMBERS, EngineMachine
from engine_walk import live
from holdfast.engine.incident import Moved, Proven
from holdfast.engine.policy import HostPolicy
from holdfast.engine.resumption import memory
from holdfast.model.evidence import ProofKind
from holdfast.model.states import HAState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

_QUICK = settings(max_examples=100, stateful_step_count=40, deadline=None)
_LONG = settings(max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))


def test_no_life_of_a_host_breaks_a_rule() -> None:
    """Six hundred lives of two hundred strides keep every rule, and between them reach every state and proof."""
    states, proofs = set(), set()
    for seed in range(600):
        log = live(seed, 200).bed.log
        states |= {decision.target for decision in log if isinstance(decision, Moved)}
        proofs |= {decision.proof.kind for decision in log if isinstance(decision, Proven)}
    assert states == set(HAState)
    assert proofs == {ProofKind.CHASSIS_OFF, ProofKind.LEASE_EXPIRED, ProofKind.DECLARED_DEAD}


def test_no_sequence_of_observations_breaks_a_rule() -> None:
    """A hundred sequences of anything at all, takeovers with garbage in memory included, keep every rule."""
    run_state_machine_as_test(EngineMachine, settings=_QUICK)  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_no_long_sequence_of_observations_breaks_a_rule() -> None:
    """The same twice as often with longer sequences, and five times as many lives."""
    run_state_machine_as_test(EngineMachine, settings=_LONG)  # type: ignore[no-untyped-call]
    for seed in range(1000, 4000):
        live(seed, 200)


@pytest.mark.slow
def test_no_sequence_by_chance_breaks_a_rule() -> None:
    """Two thousand sequences more of the same, with every state and every proof among them."""
    states, proofs = set(), set()
    for seed in range(2000):
        log = tell(seed, 60).bed.log
        states |= {decision.target for decision in log if isinstance(decision, Moved)}
        proofs |= {decision.proof.kind for decision in log if isinstance(decision, Proven)}
    assert states == set(HAState)
    assert proofs == {ProofKind.CHASSIS_OFF, ProofKind.LEASE_EXPIRED, ProofKind.DECLARED_DEAD}


@settings(deadline=None)
@given(st.sampled_from([None, *HAState]), GARBAGE, NUMBERS)
def test_any_memory_can_be_resumed(state: HAState | None, garbage: dict[str, object], numbers: HostPolicy) -> None:
    """Memory written by nobody knows whom is read without an error, and what is remembered of it is stable."""
    kept = memory(Bed(numbers, resumed=(state, garbage)).host)
    again = Bed(numbers, resumed=(state, kept))
    assert memory(again.host) == kept
