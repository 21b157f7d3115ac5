"""Whatever is sent: a documented answer, no traceback, and the server lives on."""

import json
import string
from urllib.parse import urlencode

import pytest
from holdfast_api.registry import Registry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOCUMENTED = {200, 400, 401, 405, 413, 429, 431, 432, 533, 534, 536}
"""530 is documented too, and never the answer to bad input alone."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
COMMANDS = sorted(name for name in Registry.collect().commands if name != "login")

garbage = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "-1", "0", "1e309", "nan", "null", "' OR 1=1 --", "<x>&amp;", "../../etc/passwd", "%00", "\x00"]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.uuids().map(str),
)
FITTING = {
    "uuid": st.uuids().map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "integer": st.integers(-2, 600).map(str),
    "long": st.integers(-2, 600).map(str),
    "short": st.integers(-2, 600).map(str),
    "float": st.floats(allow_nan=False).map(str),
    "date": st.dates().map(str),
    "list": st.lists(st.uuids().map(str), max_size=3).map(",".join),
    "string": st.text(string.ascii_letters + string.digits + " .-_", max_size=20),
}


@st.composite
def requests(draw):
    """A known command with some of its parameters, fitting or not, and some that it does not have."""
    command = Registry.collect().commands[draw(st.sampled_from(COMMANDS))]
    sent = {"command": command.name, "response": draw(st.sampled_from(["json", "xml", "yaml"]))}
    for parameter in command.parameters:
        if not (parameter.required or draw(st.booleans())):
            continue
        fitting = FITTING.get(parameter.type, garbage)
        if parameter.choices:
            fitting = st.sampled_from(parameter.choices)
        value = draw(st.one_of(fitting, fitting, garbage))
        name = f"{parameter.name}[{draw(st.integers(0, 3))}].{draw(st.text(max_size=5))}"
        sent[name if parameter.type == "map" else parameter.name] = value
    return sent | draw(st.dictionaries(st.text(min_size=1, max_size=8), garbage, max_size=2))


@settings(
    max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=requests())
def test_no_request_gets_an_undocumented_answer(api, ask, sent):
    """Over every command that listApis shows."""
    body = urlencode(sent, errors="replace").encode()
    answer = ask(api.integration_url, method="POST", body=body, headers=FORM)
    assert answer.status in DOCUMENTED, answer.body
    assert b"Traceback" not in answer.body
    assert b"incident" not in answer.body
    if sent["response"] == "json":
        [key] = json.loads(answer.body)
        assert key.endswith("response")


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.binary(max_size=60), body=st.binary(max_size=200), cookie=st.text(string.printable[:94], max_size=40))
def test_no_bytes_bring_the_server_down(api, ask, query, body, cookie):
    """Raw bytes as query, body and cookie; afterwards a proper call is answered."""
    escaped = "".join(f"%{byte:02x}" if byte < 33 or byte > 126 or byte in b"#%" else chr(byte) for byte in query)
    answer = ask(api.url, escaped, method="POST", body=body, headers=FORM | {"Cookie": f"JSESSIONID={cookie}"})
    assert answer.status in DOCUMENTED
    assert b"Traceback" not in answer.body
    assert ask(api.integration_url, {"command": "listDomains"}).status == 200


@pytest.mark.parametrize(
    "raw", [b"GARBAGE\r\n\r\n", b"GET /client/api HTTP/9.9\r\n\r\n", b"GET " + b"x" * 100_000 + b"\r\n\r\n"]
)
def test_what_is_no_http_is_refused_without_a_traceback(api, ask, raw):
    """By the HTTP library itself, in its own words."""
    import socket

    with socket.create_connection(("127.0.0.1", api.context.live["api.port"]), timeout=30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while chunk := connection.recv(65_536):
            said += chunk
    assert b"Traceback" not in said
    assert b'File "' not in said
    assert ask(api.integration_url, {"command": "listDomains"}).status == 200
