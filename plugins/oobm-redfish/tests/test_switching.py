"""Actions become the reset that the system takes, are repeated only where that is harmless, and prove nothing."""

from collections.abc import Callable

import pytest
from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable, Unsupported
from holdfast.model.states import PowerAction, PowerState
from holdfast_oobm_redfish.driver import RedfishOobm
from holdfast_oobm_redfish.resets import ORDER, choose
from hypothesis import given
from hypothesis import strategies as st
from strict_bmc import RESETS, SESSIONS, SYSTEMS, Request, StrictBmc, StrictSystem

RESET = f"{SYSTEMS}/1/Actions/ComputerSystem.Reset"
ON, OFF, CYCLE, HARD, SOFT = (PowerAction[name] for name in ("ON", "OFF", "CYCLE", "RESET", "SOFT"))
TYPES = [*RESETS, "ForceOn", "PowerOff", "ForcePowerCycle", "GracefulRestart", "Nmi", "FullPowerCycle", "Suspend"]
UUID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("action", "allowed", "state", "expected"),
    [
        (OFF, ["ForceOff", "GracefulShutdown"], "On", "ForceOff"),
        (OFF, ["GracefulShutdown", "PowerOff"], "On", "PowerOff"),
        (OFF, None, "On", "ForceOff"),
        (ON, ["ForceOn", "On"], "Off", "On"),
        (ON, ["ForceOn", "PushPowerButton"], "Off", "ForceOn"),
        (ON, ["PushPowerButton"], "Off", "PushPowerButton"),
        (CYCLE, ["PowerCycle", "ForceRestart"], "On", "PowerCycle"),
        (CYCLE, ["ForceRestart"], "On", "ForceRestart"),
        (HARD, ["PowerCycle", "ForceRestart"], "On", "ForceRestart"),
        (HARD, ["PowerCycle"], "On", "PowerCycle"),
        (SOFT, ["GracefulShutdown", "PushPowerButton"], "On", "GracefulShutdown"),
        (SOFT, ["PushPowerButton", "ForceOff"], "On", "PushPowerButton"),
    ],
)
def test_the_reset_is_chosen_from_those_allowed(
    bmc: StrictBmc, driver: RedfishOobm, action: PowerAction, allowed: list[str] | None, state: str, expected: str
) -> None:
    """In the documented order."""
    bmc.systems = {"1": StrictSystem(state, resets=allowed)}
    assert expected in driver.power_action(bmc.view(), action, 5)
    assert bmc.system.asked == [expected]


