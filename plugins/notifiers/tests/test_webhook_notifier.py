"""Notices POSTed to a real HTTP server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from holdfast.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DeadlineExceeded,
    HoldfastError,
    Refused,
    Unreachable,
)
from holdfast.hooks.notifier import Notice
from holdfast.model import Secret
from holdfast_notifiers.webhook import WebhookNotifier

NOTICE = Notice(
    "event", "HOST.FENCED", "ERROR", "h1 fenced", "ran ipmi with password=hunter2", 1700000000.0, "h1",
    {"apikey": "topsecret", "bmc": "10.0.0.1"},
)  # fmt: skip


class Receiver:
    """An HTTP server that answers as told and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: self.status(handler, 204)
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.command, self.path, dict(self.headers), body))
                receiver.answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @staticmethod
    def status(handler: BaseHTTPRequestHandler, code: int, location: str = "") -> None:
        """Answer with a status and nothing else."""
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def stop(self) -> None:
        """Free the port."""
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A server, reached without any proxy of the machine the test runs on."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Receiver()
    yield made
    made.stop()


def webhook(url: str, token: str = "", timeout: float = 5.0) -> WebhookNotifier:
    """A notifier with the settings the loader would give."""
    return WebhookNotifier({"url": Secret(url), "bearer_token": Secret(token), "timeout": timeout})


def test_a_notice_arrives_as_json_with_secrets_masked(receiver: Receiver) -> None:
    """What looks like a password or a key does not leave, wherever in the notice it stands."""
    webhook(f"{receiver.url}/hook?x=1", "tok").notify(NOTICE, 5.0)
    ((method, path, headers, body),) = receiver.got
    assert (method, path) == ("POST", "/hook?x=1")
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer tok"
    assert json.loads(body) == {
        "kind": "event", "name": "HOST.FENCED", "level": "ERROR", "subject": "h1 fenced",
        "text": "ran ipmi with password=****", "at": "2023-11-14T22:13:20+00:00", "resource": "h1",
        "facts": {"apikey": "****", "bmc": "10.0.0.1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, Unreachable), (503, Unreachable), (429, Unreachable), (408, Unreachable),
        (400, Refused), (404, Refused), (401, AuthenticationFailed), (403, AuthenticationFailed),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_success_says_whether_to_try_again(
    receiver: Receiver, status: int, error: type[HoldfastError]
) -> None:
    """`Unreachable` is for what may pass, `Refused` for what will not."""
    receiver.answer = lambda handler: receiver.status(handler, status)
    with pytest.raises(error, match=f"answered {status}") as caught:
        webhook(f"{receiver.url}/T0K3N", "tok").notify(NOTICE, 5.0)
    assert type(caught.value) is error
    assert "T0K3N" not in str(caught.value)


def test_nobody_there_is_unreachable(receiver: Receiver) -> None:
    """A refused connection may be accepted later; the error shows the host, never the path."""
    receiver.stop()
    with pytest.raises(
        Unreachable, match=r"webhook http://127\.0\.0\.1:\d+ cannot be reached: Connection refused"
    ) as e:
        webhook(f"{receiver.url}/T0K3N").notify(NOTICE, 5.0)
    assert "T0K3N" not in str(e.value)


def test_a_redirect_to_another_host_is_not_followed(receiver: Receiver) -> None:
    """Neither the notice nor the token goes where the answer points."""
    other = Receiver()
    try:
        receiver.answer = lambda handler: receiver.status(handler, 307, f"{other.url}/stolen")
        with pytest.raises(Refused, match="redirect that is not followed"):
            webhook(receiver.url, "tok").notify(NOTICE, 5.0)
        assert other.got == []
    finally:
        other.stop()


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_lose_the_notice_is_not_followed(receiver: Receiver, status: int) -> None:
    """A POST turned into a GET would look delivered."""
    receiver.answer = lambda handler: receiver.status(handler, status, "/elsewhere")
    with pytest.raises(Refused, match="redirect that is not followed"):
        webhook(receiver.url).notify(NOTICE, 5.0)
    assert len(receiver.got) == 1


def test_a_redirect_within_the_same_origin_keeps_notice_and_token(receiver: Receiver) -> None:
    """308 to another path is followed with the same body."""

    def once(handler: BaseHTTPRequestHandler) -> None:
        receiver.status(handler, *((308, "/new") if handler.path == "/" else (200,)))

    receiver.answer = once
    webhook(f"{receiver.url}/", "tok").notify(NOTICE, 5.0)
    (first, second) = receiver.got
    assert second[:2] == ("POST", "/new")
    assert second[3] == first[3]
    assert second[2]["Authorization"] == "Bearer tok"


def test_silence_ends_at_the_deadline(receiver: Receiver) -> None:
    """The smaller of the caller's deadline and the setting counts."""

    def silent(_handler: BaseHTTPRequestHandler) -> None:
        receiver.released.wait(30)

    receiver.answer = silent
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        webhook(receiver.url).notify(NOTICE, 0.2)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
        webhook(receiver.url, timeout=0.3).notify(NOTICE, 20.0)


def test_an_answer_byte_by_byte_ends_at_the_deadline(receiver: Receiver) -> None:
    """Each byte in time is not the answer in time."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not receiver.released.wait(0.05):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    receiver.answer = drip
    with pytest.raises(DeadlineExceeded):
        webhook(receiver.url).notify(NOTICE, 0.4)


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "x", "http://[::1", "http://a b/", "http://x:port/", "file:///etc"]
)
def test_a_url_that_cannot_be_posted_to_is_refused_without_showing_it(url: str) -> None:
    """At construction, so at start."""
    with pytest.raises(ConfigurationError, match="allowed is an http or https URL") as caught:
        webhook(url)
    assert url not in str(caught.value).replace("http or https", "")
