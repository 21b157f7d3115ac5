"""Nothing that looks like a secret reaches a log line."""

import io
import logging
from collections.abc import Iterator

import pytest
from holdfast.log_output import redact, start_logging
from holdfast.model import Secret
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the log writes; the root logger is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    start_logging("info", written)
    yield written
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "password = 'hunter2'",
        'Password: "hunter2"',
        "{'password': 'hunter2', 'x': 1}",
        '{"secretkey":"hunter2"}',
        "GET /client/api?command=x&apikey=hunter2&signature=hunter2 HTTP/1.1",
        "secretKey=hunter2;",
        "secret_key: hunter2",
        "sessionkey=hunter2",
        "JSESSIONID=hunter2",
        "token=hunter2",
        "token: 'hunter2'",
        "signature%3Dhunter2",
        "bmc_password=hunter2",
        "newpassword=hunter2",
        "Authorization: Bearer hunter2",
        "authorization='Basic hunter2'",
        "mysql://cloud:hunter2@db:3306/cloud",
        "ipmitool -I lanplus -U admin -P hunter2 power status",
        r'password="a\"hunter2"',
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    """The name stays, the value goes."""
    assert "hunter2" not in redact(text)
    assert "****" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "method power_state has the wrong signature: it is (self)",
        "host h1 is silent for 3.0 s",
        "unexpected token: end of line",
        "configuration: key_file=/etc/holdfast/secret.key",
        "http://sim/host-1:8250/x@y",
        "password=Secret(****)",
    ],
)
def test_plain_words_stay(text: str) -> None:
    """A mask where nothing is secret would hide what the reader needs."""
    assert redact(text) == text


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=8))
def test_any_value_of_a_password_parameter_is_masked(value: str) -> None:
    """Whatever the value, bare or quoted."""
    for text in (f"password={value}", f'"password": "{value}"', f"x?password={value}&y=1"):
        assert redact(text) == text.replace(value, "****").replace('"****"', "****")


def test_redacting_twice_changes_nothing_more() -> None:
    """Errors are redacted when made and again when logged."""
    once = redact("password=hunter2 token='x' mysql://a:b@c/d")
    assert redact(once) == once


def test_lines_have_time_level_and_logger(stream: io.StringIO) -> None:
    """In UTC, so that lines of several servers compare."""
    logging.getLogger("holdfast.x").warning("one %s", "two")
    assert stream.getvalue().endswith("Z WARNING holdfast.x: one two\n")
    assert stream.getvalue()[10] == "T"


def test_arguments_and_tracebacks_are_redacted_too(stream: io.StringIO) -> None:
    """The whole text is, not only the message."""
    try:
        raise OSError("login password=hunter2 refused")
    except OSError:
        logging.getLogger("other.library").exception("tried %s", {"secretkey": "hunter2"})
    assert "Traceback" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_a_secret_shows_nothing(stream: io.StringIO) -> None:
    """The first line of defence needs no help."""
    logging.getLogger("x").error("%s %r", Secret("hunter2"), {"password": Secret("hunter2")})
    assert "hunter2" not in stream.getvalue()
