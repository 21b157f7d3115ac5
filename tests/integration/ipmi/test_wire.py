"""Whatever the wire does to IPMI packets: the truth or an error, within the deadline, and never a wrong OFF."""

import contextlib
import time
from typing import Any

import pytest
from holdfast.errors import DriverError, Unreachable
from holdfast.model.states import PowerAction, PowerState
from holdfast_conformance.calls import kept_deadline
from holdfast_conformance.wire_faults import CLEAN, WireFaults
from holdfast_oobm_ipmi.driver import IpmiOobm

DEADLINE = 1.0
LONG_DEADLINE = 10.0
TRIES = 10
ROUNDS = 6
FAULTS = {
    "loss": WireFaults(loss=0.3),
    "heavy loss": WireFaults(loss=0.7),
    "delay": WireFaults(delay=0.15, jitter=0.1),
    "duplication": WireFaults(duplicate=1.0),
    "duplication out of order": WireFaults(duplicate=1.0, jitter=0.2),
    "truncated answers": WireFaults(truncate=0.5, on_requests=False),
    "truncated requests": WireFaults(truncate=0.5, on_answers=False),
    "garbage answers": WireFaults(garbage=0.5, on_requests=False),
    "garbage requests": WireFaults(garbage=0.5, on_answers=False),
    "nothing but garbage": WireFaults(garbage=1.0),
    "nothing but stumps": WireFaults(truncate=1.0),
    "silence": WireFaults(silent=True),
    "silent answers": WireFaults(silent=True, on_requests=False),
    "everything": WireFaults(loss=0.05, duplicate=0.2, truncate=0.03, garbage=0.03, delay=0.02, jitter=0.05),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("begun", [False, True], ids=["from the login on", "in a session"])
def test_a_bad_wire_never_makes_a_wrong_reading(driver: IpmiOobm, bench: Any, name: str, begun: bool) -> None:
    """The chassis is on: it reads ON or an error says why not; and once the wire is mended it reads ON."""
    bench.force_power(PowerState.ON)
    if begun:
        driver.power_state(bench.bmc, DEADLINE)
    bench.proxy.faults = FAULTS[name]
    for _ in range(ROUNDS if "nothing" not in name and "silen" not in name else 2):
        outcome = kept_deadline(DEADLINE, lambda: driver.power_state(bench.bmc, DEADLINE))
        if outcome.error is None:
            assert outcome.value is PowerState.ON
        else:
            assert isinstance(outcome.error, DriverError)
            assert "host host-1" in str(outcome.error)
    bench.proxy.faults = CLEAN
    assert driver.power_state(bench.bmc, LONG_DEADLINE) is PowerState.ON


@pytest.mark.parametrize("name", ["loss", "delay", "duplication", "everything"])
def test_a_bad_wire_is_lived_with(driver: IpmiOobm, bench: Any, name: str) -> None:
    """A caller who asks again gets through: OFF is asked for, and read back in the end."""
    bench.proxy.faults = FAULTS[name]
    found = None
    for _ in range(TRIES):
        with contextlib.suppress(DriverError):
            driver.power_action(bench.bmc, PowerAction.OFF, LONG_DEADLINE)
            found = driver.power_state(bench.bmc, LONG_DEADLINE)
        if found is PowerState.OFF:
            break
    assert found is PowerState.OFF
    assert any(bench.proxy.counts[fault] for fault in ("loss", "duplicate", "truncate", "garbage")) or name == "delay"


def test_a_bmc_slower_than_the_deadlines_is_reached(driver: IpmiOobm, bench: Any) -> None:
    """Its login takes longer than each caller may wait, but it goes on, and one of the next callers has a session."""
    bench.proxy.faults = WireFaults(delay=0.1)
    found = None
    for _ in range(TRIES):
        with contextlib.suppress(Unreachable):
            found = driver.power_state(bench.bmc, 0.5)
            break
    assert found is PowerState.ON


def test_an_answer_to_an_earlier_question_is_never_taken(driver: IpmiOobm, bench: Any) -> None:
    """An "off" that was said before the chassis was switched on, and arrives after, does not read OFF now."""
    bench.force_power(PowerState.OFF)
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.OFF
    bench.proxy.faults = WireFaults(delay=0.6, on_requests=False)
    with pytest.raises(Unreachable):
        driver.power_state(bench.bmc, 0.3)
    bench.force_power(PowerState.ON)
    bench.proxy.faults = CLEAN
    for _ in range(20):
        assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON
        time.sleep(0.03)  # the late answer is on its way meanwhile


@pytest.mark.parametrize("action", [PowerAction.CYCLE, PowerAction.RESET, PowerAction.SOFT])
def test_an_action_that_does_not_set_a_state_is_sent_once(driver: IpmiOobm, bench: Any, action: PowerAction) -> None:
    """When its answer is lost nobody can tell whether it happened, so it is not sent again."""
    driver.power_state(bench.bmc, DEADLINE)
    bench.proxy.faults = WireFaults(delay=0.2)
    calls = bench.sim.folder / "calls"
    with pytest.raises(Unreachable):
        driver.power_action(bench.bmc, action, 0.7)
    # The status that proves the session takes 0.4 s, so the action was under way when the deadline came.
    driver.power_state(bench.bmc, DEADLINE)
    words = {PowerAction.CYCLE: "set power 0", PowerAction.RESET: "set reset 1", PowerAction.SOFT: "set shutdown 1"}
    assert calls.read_text(encoding="ascii").splitlines().count(words[action]) == 1
