"""What a look at an IPMI BMC finds out about a power cut that nobody has ordered yet."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from holdfast.errors import AuthenticationFailed, DeadlineExceeded
from holdfast.model.readiness import Readiness, ReadinessState
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_ipmi.driver import IpmiOobm

DEADLINE = 5.0
PASSWORD = "Emulated-secret"  # made up for these tests
Advise = Callable[[str], None]


@pytest.fixture
def emulator() -> Iterator["subprocess.Popen[str]"]:
    """One emulated BMC in a process of its own."""
    script = Path(__file__).with_name("emulated_bmcs.py")
    process = subprocess.Popen(
        [sys.executable, str(script), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"BMC_PASSWORD": PASSWORD},
    )  # fmt: skip
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def bmc(emulator: "subprocess.Popen[str]") -> BmcView:
    """Switched on."""
    assert emulator.stdout is not None
    return BmcView("host-1", "ipmi", "127.0.0.1", emulator.stdout.readline().strip(), "fencer", Secret(PASSWORD))


@pytest.fixture
def advise(emulator: "subprocess.Popen[str]", bmc: BmcView) -> Advise:
    """Tells the BMC how to behave from now on."""

    def tell(words: str) -> None:
        assert emulator.stdin is not None
        assert emulator.stdout is not None
        emulator.stdin.write(words + "\n")
        emulator.stdin.flush()
        assert emulator.stdout.readline().strip() == "done"

    return tell


def test_a_real_bmc_that_is_well_is_ready(driver: IpmiOobm, bench: Any) -> None:
    """At either level that may switch; and nothing is switched, as its own log of calls shows."""
    for level in ("administrator", "operator"):
        found = driver.readiness(replace(bench.bmc, options={"privilege": level}), DEADLINE)
        assert found.problems == ()
    calls = (bench.sim.folder / "calls").read_text().splitlines()
    assert not [call for call in calls if call.startswith("set")]


def test_a_level_that_only_reads_is_a_problem(driver: IpmiOobm, bench: Any) -> None:
    """Readings work with it, so nobody would notice until a host has to be fenced."""
    user = replace(bench.bmc, options={"privilege": "user"})
    assert driver.power_state(user, DEADLINE) is PowerState.ON

    assert 'privilege "user" reads only' in driver.readiness(user, DEADLINE).detail


def test_a_password_changed_behind_a_kept_session_is_found(driver: IpmiOobm, bench: Any) -> None:
    """Readings go on in the session that was made with the old one."""
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON
    by_hand = IpmiOobm({})
    by_hand.set_password(bench.bmc, "Chang3d-by-hand", DEADLINE)
    by_hand.close()
    assert driver.power_state(bench.bmc, DEADLINE) is PowerState.ON

    with pytest.raises(AuthenticationFailed, match="password of user 'fencer' is wrong"):
        driver.readiness(bench.bmc, DEADLINE)


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ("01 00 00", ReadinessState.READY, ""),
        ("00 00 00", ReadinessState.READY, ""),
        ("11 00 00", ReadinessState.NOT_READY, "power control fault"),
        ("10 00 00", ReadinessState.NOT_READY, "no plain power state"),
        ("01", ReadinessState.NOT_READY, "no plain power state"),
        ("05 00 00", ReadinessState.WARNING, "interlock"),
        ("09 00 00", ReadinessState.WARNING, "main power"),
    ],
)
def test_what_the_chassis_says_of_itself(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, status: str, state: ReadinessState, words: str
) -> None:
    """Faults that a plain reading hides."""
    advise(f"status {status}")

    found = driver.readiness(bmc, DEADLINE)

    assert found.state is state
    assert words in found.detail


@pytest.mark.parametrize(
    ("info", "state", "words"),
    [
        ("01 04 02 02 04 01", ReadinessState.READY, ""),
        ("01 04 02 02 02 01", ReadinessState.NOT_READY, "privilege level 2 only"),
        ("01 04 04 02 04 01", ReadinessState.WARNING, "all 4 of its sessions are taken"),
        ("00 04 00", ReadinessState.READY, ""),
        ("", ReadinessState.READY, ""),
    ],
)
def test_what_the_session_says_of_itself(
    driver: IpmiOobm, bmc: BmcView, advise: Advise, info: str, state: ReadinessState, words: str
) -> None:
    """A BMC that tells nothing is not held against it."""
    advise(f"session {info}")

    found = driver.readiness(bmc, DEADLINE)

    assert found.state is state
    assert words in found.detail


def test_a_privilege_that_was_lowered_is_found(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """The next login asks for it anew."""
    assert driver.readiness(bmc, DEADLINE) == Readiness()
    advise("grant 2")

    with pytest.raises(AuthenticationFailed, match="may not have the privilege level administrator"):
        driver.readiness(bmc, DEADLINE)


def test_a_dark_bmc_is_told_in_time(driver: IpmiOobm, bmc: BmcView, advise: Advise) -> None:
    """Whether or not a session is kept."""
    driver.power_state(bmc, DEADLINE)
    advise("dark 1")

    with pytest.raises(DeadlineExceeded):
        driver.readiness(bmc, 0.5)
