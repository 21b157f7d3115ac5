"""`kill -9` of management servers at every point: the VMs run exactly once, and end up running."""

from collections.abc import Callable

import pytest
from holdfast.model import HAState, VmState
from manager_bed import Bed

_SETTLE = 4.0
"""Seconds until all hosts are Available, and little more: a bed is made for each of a hundred steps."""


def _recovered(bed: Bed) -> Callable[[], bool]:
    return lambda: bed.runs_elsewhere(1) and bed.state(1) == HAState.FENCED


def _steps_of_a_recovery(fault: str) -> dict[str, int]:
    """How many callbacks each server runs from the fault to the end of the recovery."""
    bed = Bed(settle=_SETTLE)
    try:
        bed.add_vms(2)
        getattr(bed.machine("h1"), fault)(*(("power loss",) if fault == "power_off" else ()))
        before = {name: life.process.steps for name, life in bed.lives.items()}
        bed.run_until(_recovered(bed), 20)
        return {name: life.process.steps - before[name] for name, life in bed.lives.items()}
    finally:
        bed.close()


@pytest.mark.parametrize("fault", ["power_off", "hang"])
def test_a_server_may_die_at_any_step_of_a_recovery(fault: str) -> None:
    """One server after the other is killed at steps spread over the whole recovery, and started again a second later.

    The steps of the fence and the restarts themselves, the last third, are tried most densely.
    """
    for name, steps in _steps_of_a_recovery(fault).items():
        last = range(steps * 2 // 3, steps, max(1, steps // 60))
        for step in [*range(1, steps * 2 // 3, max(1, steps // 12)), *last]:
            bed = Bed(settle=_SETTLE)
            try:
                bed.add_vms(2)
                getattr(bed.machine("h1"), fault)(*(("power loss",) if fault == "power_off" else ()))
                bed.crash_at(name, step)
                bed.run_until(_recovered(bed), 60, step=1.0)
                bed.run(1)
                bed.check_once()
                assert all(vm.state == VmState.RUNNING for vm in bed.vms())
                assert bed.site.loop.problems == []
            except AssertionError as problem:
                raise AssertionError(f"{name} killed at step {step} after {fault}: {problem}") from problem
            finally:
                bed.close()


@pytest.mark.parametrize("moment", [0.05, 0.5, 1.5, 3.2, 3.6, 4.2, 4.4, 4.6])
def test_both_servers_may_die_at_once(make_bed: Callable[..., Bed], moment: float) -> None:
    """Nobody is left for three seconds; then both come back and complete the recovery."""
    bed = make_bed()
    bed.add_vms(2)
    bed.machine("h1").power_off("power loss")
    bed.run(moment)
    bed.crash("ms1")
    bed.crash("ms2")
    bed.run(3)
    bed.start("ms1")
    bed.start("ms2")
    bed.run_until(_recovered(bed), 40)
    bed.check_once()


def test_a_server_that_is_started_again_joins_once_its_old_lease_is_over(make_bed: Callable[..., Bed]) -> None:
    """The wait for its own earlier session does not keep a restarted server out for ever."""
    bed = make_bed(servers=1)
    bed.crash("ms1")
    bed.run(0.3)
    bed.start("ms1")
    bed.run_until(lambda: len(bed.managers["ms1"].hosts.actors) == 3, 12)


def test_a_single_server_may_die_in_the_middle_and_goes_on(make_bed: Callable[..., Bed]) -> None:
    """With one server alone, its restart completes what it began."""
    bed = make_bed(servers=1)
    bed.add_vms(2)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCING, 20, step=0.01)
    bed.crash("ms1")
    bed.run(0.5)
    bed.start("ms1")
    bed.run_until(_recovered(bed), 40)
    bed.check_once()
    assert any(
        '"attempt":' in str(event.evidence) or "attempt" in event.description for event in bed.events("HA.FENCE")
    )
