"""What a look at a Redfish BMC finds out about a power cut that nobody has ordered yet."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from certificates import Authority
from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable
from holdfast.model.readiness import Readiness, ReadinessState
from holdfast.model.states import PowerState
from holdfast_oobm_redfish.driver import RedfishOobm
from strict_bmc import ACCOUNTS, ROLE, USER, StrictBmc

MakeDriver = Callable[..., RedfishOobm]
DEADLINE = 5.0


def _in_days(days: float) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).isoformat()


def test_a_bmc_that_is_well_is_ready_and_logged_out_of(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Nothing is switched, and no session is left but the one that was there before."""
    driver.power_state(bmc.view(), DEADLINE)
    before = dict(bmc.tokens)

    assert driver.readiness(bmc.view(), DEADLINE) == Readiness()

    driver.close()
    assert bmc.opened == 2
    assert bmc.requests("POST", "/redfish/v1/Systems") == []
    assert before


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ({"RoleId": "ReadOnly"}, "role ReadOnly lacks the privilege ConfigureComponents"),
        ({"Enabled": False}, "is disabled"),
        ({"Locked": True}, "is locked"),
        ({"PasswordChangeRequired": True}, "must change the password"),
    ],
)
def test_an_account_that_may_not_switch_is_a_problem(
    bmc: StrictBmc, driver: RedfishOobm, account: dict[str, Any], words: str
) -> None:
    """Though it may read, which is all that a power reading shows."""
    bmc.account = account

    found = driver.readiness(bmc.view(), DEADLINE)

    assert found.state is ReadinessState.NOT_READY
    assert words in found.detail
    assert driver.power_state(bmc.view(), DEADLINE) is PowerState.ON


@pytest.mark.parametrize(
    ("privileges", "state"),
    [
        (["Login", "ConfigureComponents"], ReadinessState.READY),
        (["Login", "ConfigureUsers"], ReadinessState.NOT_READY),
        (None, ReadinessState.READY),
    ],
)
def test_what_a_role_may_do_counts_more_than_its_name(
    bmc: StrictBmc, driver: RedfishOobm, privileges: list[str] | None, state: ReadinessState
) -> None:
    """A role that the BMC does not show is no finding."""
    bmc.account = {"RoleId": "Fencers", "Links": {"Role": {"@odata.id": ROLE}}}
    bmc.privileges = privileges

    assert driver.readiness(bmc.view(), DEADLINE).state is state


@pytest.mark.parametrize(("days", "words"), [(3.5, "in less than 4 days"), (-2, "ran out on"), (90, "")])
def test_a_password_that_runs_out_is_told_before(bmc: StrictBmc, driver: RedfishOobm, days: float, words: str) -> None:
    """In time to change it."""
    bmc.account = {"PasswordExpiration": _in_days(days)}

    found = driver.readiness(bmc.view(), DEADLINE)

    assert found.problems == ()
    assert words in found.detail
    assert bool(found.warnings) is bool(words)


@pytest.mark.parametrize("odd", ["tomorrow", 17, "", "2026-02-30T00:00:00Z"])
def test_nonsense_in_an_account_is_no_finding(bmc: StrictBmc, driver: RedfishOobm, odd: object) -> None:
    """Firmware puts anything there."""
    bmc.account = {"PasswordExpiration": odd, "RoleId": None, "Links": odd}

    assert driver.readiness(bmc.view(), DEADLINE) == Readiness()


def test_accounts_that_are_hidden_are_no_finding(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Neither from this user, nor altogether."""
    for status in (403, 404, 405):
        bmc.quirks[("GET", ACCOUNTS)] = lambda request, code=status: request.complain(code, "not for you")
        assert driver.readiness(bmc.view(), DEADLINE) == Readiness()


def test_a_system_that_cannot_be_switched_off_is_a_problem(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """It lists only what a fence must not use. One that is off may list only what is possible then."""
    bmc.system.resets = ["On", "GracefulShutdown"]
    assert "has no reset for OFF: it takes GracefulShutdown, On" in driver.readiness(bmc.view(), DEADLINE).detail

    bmc.system.power = "Off"
    assert driver.readiness(bmc.view(), DEADLINE) == Readiness()


def test_a_state_that_is_not_plain_is_a_problem(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """OFF could not be read back."""
    bmc.system.power = "Paused"
    assert "no plain power state" in driver.readiness(bmc.view(), DEADLINE).detail


@pytest.mark.parametrize(("last_day", "words"), [(5, "runs out on"), (29, "its certificate"), (60, "")])
def test_a_certificate_that_runs_out_is_told_before(
    authority: Authority, make_driver: MakeDriver, last_day: int, words: str
) -> None:
    """The CA of these tests lasts 30 days, so it is told of in each case."""
    driver = make_driver(ca_file=str(authority.ca_file))
    with StrictBmc(authority.issue("127.0.0.1", last_day=last_day)) as bmc:
        found = driver.readiness(bmc.view(), DEADLINE)

    assert found.problems == ()
    own = [text for text in found.warnings if "its certificate" in text]
    assert bool(own) is bool(words)
    assert all(words in text for text in own)
    assert any("the CA certificate that vouches for it runs out on" in text for text in found.warnings)


def test_how_long_before_is_a_setting(authority: Authority, make_driver: MakeDriver) -> None:
    """Zero days: not before it is too late."""
    driver = make_driver(ca_file=str(authority.ca_file), certificate_warning_days=0.0)
    with StrictBmc(authority.issue("127.0.0.1", last_day=2)) as bmc:
        assert driver.readiness(bmc.view(), DEADLINE) == Readiness()


def test_a_pinned_certificate_does_not_age(authority: Authority, make_driver: MakeDriver) -> None:
    """Its dates are not looked at when the host is fenced either."""
    pair = authority.issue("127.0.0.1", first_day=-9, last_day=-2)
    with StrictBmc(pair) as bmc:
        view = bmc.view(certificate_fingerprint=pair.fingerprint)
        assert make_driver().readiness(view, DEADLINE) == Readiness()


def test_what_a_kept_login_hides_is_found(authority: Authority, make_driver: MakeDriver) -> None:
    """A password that was changed, and a certificate that was replaced, since the login was made."""
    driver = make_driver(ca_file=str(authority.ca_file))
    with StrictBmc(authority.issue("127.0.0.1")) as bmc:
        assert driver.power_state(bmc.view(), DEADLINE) is PowerState.ON
        bmc.passwords[USER] = "changed behind our back"
        assert driver.power_state(bmc.view(), DEADLINE) is PowerState.ON
        with pytest.raises(AuthenticationFailed):
            driver.readiness(bmc.view(), DEADLINE)
        assert bmc.context is not None
        other = authority.issue("127.0.0.2")
        bmc.context.load_cert_chain(other.certificate, other.key)
        assert driver.power_state(bmc.view(), DEADLINE) is PowerState.ON
        with pytest.raises(Refused, match="not made out to this IP address"):
            driver.readiness(bmc.view(), DEADLINE)


def test_what_cannot_be_looked_at_raises_as_a_reading_does(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The caller tells why."""
    with pytest.raises(AuthenticationFailed):
        driver.readiness(bmc.view(password="wrong"), DEADLINE)
    bmc.quirks[("GET", ACCOUNTS)] = lambda request: request.complain(503, "restarting")
    with pytest.raises(DriverError) as caught:
        driver.readiness(bmc.view(), 1.0)
    assert isinstance(caught.value, Unreachable)
