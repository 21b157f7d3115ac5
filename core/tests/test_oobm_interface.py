"""The interface's own reading of many BMCs, for drivers that ask one at a time."""

import time

import pytest
from holdfast.adapter import adapt
from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.points import POINTS
from holdfast.model.readiness import ReadinessState, host_readiness
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView


class OneByOne:
    """A driver without `power_states`; hosts whose name says so are dark or slow."""

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        """By the name of the host."""
        if bmc.host_uuid == "slow":
            time.sleep(deadline)
        if bmc.host_uuid == "dark":
            raise Unreachable("nobody there")
        if bmc.host_uuid in ("odd", "off"):
            return PowerState.UNKNOWN if bmc.host_uuid == "odd" else PowerState.OFF
        return PowerState.ON

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        """Nothing."""
        return ""


def _bmc(host: str) -> BmcView:
    return BmcView(host, "one", "192.0.2.1", "", "user", Secret("secret"))


def test_a_driver_without_it_is_asked_for_each_bmc() -> None:
    """Each state or error stands beside its host."""
    driver = adapt(POINTS["oobm"], OneByOne(), "one by one")
    found = driver.power_states([_bmc("a"), _bmc("dark"), _bmc("b")], 5)
    assert (found["a"], found["b"]) == (PowerState.ON, PowerState.ON)
    assert isinstance(found["dark"], Unreachable)


@pytest.mark.parametrize(
    ("host", "state"), [("a", ReadinessState.READY), ("odd", ReadinessState.NOT_READY), ("off", ReadinessState.READY)]
)
def test_a_driver_without_readiness_is_ready_if_it_reads_a_plain_state(host: str, state: ReadinessState) -> None:
    """What cannot be read back could not be proven off."""
    driver = adapt(POINTS["oobm"], OneByOne(), "one by one")
    assert driver.readiness(_bmc(host), 5).state is state


def test_a_driver_without_readiness_raises_what_a_reading_raises() -> None:
    """The caller tells why."""
    driver = adapt(POINTS["oobm"], OneByOne(), "one by one")
    with pytest.raises(Unreachable):
        driver.readiness(_bmc("dark"), 5)


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ({}, ""),
        ({1: ["Ready"]}, "Ready"),
        ({1: [""]}, ""),
        ({1: ["Warning"]}, "Warning"),
        ({1: ["NotReady"]}, "NotReady"),
        ({1: ["Ready", "NotReady"]}, "NotReady"),
        ({1: ["Ready", "NotReady"], 2: ["Ready"]}, "Warning"),
        ({1: ["NotReady"], 2: ["", "Ready"]}, "Warning"),
        ({1: ["NotReady"], 2: ["NotReady", "Ready"]}, "NotReady"),
        ({1: ["Ready"], 2: [""]}, ""),
        ({1: ["Ready", "Ready"], 2: ["Ready"]}, "Ready"),
    ],
)
def test_a_host_is_ready_as_long_as_one_level_is_whole(levels: dict[int, list[str]], state: str) -> None:
    """Devices of a level are needed all; a level is needed once."""
    assert host_readiness(levels) == state


def test_what_no_time_was_left_for_says_so() -> None:
    """The deadline is that of the whole call."""
    driver = adapt(POINTS["oobm"], OneByOne(), "one by one")
    found = driver.power_states([_bmc("slow"), _bmc("late")], 0.05)
    assert isinstance(found["late"], DeadlineExceeded)
    assert "not asked" in str(found["late"])
