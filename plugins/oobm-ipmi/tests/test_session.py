"""pyghmi's session engine, fed with whatever a network may bring."""

from collections.abc import Callable

import pytest
from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast_oobm_ipmi import rmcp_session
from holdfast_oobm_ipmi.chassis import read_status
from holdfast_oobm_ipmi.rmcp_session import Event, Progress, Reply, RmcpSession, check_pyghmi
from holdfast_oobm_ipmi.target import Target
from hypothesis import given
from hypothesis import strategies as st

SECRET = "S3cret-of-bmc!"
TARGET = Target("h1", "192.0.2.1", 623, b"root", Secret(SECRET))
RMCP = b"\x06\x00\xff\x07"

kinds = st.sampled_from([0x00, 0x06, 0x10, 0x11, 0x12, 0x13, 0x15, 0x40, 0xC0, 0xC1])
packets = st.one_of(
    st.binary(max_size=120),
    st.binary(max_size=120).map(lambda rest: RMCP + b"\x00" + bytes(9) + rest),
    st.tuples(kinds, st.binary(max_size=120)).map(lambda pair: RMCP + b"\x06" + bytes([pair[0]]) + pair[1]),
)


def _session() -> tuple[RmcpSession, list[bytes], list[Event]]:
    sent: list[bytes] = []
    events: list[Event] = []
    return RmcpSession(TARGET, sent.append, events.append), sent, events


@given(st.lists(packets, max_size=20), st.booleans())
def test_no_packet_breaks_a_login_or_lets_itself_in(received: list[bytes], ask_capabilities: bool) -> None:
    """Noise of all lengths and kinds is dropped: no exception, no session, no answer."""
    session, _, events = _session()
    session.begin(ask_capabilities)
    for packet in received:
        session.feed(packet)
    assert not session.established
    assert not any(isinstance(event, Reply) for event in events)


def _capabilities(request: bytes) -> bytes:
    head = bytes([request[17], (request[15] | 4) & 0xFC])
    body = bytes([request[14], request[18], request[19], 0, 1, 0x80, 4, 2, 0, 0, 0, 0])
    message = head + bytes([-sum(head) & 0xFF]) + body + bytes([-sum(body) & 0xFF])
    return RMCP + bytes(9) + bytes([len(message)]) + message


def test_a_login_goes_on_with_the_right_answer_only() -> None:
    """The answer counts once; doubled it does nothing more."""
    session, sent, events = _session()
    session.begin()
    answer = _capabilities(sent[0])
    session.feed(answer)
    assert events == [Progress()]
    assert len(sent) == 2
    session.feed(answer)
    assert (events, len(sent)) == ([Progress()], 2)


def test_each_login_has_numbers_of_its_own() -> None:
    """So that an answer to an earlier attempt is not taken for one to this."""
    session, sent, _ = _session()
    for _ in range(20):
        session.begin(ask_capabilities=False)
    console_ids = {packet[20:24] for packet in sent}
    assert len(console_ids) == 20


def test_no_secret_is_in_a_repr() -> None:
    """Nor in what is sent before the keys are agreed."""
    session, sent, _ = _session()
    session.begin()
    assert SECRET not in repr(session)
    assert not any(SECRET.encode() in packet for packet in sent)


@given(st.binary(max_size=8))
def test_off_is_only_read_from_a_plain_off(data: bytes) -> None:
    """Of all answers, those that are long enough and have neither the power bit, a control fault nor an odd bit."""
    state = read_status(data)
    assert (state is PowerState.OFF) == (len(data) >= 3 and data[0] & 0x91 == 0)
    assert (state is PowerState.ON) == (len(data) >= 3 and data[0] & 0x01 == 1)


def test_the_installed_pyghmi_is_one_that_works() -> None:
    """The parts that are used are there."""
    check_pyghmi()


def test_another_pyghmi_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without a part that is used is named, rather than failing when a host has to be fenced."""
    monkeypatch.setattr(rmcp_session, "Session", type("Session", (), {"_initsession": _nothing}))
    with pytest.raises(ConfigurationError, match="_got_rakp2"):
        check_pyghmi()


_nothing: Callable[..., None] = lambda _self: None  # noqa: E731