def test_what_is_allowed_may_stand_behind_a_link(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """ActionInfo is the newer way; it is read once."""
    bmc.systems = {"1": StrictSystem(resets=["PowerOff"], action_info=True)}
    driver.power_action(bmc.view(), OFF, 5)
    assert driver.power_state(bmc.view(), 5) is PowerState.OFF
    assert bmc.system.asked == ["PowerOff"]
    assert len(bmc.requests("GET", f"{SYSTEMS}/1/ResetActionInfo")) == 1


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_link_that_leads_nowhere_costs_only_the_list(bmc: StrictBmc, driver: RedfishOobm, status: int) -> None:
    """The power is read, and the best reset is tried."""
    bmc.systems = {"1": StrictSystem(action_info=True)}
    bmc.quirks["GET", f"{SYSTEMS}/1/ResetActionInfo"] = lambda request: request.complain(status, "not here")
    assert driver.power_state(bmc.view(), 5) is PowerState.ON
    driver.power_action(bmc.view(), OFF, 5)
    assert driver.power_state(bmc.view(), 5) is PowerState.OFF
    assert bmc.system.asked == ["ForceOff"]


@pytest.mark.parametrize("status", [307, 308])
def test_an_order_goes_on_to_where_the_bmc_sends_it(bmc: StrictBmc, driver: RedfishOobm, status: int) -> None:
    """For want of a slash, at the login too, and with all that was said; not by a redirect that makes it a question."""
    bmc.quirks["POST", SESSIONS] = lambda request: request.reply(status, Location=f"{SESSIONS}/")
    bmc.quirks["POST", f"{SESSIONS}/"] = bmc._open_session
    bmc.quirks["POST", RESET] = lambda request: request.reply(status, Location=f"http://127.0.0.1:{bmc.port}{RESET}/")
    driver.power_action(bmc.view(), OFF, 5)
    assert bmc.system.asked == ["ForceOff"]
    bmc.system.power = "On"
    bmc.quirks["POST", RESET] = lambda request: request.reply(302, Location=f"{RESET}/")
    with pytest.raises(Refused, match="not followed"):
        driver.power_action(bmc.view(), OFF, 5)
    bmc.quirks["POST", RESET] = lambda request: request.reply(status, Location=f"http://evil.example{RESET}/")
    with pytest.raises(Refused, match="not followed"):
        driver.power_action(bmc.view(), OFF, 5)


@given(st.sets(st.sampled_from(TYPES)), st.sampled_from([PowerState.ON, PowerState.OFF, PowerState.UNKNOWN]))
def test_off_is_never_graceful_and_no_button_is_pressed_blindly(allowed: set[str], state: PowerState) -> None:
    """OFF does not ask the operating system, and a button that switches over is pressed in the right state only."""
    for action in ORDER:
        chosen = choose(action, frozenset(allowed), state)
        assert not chosen or chosen in allowed
        if action is OFF:
            assert "Graceful" not in chosen
            assert chosen != "PushPowerButton"
        if chosen == "PushPowerButton":
            assert (action, state) in ((ON, PowerState.OFF), (SOFT, PowerState.ON))


def test_off_without_a_hard_reset_is_unsupported(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The text says what there is."""
    bmc.systems = {"1": StrictSystem(resets=["On", "GracefulShutdown"])}
    with pytest.raises(Unsupported, match="it takes GracefulShutdown, On, and Holdfast would use ForceOff or PowerOff"):
        driver.power_action(bmc.view(), OFF, 5)
    assert bmc.system.asked == []


def test_a_list_that_depends_on_the_state_is_read_again(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Off, this system offers only On; once it is on, it offers ForceOff."""
    bmc.systems = {"1": StrictSystem("Off", resets=["On"])}
    assert driver.power_action(bmc.view(), OFF, 5) == "system 1 is Off already"
    bmc.systems["1"] = StrictSystem("On", resets=["ForceOff"])
    driver.power_action(bmc.view(), OFF, 5)
    assert bmc.system.power == "Off"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412])
@pytest.mark.parametrize("state", ["Off", "On", "PoweringOff", None])
def test_a_refused_off_is_success_only_if_it_reads_off(
    bmc: StrictBmc, driver: RedfishOobm, status: int, state: str | None
) -> None:
    """409 may mean "already off", and anything else; PoweringOff is not off. A 403 is about the user."""
    bmc.systems = {"1": StrictSystem(state, refuses=status)}
    if state == "Off" and status != 403:
        assert driver.power_action(bmc.view(), OFF, 5) == "system 1 is Off already"
        return
    with pytest.raises(AuthenticationFailed if status == 403 else Refused, match="not in a state for this"):
        driver.power_action(bmc.view(), OFF, 5)


@pytest.mark.parametrize(("action", "state"), [(ON, "On"), (SOFT, "Off")])
def test_on_and_soft_are_done_where_they_are_so_already(
    bmc: StrictBmc, driver: RedfishOobm, action: PowerAction, state: str
) -> None:
    """Refused or not offered, there is nothing left to do."""
    bmc.systems = {"1": StrictSystem(state, refuses=409)}
    assert "already" in driver.power_action(bmc.view(), action, 5)
    bmc.systems = {"1": StrictSystem(state, resets=["PushPowerButton"])}
    assert "already" in driver.power_action(bmc.view(), action, 5)
    assert bmc.system.asked == []


@pytest.mark.parametrize("action", [CYCLE, HARD])
def test_a_reset_of_a_system_that_is_off_is_refused(bmc: StrictBmc, driver: RedfishOobm, action: PowerAction) -> None:
    """It would be accepted and leave the host off, and nobody would know why."""
    bmc.system.power = "Off"
    with pytest.raises(Refused, match="use ON"):
        driver.power_action(bmc.view(), action, 5)
    assert bmc.system.asked == []


