"""BMCs that are odd, busy, full, stingy or forgetful, played by the emulator."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast.errors import AuthenticationFailed, DriverError, Refused
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_ipmi.driver import IpmiOobm

PASSWORD = "Emulated-secret"  # made up for these tests
DEADLINE = 5.0

Advise = Callable[[str], None]


@pytest.fixture
def emulator() -> Iterator["subprocess.Popen[str]"]:
    """Two emulated BMCs in a process of their own."""
    script = Path(__file__).with_name("emulated_bmcs.py")
    process = subprocess.Popen(
        [sys.executable, str(script), "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"BMC_PASSWORD": PASSWORD},
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def bmcs(emulator: "subprocess.Popen[str]") -> list[BmcView]:
    """Both, switched on."""
    assert emulator.stdout is not None
    ports = emulator.stdout.readline().split()
    return [
        BmcView(f"host-{index}", "ipmi", "127.0.0.1", port, "fencer", Secret(PASSWORD))
        for index, port in enumerate(ports)
    ]


@pytest.fixture
def bmc(bmcs: list[BmcView]) -> BmcView:
    """The first one."""
    return bmcs[0]


@pytest.fixture
def advise(emulator: "subprocess.Popen[str]", bmcs: list[BmcView]) -> Advise:
    """Tells the BMCs how to behave from now on."""

    def tell(words: str) -> None:
        assert emulator.stdin is not None
        assert emulator.stdout is not None
        emulator.stdin.write(words + "\n")
        emulator.stdin.flush()
        assert emulator.stdout.readline().strip() == "done"

    return tell


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("01 00 00", PowerState.ON),
        ("21 10 40 00", PowerState.ON),
        ("00 00 00", PowerState.OFF),
        ("60 00 00", PowerState.OFF),
        ("08 00 00", PowerState.OFF),
        ("10 00 00", PowerState.UNKNOWN),
        ("80 00 00", PowerState.UNKNOWN),
        ("00 00", PowerState.UNKNOWN),
        ("00", PowerState.UNKNOWN),
    ],
)
def test_only_a_plain_off_is_off(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, answer: str, state: PowerState
) -> None:
    """The restore policy and a power fault leave a state plain; a control fault, odd bits and stumps do not."""
    advise(f"status {answer}")
    assert driver.power_state(bmc, DEADLINE) is state


@pytest.mark.parametrize(
    ("code", "words"),
    [("c1", "Invalid command"), ("d4", "Insufficient privilege level"), ("d6", "disabled"), ("ff", "Unspecified")],
)
def test_completion_codes_are_told_in_words(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, code: str, words: str
) -> None:
    """A BMC's no is `Refused` with its meaning and its number, for readings and for actions."""
    advise(f"code 0 1 {code}")
    advise(f"code 0 2 {code}")
    calls: list[Callable[[], object]] = [
        lambda: driver.power_state(bmc, DEADLINE),
        lambda: driver.power_action(bmc, PowerAction.OFF, DEADLINE),
    ]
    for call in calls:
        with pytest.raises(Refused, match=words) as caught:
            call()
        assert f"0x{code}" in str(caught.value)
        assert not isinstance(caught.value, AuthenticationFailed)


def test_a_busy_bmc_is_asked_again(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """A node that says it is busy has not answered yet."""
    advise("code 0 1 c0 2")
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON


def test_not_in_this_state_is_success_when_the_state_is_there(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """Some BMCs refuse OFF when the chassis is off: it is read, and only then believed."""
    advise("code 0 2 d5")
    with pytest.raises(Refused, match="present state"):
        driver.power_action(bmc, PowerAction.OFF, DEADLINE)
    advise("status 00 00 00")
    assert "already" in driver.power_action(bmc, PowerAction.OFF, DEADLINE)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("01", Refused, "no free session"),
        ("09", AuthenticationFailed, "privilege level administrator"),
        ("11", AuthenticationFailed, "cipher suites 17 and 3 not accepted"),
        ("12", Refused, "Illegal or unrecognized parameter"),
        ("77", Refused, "status unknown"),
    ],
)
def test_a_refused_session_says_why(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, status: str, error: type[DriverError], words: str
) -> None:
    """Each reason has its own text; a full BMC is no question of credentials."""
    advise(f"login {status}")
    with pytest.raises(error, match=words):
        driver.power_state(bmc, DEADLINE)
    advise("login 0")
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON


def test_less_privilege_than_asked_for_is_noticed(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """A BMC may grant less without a word, which would only show when the host has to be fenced."""
    advise("grant 2")
    with pytest.raises(AuthenticationFailed, match="may not have the privilege level administrator"):
        driver.power_state(bmc, DEADLINE)


@pytest.mark.parametrize("suites", ["3", "17", "both"])
def test_a_cipher_suite_is_agreed_on(driver: IpmiOobm, bmc: BmcView, advise: Advise, suites: str) -> None:
    """`auto` works with old and new BMCs."""
    advise(f"suites {suites}")
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON


def test_a_lost_session_is_replaced_within_the_call(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """After a restart the BMC ignores our packets; the same call logs in again."""
    driver.power_state(bmc, DEADLINE)
    advise("forget")
    assert driver.power_state(bmc, DEADLINE) is PowerState.ON
    advise("forget")
    driver.power_action(bmc, PowerAction.RESET, DEADLINE)


@pytest.mark.parametrize("lost", [1, 10])
def test_a_new_password_whose_answer_is_lost_is_in_force(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, lost: int
) -> None:
    """The BMC has it, and refuses the old one from then on: that is a change that was made, not wrong credentials."""
    new = "Fresh-pass-4711"
    advise(f"mute {lost}")
    driver.set_password(bmc, new, DEADLINE)
    assert driver.power_state(replace(bmc, password=Secret(new)), DEADLINE) is PowerState.ON


def test_sessions_are_bounded(bmcs: list[BmcView], advise: Advise) -> None:
    """With room for one, the other is closed first; both still read."""
    driver = IpmiOobm({"max_sessions": 1})
    for _ in range(2):
        for bmc in bmcs:
            assert driver.power_state(bmc, DEADLINE) is PowerState.ON
            assert driver._worker.sessions == 1
    driver.close()


def test_a_session_is_kept_alive_without_calls(bmc: BmcView, advise: Advise) -> None:
    """An idle session whose BMC forgot it is noticed and given up before anybody needs it."""
    driver = IpmiOobm({"keep_alive_seconds": 0.05, "retry_seconds": 0.05})
    driver.power_state(bmc, DEADLINE)
    sessions = driver._worker.sessions
    advise("dark 1")
    gone = _eventually(lambda: driver._worker.sessions == 0)
    assert (sessions, gone) == (1, True)
    driver.close()


def test_an_unused_session_is_closed(bmc: BmcView, advise: Advise) -> None:
    """After `idle_seconds` nobody pays for it any more."""
    driver = IpmiOobm({"keep_alive_seconds": 0.05, "idle_seconds": 0.2})
    driver.power_state(bmc, DEADLINE)
    assert _eventually(lambda: driver._worker.sessions == 0)
    driver.close()


def _eventually(condition: Callable[[], bool]) -> bool:
    tick = threading.Event()
    for _ in range(400):
        if condition():
            return True
        tick.wait(0.05)
    return False
