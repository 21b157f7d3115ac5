"""Permits: no run is granted while an earlier one may still write (S1)."""

from random import Random

import pytest
from holdfast.engine.permits import covers, uncovered
from holdfast.model.availability import Permit
from holdfast.model.evidence import Proof, ProofKind
from holdfast.model.states import PermitState
from hypothesis import given, settings
from hypothesis import strategies as st
from permit_life import HOSTS, VM, permit_life

ABOUT_A_HOST = (ProofKind.CHASSIS_OFF, ProofKind.LEASE_EXPIRED, ProofKind.STORAGE_CUT, ProofKind.DECLARED_DEAD)


def permit(epoch: int = 1, host: int = 1, state: str = PermitState.RUNNING) -> Permit:
    """A permit of the VM."""
    return Permit(vm_id=1, run_epoch=epoch, host_id=host, state=state, proof_kind=ProofKind.NEVER_RAN)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_at_most_one_run_is_live_whatever_is_reported(seed: int) -> None:
    """Under true proofs of every kind, granting by `uncovered` never makes a second live run."""
    permit_life(Random(seed))


def test_runs_are_granted_at_all() -> None:
    """The property above is not kept by refusing everything."""
    assert sum(permit_life(Random(seed)) for seed in range(50)) > 100


@pytest.mark.parametrize("kind", ABOUT_A_HOST)
def test_a_proof_about_a_host_covers_the_runs_on_it_alone(kind: ProofKind) -> None:
    """The dead host's runs are covered; the same VM's run on another host is not."""
    assert covers(Proof(kind, "host-1", 0.0), VM, permit(host=1), "host-1")
    assert not covers(Proof(kind, "host-1", 0.0), VM, permit(host=2), "host-2")


@pytest.mark.parametrize("kind", ABOUT_A_HOST)
def test_a_run_on_an_unknown_host_is_never_covered(kind: ProofKind) -> None:
    """A host that is no longer in the tables has no uuid: an empty subject must not match it."""
    assert not covers(Proof(kind, "", 0.0), VM, permit(host=9), "")
    (left,) = uncovered(VM, [permit(host=9)], [Proof(kind, "", 0.0)], HOSTS)
    assert "9" in left.why


def test_an_agent_report_covers_the_reported_runs_and_no_later_one() -> None:
    """An agent that reports run 3 gone says nothing of run 4, nor of another VM."""
    report = Proof(ProofKind.AGENT_REPORT, VM, 0.0, covers_epoch=3)
    assert covers(report, VM, permit(epoch=3), "host-1")
    assert not covers(report, VM, permit(epoch=4), "host-1")
    assert not covers(report, "vm-2", permit(epoch=3), "host-1")


def test_never_ran_covers_no_run() -> None:
    """The proof of a first start is worth nothing once a permit exists."""
    assert not covers(Proof(ProofKind.NEVER_RAN, VM, 0.0), VM, permit(), "host-1")


@pytest.mark.parametrize("state", [PermitState.ISSUED, PermitState.RUNNING])
def test_an_issued_permit_stands_in_the_way_as_a_running_one_does(state: str) -> None:
    """A start may have been sent: only `ended` is out of the way."""
    (left,) = uncovered(VM, [permit(state=state)], [], HOSTS)
    assert "run 1 on host host-1" in left.why
    assert uncovered(VM, [permit(state=PermitState.ENDED)], [], HOSTS) == []


def test_every_permit_needs_its_own_cover() -> None:
    """One proof for one host leaves the run on the other in the way."""
    two = [permit(epoch=1, host=1), permit(epoch=2, host=2)]
    dead = [Proof(ProofKind.CHASSIS_OFF, "host-1", 0.0)]
    assert [left.permit.run_epoch for left in uncovered(VM, two, dead, HOSTS)] == [2]
    assert uncovered(VM, two, [*dead, Proof(ProofKind.DECLARED_DEAD, "host-2", 0.0)], HOSTS) == []
