"""The interface's own reading of many BMCs, for drivers that ask one at a time."""

import time

from holdfast.adapter import adapt
from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.points import POINTS
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


def test_what_no_time_was_left_for_says_so() -> None:
    """The deadline is that of the whole call."""
    driver = adapt(POINTS["oobm"], OneByOne(), "one by one")
    found = driver.power_states([_bmc("slow"), _bmc("late")], 0.05)
    assert isinstance(found["late"], DeadlineExceeded)
    assert "not asked" in str(found["late"])
