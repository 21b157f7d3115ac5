"""Logins are kept, renewed once, ended; credentials go to nobody else and show nowhere."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable, Unsupported
from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast_conformance.secrecy import SecretWatch
from holdfast_oobm_redfish.driver import RedfishOobm
from strict_bmc import ACCOUNTS, PASSWORD, ROOT, SESSIONS, SYSTEMS, USER, Request, StrictBmc

NEW = 'even "more" correct'


def test_one_session_serves_many_questions(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """And closing the driver ends it."""
    for _ in range(3):
        driver.power_state(bmc.view(), 5)
    assert bmc.opened == 1
    assert len(bmc.tokens) == 1
    driver.close()
    assert bmc.tokens == {}
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


def test_a_session_that_ran_out_is_renewed_once(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """For a command too: 401 says that nothing was done. The new login does not carry the old token."""
    driver.power_state(bmc.view(), 5)
    bmc.tokens.clear()
    driver.power_action(bmc.view(), PowerAction.RESET, 5)
    assert bmc.opened == 2
    assert bmc.system.asked == ["ForceRestart"]


def test_a_bmc_that_forgets_every_session_is_told_so_once(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """No loop of logins."""
    bmc.quirks["GET", f"{SYSTEMS}/1"] = lambda request: request.complain(401, "no valid session")
    with pytest.raises(AuthenticationFailed, match="no valid session"):
        driver.power_state(bmc.view(), 5)
    assert bmc.opened == 2


def test_a_bmc_without_sessions_is_asked_with_basic(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """`auto` sees it in the service root, and tries nothing out."""
    bmc.has_sessions = False
    assert driver.power_state(bmc.view(), 5) is PowerState.ON
    assert bmc.requests("POST") == []


@pytest.mark.parametrize("status", [400, 401, 404, 503])
def test_auto_falls_back_to_basic_when_no_session_is_to_be_had(
    bmc: StrictBmc, driver: RedfishOobm, status: int
) -> None:
    """All taken, or switched off though the root lists them."""
    bmc.quirks["POST", SESSIONS] = lambda request: request.complain(status, "none left", WWW_Authenticate="Basic")
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


@pytest.mark.parametrize(("mode", "kind"), [("basic", "basic"), ("session", "session")])
def test_the_way_to_log_in_can_be_prescribed(bmc: StrictBmc, driver: RedfishOobm, mode: str, kind: str) -> None:
    """For one BMC, by its options."""
    driver.power_state(bmc.view(authentication=mode), 5)
    assert {seen.credentials for seen in bmc.requests("GET", SYSTEMS)} == {kind}


def test_a_prescribed_session_is_not_replaced_by_basic(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The refusal is reported."""
    bmc.quirks["POST", SESSIONS] = lambda request: request.complain(503, "no session left")
    with pytest.raises(Unreachable, match="no session left"):
        driver.power_state(bmc.view(authentication="session"), 5)


