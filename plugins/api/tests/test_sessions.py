"""login, logout, and what a session demands of each call."""

import threading
from urllib.parse import urlencode

import pytest
from holdfast.hooks.store import Query, Update
from holdfast.model import ApiSession, Event, Secret, User
from holdfast_api import passwords
from holdfast_api.bootstrap import PASSWORD_VARIABLE, ensure_admin
from holdfast_api.throttle import FREE_FAILURES, FREE_FAILURES_PER_ADDRESS, LONGEST_WAIT_SECONDS, Throttle
from holdfast_conformance.model_store import ModelStore

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def login(ask, password):
    def logging_in(api, **changes):
        sent = {"command": "login", "username": "admin", "password": password, "response": "json", **changes}
        return ask(api.url, method="POST", body=urlencode(sent).encode(), headers=FORM)

    return logging_in


@pytest.fixture
def session(api, login):
    """Headers and parameters of a live session."""
    answer = login(api)
    cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    return {"Cookie": cookies}, {"sessionkey": answer.json["loginresponse"]["sessionkey"]}


def test_login_answers_as_cloudstack_does(api, login):
    """Flat envelope, both cookies, HttpOnly and SameSite Lax."""
    answer = login(api, domain="/")
    said = answer.json["loginresponse"]
    assert said["username"] == said["account"] == "admin"
    assert said["type"] == "1"
    assert said["timeout"] == 1800
    assert said["registered"] == "false"
    assert set(answer.cookies) == {"JSESSIONID", "sessionkey"}
    assert answer.cookies["sessionkey"] == said["sessionkey"]
    for line in answer.headers.get_all("Set-Cookie"):
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wrong"}, {"username": "nobody"}, {"domain": "/other"}, {"domainId": "2"}],
)
def test_a_wrong_login_says_nothing_about_what_was_wrong(api, login, wrong):
    """One text for all, in the login's own envelope, and no cookie."""
    answer = login(api, **wrong)
    assert answer.status == 401
    assert answer.json["loginresponse"]["errortext"].startswith("failed to authenticate")
    assert answer.cookies == {}


def test_a_login_without_a_password_is_431(api, login):
    """A missing parameter is named."""
    answer = login(api, password="")
    assert answer.status == 431
    assert "password" in answer.json["loginresponse"]["errortext"]


def test_a_session_carries_calls(api, ask, session):
    """Cookie and key together."""
    headers, key = session
    assert ask(api.url, {"command": "listUsers", **key}, headers=headers).status == 200


@pytest.mark.parametrize("key", [{}, {"sessionkey": "wrong"}, {"sessionkey": ""}])
def test_a_session_without_its_key_is_401(api, ask, session, key):
    """Another site's page sends the cookies, and cannot know the key."""
    answer = ask(api.url, {"command": "listUsers", **key}, headers=session[0])
    assert answer.status == 401
    assert list(answer.json) == ["errorresponse"]


def test_the_key_and_its_cookie_must_agree(api, ask, session):
    """CookieAndParameter."""
    headers, key = session
    forged = {"Cookie": headers["Cookie"].replace(f"sessionkey={key['sessionkey']}", "sessionkey=other")}
    assert ask(api.url, {"command": "listUsers", **key}, headers=forged).status == 401


def test_any_server_honours_a_session(api, start, store, ask, session):
    """Sessions are in the store, not in a process (M1.1)."""
    other = start(store)
    headers, key = session
    assert ask(other.url, {"command": "listUsers", **key}, headers=headers).status == 200


def test_the_store_has_hashes_only(store, session):
    """Who reads the table cannot use the session."""
    headers, key = session
    [row] = store.select(ApiSession, Query())
    assert row.session_hash not in headers["Cookie"]
    assert row.key_hash != key["sessionkey"]


def test_logout_ends_the_session(api, ask, session, store):
    """On every server, and the cookies are taken back."""
    headers, key = session
    answer = ask(api.url, {"command": "logout", **key}, headers=headers)
    assert answer.json == {"logoutresponse": {"description": "success"}}
    assert set(answer.cookies) == {"JSESSIONID", "sessionkey"}
    assert store.count(ApiSession, Query()) == 0
    assert ask(api.url, {"command": "listUsers", **key}, headers=headers).status == 401


def test_an_idle_session_ends(api, ask, session, store):
    """api.session.timeout seconds after the last call."""
    headers, key = session
    [row] = store.select(ApiSession, Query())
    store.commit([Update(ApiSession, row.id, {"last_used": row.last_used - 1900})])
    assert ask(api.url, {"command": "listUsers", **key}, headers=headers).status == 401


