"""Whatever the wire does to an answer, it never becomes Off; once the wire is mended, all works again."""

from dataclasses import replace

import pytest
from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast_conformance.calls import attempt, kept_deadline
from holdfast_conformance.wire_faults import WireFaults
from holdfast_oobm_redfish.driver import RedfishOobm
from sushy import TWO, SushyBench

FAULTS = {
    "silence": WireFaults(silent=True),
    "silent answers": WireFaults(silent=True, on_requests=False),
    "reset at once": WireFaults(reset_after=0),
    "reset in the answer": WireFaults(reset_after=200),
    "reset in the body": WireFaults(reset_after=1500),
    "cut off": WireFaults(truncate=1.0, on_requests=False),
    "cut off requests": WireFaults(truncate=1.0, on_answers=False),
    "garbage": WireFaults(garbage=1.0, on_requests=False),
    "garbage requests": WireFaults(garbage=1.0, on_answers=False),
    "dripping": WireFaults(bytes_per_second=20.0),
    "hung up": WireFaults(loss=1.0, on_requests=False),
    "delay beyond the deadline": WireFaults(delay=3.0),
    "some of everything": WireFaults(garbage=0.3, truncate=0.3, loss=0.2, jitter=0.05),
}
DEADLINE = 1.0


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("warm", [True, False], ids=["kept login", "first contact"])
def test_no_fault_reads_off(bench: SushyBench, name: str, warm: bool) -> None:
    """The chassis is on all the time. An answer in time is On, or there is an error; and the deadline is kept."""
    driver = RedfishOobm(bench.settings)
    if warm:
        assert driver.power_state(bench.bmc, 10) is PowerState.ON
    bench.proxy.faults = FAULTS[name]
    for _ in range(3):
        outcome = kept_deadline(DEADLINE, lambda: driver.power_state(bench.bmc, DEADLINE))
        assert outcome.value in (PowerState.ON, None)
        assert outcome.error is None or isinstance(outcome.error, (Unreachable, Refused)), repr(outcome.error)
    bench.make_reachable()
    assert driver.power_state(bench.bmc, 10) is PowerState.ON
    driver.close()


@pytest.mark.parametrize("name", FAULTS)
def test_under_faults_off_is_done_or_reported(bench: SushyBench, name: str) -> None:
    """If OFF returns, the emulator has switched off: it was not made up from broken answers."""
    driver = RedfishOobm(bench.settings)
    assert driver.power_state(bench.bmc, 10) is PowerState.ON
    bench.proxy.faults = FAULTS[name]
    outcome = attempt(DEADLINE, lambda: driver.power_action(bench.bmc, PowerAction.OFF, DEADLINE))
    assert outcome.finished
    assert outcome.error is None or isinstance(outcome.error, DriverError)
    bench.make_reachable()
    if outcome.error is None:
        assert driver.power_state(bench.bmc, 10) is PowerState.OFF
    driver.close()


def test_a_dark_bmc_leaves_the_others_alone(bench: SushyBench) -> None:
    """One wire is cut; a BMC on another answers as ever."""
    driver = RedfishOobm(bench.settings)
    with SushyBench(bench.emulator) as dark:
        dark.make_unreachable()
        outcome = attempt(DEADLINE, lambda: driver.power_state(dark.bmc, DEADLINE))
        assert isinstance(outcome.error, Unreachable)
        assert driver.power_state(bench.bmc, 10) is PowerState.ON
    driver.close()


def test_bad_input_has_its_own_words(bench: SushyBench) -> None:
    """Wrong password, user, system, UUID: told apart, and never a state."""
    driver, good = RedfishOobm(bench.settings), bench.bmc
    other = "99999999-0000-0000-0000-000000000000"
    for view, kind, words in (
        (replace(good, password=Secret("wrong-password")), AuthenticationFailed, "401"),
        (replace(good, username="nobody"), AuthenticationFailed, "401"),
        (replace(good, options={"system": "9"}), Refused, "no system '9'"),
        (replace(good, options={}), Refused, "2 systems behind it"),
        (replace(good, options={"uuid": other}), Refused, "no system there has the UUID"),
        (replace(good, options={"system": TWO, "uuid": other}), Refused, "another host answers"),
    ):
        with pytest.raises(kind, match=words):
            driver.power_state(view, 10)
    driver.close()