def test_an_off_that_is_ignored_goes_on_reading_on(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Accepted is not done."""
    bmc.system.ignores = True
    assert "accepted ForceOff" in driver.power_action(bmc.view(), OFF, 5)
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


def test_a_task_in_place_of_a_result_is_acceptance(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """202 with a task: it will happen, or not; the reading tells."""
    task = {"@odata.id": "/redfish/v1/TaskService/Tasks/1"}
    bmc.quirks["POST", RESET] = lambda request: request.reply(202, task, Location="/redfish/v1/TaskMonitors/1")
    assert "accepted ForceOff (202)" in driver.power_action(bmc.view(), OFF, 5)


def _break_once(bmc: StrictBmc, after: bool) -> None:
    def hang_up(request: Request) -> None:
        del bmc.quirks["POST", RESET]
        if after:
            bmc.systems["1"].asked.append(request.seen.body["ResetType"])
        request.close_connection = True

    bmc.quirks["POST", RESET] = hang_up


@pytest.mark.parametrize("action", [ON, CYCLE, HARD, SOFT])
def test_only_off_is_sent_twice(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm], action: PowerAction) -> None:
    """A second reset would interrupt the boot that the first one began."""
    driver = make_driver(scheme="http", retries=3)
    bmc.system.power = "Off" if action is ON else "On"
    _break_once(bmc, after=True)
    with pytest.raises(Unreachable):
        driver.power_action(bmc.view(), action, 5)
    assert len(bmc.system.asked) == 1
    bmc.systems["1"] = StrictSystem("On")
    _break_once(bmc, after=True)
    assert "accepted ForceOff" in driver.power_action(bmc.view(), OFF, 5)
    assert bmc.system.asked == ["ForceOff", "ForceOff"]


def test_a_busy_bmc_is_asked_for_off_again(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """503 is common while a BMC restarts."""

    def busy(request: Request) -> None:
        del bmc.quirks["POST", RESET]
        request.complain(503, "try later", Retry_After="1")

    bmc.quirks["POST", RESET] = busy
    make_driver(scheme="http", retries=1).power_action(bmc.view(), OFF, 5)
    assert bmc.system.power == "Off"


def test_off_after_a_reading_costs_one_request(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """A fence loses no time on questions whose answers are known."""
    driver.power_state(bmc.view(), 5)
    before = len(bmc.seen)
    driver.power_action(bmc.view(), OFF, 5)
    assert [seen.method for seen in bmc.seen[before:]] == ["POST"]


def test_off_looks_whose_bmc_it_is_when_the_uuid_is_known(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The address may belong to another host since the last reading."""
    bmc.systems = {"1": StrictSystem(uuid=UUID)}
    driver.power_state(bmc.view(uuid=UUID), 5)
    bmc.systems = {"1": StrictSystem(uuid=UUID.replace("1", "2"))}
    with pytest.raises(Refused, match="another host"):
        driver.power_action(bmc.view(uuid=UUID), OFF, 5)
    assert bmc.system.asked == []


def test_off_finds_a_system_that_was_renamed(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """What was remembered is only a shortcut."""
    driver.power_state(bmc.view(), 5)
    bmc.systems = {"Self": StrictSystem()}
    driver.power_action(bmc.view(), OFF, 5)
    assert bmc.system.power == "Off"


@pytest.mark.parametrize("status", [405, 501])
def test_a_bmc_without_the_action_says_unsupported(bmc: StrictBmc, driver: RedfishOobm, status: int) -> None:
    """There is no use in trying again."""
    bmc.system.refuses = status
    with pytest.raises(Unsupported, match=str(status)):
        driver.power_action(bmc.view(), OFF, 5)


def test_status_is_no_action(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """It has a method of its own."""
    with pytest.raises(Unsupported):
        driver.power_action(bmc.view(), PowerAction.STATUS, 5)


def test_errors_carry_the_bmcs_words(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Without those, operators see a number."""
    bmc.system.refuses = 409
    with pytest.raises(DriverError, match=r"BMC 127\.0\.0\.1:\d+: POST .* answered 409: the system is not in a state"):
        driver.power_action(bmc.view(), OFF, 5)