def test_a_used_session_lives_on(api, ask, session, store):
    """A call moves the time of last use, though not every call writes."""
    headers, key = session
    [row] = store.select(ApiSession, Query())
    store.commit([Update(ApiSession, row.id, {"last_used": row.last_used - 1000})])
    assert ask(api.url, {"command": "listUsers", **key}, headers=headers).status == 200
    [used] = store.select(ApiSession, Query())
    assert used.last_used >= row.last_used
    ask(api.url, {"command": "listUsers", **key}, headers=headers)
    assert store.select(ApiSession, Query()) == [used]


def test_sessions_that_ended_are_cleared_away_by_later_logins(api, login, store):
    """The table does not grow for ever."""
    login(api)
    [row] = store.select(ApiSession, Query())
    store.commit([Update(ApiSession, row.id, {"last_used": 0.0})])
    login(api)
    assert store.count(ApiSession, Query()) == 1


def test_logins_are_events(api, login, store):
    """And never carry the password."""
    login(api)
    [event] = store.select(Event, Query(equal={"type": "USER.LOGIN"}))
    assert "127.0.0.1" in event.description


def test_guessing_is_refused_for_the_guesser_alone(api, login, ask, start, store):
    """When the line of waiting guesses is too long: 429. Somebody else, and another user, log in as before."""
    throttle = api.service._server._throttle
    for _ in range(40):
        throttle.failed("admin", "127.0.0.1")
        throttle.turn("admin", "127.0.0.1")
    assert login(api).status == 429
    assert login(start(store, trusted_proxies=("127.0.0.0/8",))).status == 200


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_the_first_failures_are_free():
    """People mistype."""
    throttle = Throttle(Clock())
    for _ in range(FREE_FAILURES):
        assert throttle.turn("admin", "a") == 0.0
        throttle.failed("admin", "a")


def test_guesses_sent_at_once_wait_in_line():
    """Each is given a later turn than the one before, until the line is too long."""
    throttle = Throttle(Clock())
    for _ in range(FREE_FAILURES):
        throttle.failed("admin", "a")
    turns = [throttle.turn("admin", "a") for _ in range(100)]
    waits = [turn for turn in turns if turn is not None]
    assert waits == sorted(set(waits))
    assert max(waits) <= LONGEST_WAIT_SECONDS
    assert turns[-1] is None


def test_failures_slow_down_nobody_else():
    """Another address, and another user at the same address."""
    throttle = Throttle(Clock())
    for _ in range(FREE_FAILURES + 10):
        throttle.failed("admin", "a")
        throttle.turn("admin", "a")
    assert throttle.turn("admin", "b") == 0.0
    assert throttle.turn("other", "a") == 0.0


def test_trying_many_names_from_one_address_is_slowed_down_too():
    """Password spraying."""
    throttle = Throttle(Clock())
    for number in range(FREE_FAILURES_PER_ADDRESS):
        throttle.failed(f"user{number}", "a")
    assert throttle.turn("fresh", "a") == 0.0
    assert throttle.turn("fresh2", "a") > 0.0


def test_failures_are_forgotten_with_success_and_with_time():
    """By the monotonic clock."""
    clock = Clock()
    throttle = Throttle(clock)
    for forget in (lambda: throttle.passed("admin", "a"), lambda: setattr(clock, "now", clock.now + 1000)):
        for _ in range(FREE_FAILURES + 3):
            throttle.failed("admin", "a")
            throttle.turn("admin", "a")
        assert throttle.turn("admin", "a") > 0.0
        forget()
        assert throttle.turn("admin", "a") == 0.0


def test_a_password_fits_its_own_hash_only():
    """scrypt with a salt; an unreadable hash fits nothing."""
    first, second = passwords.hashed(Secret("한글 pass")), passwords.hashed(Secret("한글 pass"))
    assert first != second
    assert passwords.matches(Secret("한글 pass"), first)
    assert not passwords.matches(Secret("other"), first)
    for broken in ("", "scrypt$1$2", "md5$1$2$3$4$5", "scrypt$x$8$1$AA==$AA==", "scrypt$3$8$1$AA==$AA=="):
        assert not passwords.matches(Secret(""), broken)


def test_admin_is_made_once_by_many_servers(monkeypatch):
    """Eight at the same time: one account, one user, one password shown, and it is the right one."""
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    store, shown = ModelStore(), []
    together = threading.Barrier(8)

    def server():
        together.wait()
        ensure_admin(store, shown.append)

    threads = [threading.Thread(target=server) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [user] = store.select(User, Query())
    [text] = shown
    assert any(passwords.matches(Secret(word), user.password) for word in text.split())
    ensure_admin(store, shown.append)
    assert len(shown) == 1


def test_a_given_password_is_not_shown(monkeypatch):
    """HOLDFAST_ADMIN_PASSWORD is used and stays unsaid."""
    monkeypatch.setenv(PASSWORD_VARIABLE, "given one")
    store, shown = ModelStore(), []
    ensure_admin(store, shown.append)
    assert shown == []
    assert passwords.matches(Secret("given one"), store.select(User, Query())[0].password)