def test_a_wrong_password_is_tried_once(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Each try counts towards the lock that BMCs put on accounts."""
    bmc.quirks["POST", SESSIONS] = lambda request: request.complain(401, "wrong credentials")
    with pytest.raises(AuthenticationFailed, match="wrong credentials; check user name and password"):
        driver.power_state(bmc.view("wrong password"), 5)
    assert len(bmc.requests("POST")) == 1
    assert bmc.requests("GET", SYSTEMS) == []


def test_no_credentials_leave_before_login_is_due(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """The root is for everybody, and the login itself carries none in its headers."""
    driver.power_state(bmc.view(), 5)
    assert bmc.requests("GET", ROOT)[0].credentials == ""
    assert bmc.requests("POST", SESSIONS)[0].credentials == ""


def test_different_credentials_do_not_share_a_login(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """A wrong password is not helped by a session that a right one opened."""
    driver.power_state(bmc.view(), 5)
    with pytest.raises(AuthenticationFailed):
        driver.power_state(bmc.view("wrong password"), 5)
    assert driver.power_state(bmc.view(), 5) is PowerState.ON
    assert bmc.opened == 1


def test_the_number_of_logins_kept_is_bounded(bmc: StrictBmc, make_driver: Callable[..., RedfishOobm]) -> None:
    """The one that was not used for longest is ended."""
    driver = make_driver(scheme="http", sessions=1)
    bmc.passwords["second"] = "second password"
    parted = threading.Event()

    def part(request: Request) -> None:
        bmc.answer(request)
        parted.set()

    driver.power_state(bmc.view(), 5)
    bmc.quirks["DELETE", f"{SESSIONS}/1"] = part
    driver.power_state(bmc.view("second password", "second"), 5)
    assert parted.wait(5)
    assert list(bmc.tokens) == ["token-number-2"]


def test_many_threads_share_one_login(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """BMCs have few sessions."""
    together, found = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        found.append(driver.power_state(bmc.view(), 5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [PowerState.ON] * 8
    assert bmc.opened == 1


def test_a_call_that_hangs_does_not_hold_up_another(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """A fence does not wait for a status that the BMC swallowed."""
    asked, free = threading.Event(), threading.Event()

    def hang(request: Request) -> None:
        asked.set()
        free.wait(10)
        bmc.answer(request)

    driver.power_state(bmc.view(), 5)
    bmc.quirks["GET", f"{SYSTEMS}/1"] = hang
    thread = threading.Thread(target=driver.power_state, args=(bmc.view(), 10))
    thread.start()
    assert asked.wait(5)
    driver.power_action(bmc.view(), PowerAction.OFF, 5)
    assert not free.is_set()
    free.set()
    thread.join()


def test_a_new_password_is_set_and_tried(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """On the account of that name, with the tag that it was read with."""
    bmc.wants_tag = True
    driver.set_password(bmc.view(), NEW, 5)
    (patch,) = bmc.requests("PATCH")
    assert (patch.path, patch.body, patch.headers["if-match"]) == (f"{ACCOUNTS}/2", {"Password": NEW}, '"v1"')
    assert driver.power_state(bmc.view(NEW), 5) is PowerState.ON
    with pytest.raises(AuthenticationFailed):
        driver.power_state(bmc.view(), 5)


def test_a_tag_that_went_stale_is_read_again(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Somebody else changed the account at the same time; once more is enough, or it is refused."""
    patches = []

    def stale(request: Request) -> None:
        patches.append(request.path)
        request.complain(412, "changed meanwhile") if len(patches) < 2 else bmc.answer(request)

    bmc.quirks["PATCH", "*"] = stale
    driver.set_password(bmc.view(), NEW, 5)
    assert len(patches) == 2
    bmc.quirks["PATCH", "*"] = lambda request: request.complain(412, "changed meanwhile")
    with pytest.raises(Refused, match="changed meanwhile"):
        driver.set_password(bmc.view(NEW), "yet another one", 5)


def test_a_tag_may_stand_in_the_account_alone(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """As the standard has it; not every firmware repeats it in the headers."""
    bmc.wants_tag = bmc.tag_within = True
    driver.set_password(bmc.view(), NEW, 5)
    assert driver.power_state(bmc.view(NEW), 5) is PowerState.ON


def test_a_bmc_that_wants_a_tag_and_gives_none_is_told_that_any_will_do(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """428: it wants to see that the client has thought of others."""

    def strict(request: Request) -> None:
        tagged = request.seen.headers.get("if-match") == "*"
        bmc.answer(request) if tagged else request.complain(428, "precondition required")

    bmc.quirks["GET", f"{ACCOUNTS}/2"] = lambda request: request.reply(200, {"UserName": USER})
    bmc.quirks["PATCH", "*"] = strict
    driver.set_password(bmc.view(), NEW, 5)


@pytest.mark.parametrize("status", [200, 202])
def test_a_password_may_take_a_moment_to_count(bmc: StrictBmc, driver: RedfishOobm, status: int) -> None:
    """Whether the BMC says so (202, with a task) or not. Meanwhile it is asked with the old one, which locks nobody."""
    timers = []

    def later(request: Request) -> None:
        timers.append(threading.Timer(0.3, bmc.passwords.__setitem__, (USER, NEW)))
        timers[0].start()
        request.reply(status, {"TaskState": "Running"})

    bmc.quirks["PATCH", f"{ACCOUNTS}/2"] = later
    driver.set_password(bmc.view(), NEW, 5)
    timers[0].join()
    tried = [seen.body["Password"] for seen in bmc.requests("POST", SESSIONS)]
    assert tried.count(NEW) == (1 if status == 202 else 2)
    assert driver.power_state(bmc.view(NEW), 5) is PowerState.ON


def test_a_password_that_was_accepted_and_does_not_count_is_told(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Some BMCs cut long ones off."""

    def cut(request: Request) -> None:
        request.seen.body["Password"] = request.seen.body["Password"][:8]
        bmc.answer(request)

    bmc.quirks["PATCH", f"{ACCOUNTS}/2"] = cut
    with pytest.raises(Refused, match="does not let it in"):
        driver.set_password(bmc.view(), NEW, 5)


@pytest.mark.parametrize("done", [True, False])
def test_a_change_whose_answer_is_lost_is_looked_into(bmc: StrictBmc, driver: RedfishOobm, done: bool) -> None:
    """The new password counts: changed. It does not: not known to be changed."""

    def hang_up(request: Request) -> None:
        if done:
            bmc.passwords[USER] = NEW
        request.close_connection = True

    bmc.quirks["PATCH", f"{ACCOUNTS}/2"] = hang_up
    if done:
        driver.set_password(bmc.view(), NEW, 5)
    else:
        with pytest.raises(Unreachable):
            driver.set_password(bmc.view(), NEW, 5)


def test_a_bmc_without_accounts_says_unsupported(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """And so does one that allows no change."""
    bmc.quirks["PATCH", "*"] = lambda request: request.complain(405, "read only")
    with pytest.raises(Unsupported):
        driver.set_password(bmc.view(), NEW, 5)
    bmc.quirks["GET", ROOT] = lambda request: request.reply(200, {"Systems": {"@odata.id": SYSTEMS}})
    with pytest.raises(Unsupported, match="no AccountService"):
        driver.set_password(bmc.view(), NEW, 5)


def test_a_user_without_an_account_there_is_refused(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Directory users have none."""
    bmc.passwords["ldap-user"] = PASSWORD
    with pytest.raises(Refused, match="no account of the user 'ldap-user'"):
        driver.set_password(bmc.view(user="ldap-user"), NEW, 5)


def test_a_bmc_that_quotes_secrets_is_not_quoted(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Words of the BMC pass into errors without password, token or new password, and nothing is logged."""

    def echo(request: Request) -> None:
        sent = {**request.seen.headers, "body": request.seen.body}
        request.complain(400, f"did not like {sent} of {PASSWORD}")

    secrets = (PASSWORD, NEW, "token-number-1", "token-number-2")
    watch = SecretWatch(*secrets, user=USER)
    logging.getLogger("redfish.rest.v1").setLevel(logging.DEBUG)
    with watch.watching():
        driver.power_state(bmc.view(), 5)
        for mode in ("auto", "basic"):
            for method in ("PATCH", "POST", "GET"):
                bmc.quirks[method, "*"] = echo
                view = bmc.view(authentication=mode)
                for call in (
                    lambda view=view: driver.set_password(view, NEW, 5),
                    lambda view=view: driver.power_action(view, PowerAction.OFF, 5),
                    lambda view=view: driver.power_state(view, 5),
                ):
                    try:
                        call()
                    except DriverError as error:
                        watch.note_error(error)
            bmc.quirks.clear()
    watch.note("driver", f"{driver!r} {vars(driver)!r}")
    watch.note("what is kept", repr([vars(kept) for kept in driver._bmcs.values()]))
    watch.assert_unseen()


def test_the_environment_changes_nothing(
    bmc: StrictBmc, driver: RedfishOobm, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Proxies and .netrc would send requests, or other credentials, elsewhere."""
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login other password different\n")
    monkeypatch.setenv("HOME", str(home))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    bmc.has_sessions = False
    assert driver.power_state(bmc.view(), 5) is PowerState.ON


def test_a_bmc_without_credentials_is_asked_without(bmc: StrictBmc, driver: RedfishOobm) -> None:
    """Lab emulators have none; no empty login is tried."""
    bmc.quirks["GET", SYSTEMS] = lambda request: request.reply(200, {"Members": [{"@odata.id": f"{SYSTEMS}/1"}]})
    bmc.quirks["GET", f"{SYSTEMS}/1"] = lambda request: request.reply(200, {"PowerState": "On"})
    view = replace(bmc.view(user=""), password=Secret(""))
    assert driver.power_state(view, 5) is PowerState.ON
    assert {seen.credentials for seen in bmc.seen} == {""}
