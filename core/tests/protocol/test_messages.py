"""Messages: what is said is what is understood, and what cannot be understood is an error that quotes nothing."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

import pytest
from holdfast.errors import (
    ConfigurationError,
    DeadlineExceeded,
    DriverError,
    HoldfastError,
    NotFound,
    Refused,
    StoreUnavailable,
    Unreachable,
    Unsupported,
)
from holdfast.model import Evidence, GuestState, Kind, Opinion, PermitGrant, Proof, ProofKind, Secret
from holdfast.model.views import DiskReading, HeartbeatReading, HostOrders, HostView, PoolView, VmReport, VmSpec
from holdfast.protocol import messages as m
from holdfast.protocol import questions as q
from holdfast.protocol.codec import from_document, to_document
from holdfast.protocol.frames import FrameReader, ProtocolError
from holdfast.protocol.tokens import JoinToken
from hypothesis import given
from hypothesis import strategies as st

HOST = HostView("h1", "host1", "KVM", "z", "p", "c", details={"a": "b"}, owner_epoch=7)
VM = VmSpec("v1", "vm1", "i-1", 2, 1000, 512, ha=True)
EVIDENCE = Evidence(Kind.POWER, "h1", Opinion.DEAD, "ipmi", 1.5)
PERMIT = PermitGrant("v1", 3, "h1", 7, Proof(ProofKind.CHASSIS_OFF, "h2", 2.0, (EVIDENCE,), 2))
POOL = PoolView("p1", "primary", "NetworkFilesystem", "nfs", "10.0.0.1", 2049, "/x", {"k": "v"})
ASKED: list[q.Asked] = [
    q.StartVm(HOST, VM, PERMIT),
    q.StopVm(HOST, "v1", 3, True),
    q.ListVms(HOST),
    q.RebootVm(HOST, "v1", 3),
    q.ExpectVm(HOST, VM, PERMIT),
    q.MigrateVm(HOST, HOST, VM, PERMIT),
    q.ObeyOrders(HOST, HostOrders((POOL,), True, {"ha.storage.lease": "10"})),
    q.PrepareHeartbeat(POOL, "h1"),
    q.WriteHeartbeat(POOL, "h1", 2**40),
    q.ReadHeartbeat(POOL, "h1", "h2"),
    q.RemoveHeartbeat(POOL, "h1"),
    q.LookAtDisks(POOL, ("vm-1.qcow2", "vm-2.qcow2"), "h2"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def sent(message: m.Message) -> m.Message:
    """Through the wire."""
    [(_, body)] = FrameReader(1 << 20).feed(m.encode(message))
    return m.decode(body)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: type(asked).__name__)
def test_questions_arrive_as_they_were_asked(asked: q.Asked) -> None:
    """With all that they carry, down to the evidence of a permit's proof."""
    found = sent(q.question(5, asked, 2.5))
    assert isinstance(found, m.Question)
    assert (found.number, found.deadline) == (5, 2.5)
    assert q.read_question(found) == asked


def test_answers_arrive_as_they_were_given() -> None:
    """Lists of VMs, readings, and nothing."""
    reports = (VmReport("v1", GuestState.RUNNING, 3), VmReport("v2", GuestState.CRASHED, 1))
    reading, disks = HeartbeatReading(4, 1.25, False), DiskReading(2, 8.5, 0.25, "vm-1.qcow2")
    for asked, value in ((ASKED[2], reports), (ASKED[9], reading), (ASKED[11], disks), (ASKED[0], None)):
        found = sent(q.answer(1, value))
        assert isinstance(found, m.Answer)
        assert q.read_answer(asked, found) == value


@pytest.mark.parametrize(
    ("thrown", "met"),
    [
        (Refused("no room"), Refused),
        (Unsupported("cannot"), Unsupported),
        (Unreachable("gone"), Unreachable),
        (DeadlineExceeded("late"), DeadlineExceeded),
        (NotFound("none"), NotFound),
        (StoreUnavailable("x"), DriverError),
        (ConfigurationError("x"), DriverError),
        (ZeroDivisionError("secret stuff"), DriverError),
    ],
)
def test_errors_keep_their_meaning(thrown: Exception, met: type[HoldfastError]) -> None:
    """`Refused` says that nothing happened, so nothing else may become it."""
    found = sent(q.failure(1, thrown))
    assert isinstance(found, m.Answer)
    with pytest.raises(met) as caught:
        q.read_answer(ASKED[0], found)
    assert type(caught.value) is met
    assert "secret stuff" not in str(caught.value)


@given(st.sampled_from(ASKED), JSON, st.text(max_size=10))
def test_nonsense_answers_are_unknown_outcomes(asked: q.Asked, value: Any, error: str) -> None:
    """Whatever an agent answers, the server gets a value of the right type or an error that is no refusal."""
    known = ("Refused", "Unsupported", "AuthenticationFailed")
    found = m.Answer(1, value, error)
    expected = HoldfastError if error in known else (DriverError, NotFound)
    try:
        result = q.read_answer(asked, found)
    except expected as problem:
        refused = isinstance(problem, Refused)
    else:
        kind, refused = type(asked).ANSWER, False
        assert result is None if kind is None else isinstance(result, (tuple, HeartbeatReading))
    assert refused is (error in known)


@given(JSON | st.binary(max_size=100))
def test_garbage_is_a_protocol_error(found: Any) -> None:
    """Never anything else, and its text never quotes what came."""
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    with pytest.raises(ProtocolError):
        m.decode(body)


@given(st.sampled_from(sorted(m._BY_NAME)), JSON)
def test_bodies_that_do_not_fit_are_protocol_errors(name: str, body: Any) -> None:
    """For every type of message."""
    try:
        found = m.decode(json.dumps({"type": name, "body": body}).encode())
    except ProtocolError:
        return
    assert type(found).__name__ == name


@given(st.sampled_from(ASKED), st.sampled_from([None, 1, "x", [], {}, True, -1.5]), st.data())
def test_a_question_with_one_wrong_part_is_refused_or_read(asked: q.Asked, wrong: Any, data: Any) -> None:
    """One part of a good question is replaced: nothing but `ProtocolError` may come of it."""
    body = json.loads(json.dumps(to_document(asked)))
    place, path = body, []
    while isinstance(place, dict) and place:
        key = data.draw(st.sampled_from(sorted(place)))
        path.append((place, key))
        place = place[key]
        if data.draw(st.booleans()):
            break
    where, key = path[-1]
    where[key] = wrong
    with contextlib.suppress(ProtocolError):
        q.read_question(m.Question(1, type(asked).__name__, body, 1.0))


def test_a_question_of_a_newer_server_is_unsupported() -> None:
    """Which says for certain that nothing happened."""
    with pytest.raises(Unsupported, match="upgrade"):
        q.read_question(m.Question(1, "MakeCoffee", {}, 1.0))


@dataclass(frozen=True)
class _Newer:
    old: int
    new: str = "default"


def test_versions_may_differ_by_fields() -> None:
    """A field that is not known is passed over; one that is not sent takes its default."""
    assert from_document(_Newer, {"old": 1}) == _Newer(1)
    assert from_document(_Newer, {"old": 1, "future": {}}) == _Newer(1)
    with pytest.raises(ProtocolError, match="old is missing"):
        from_document(_Newer, {"new": "x"})


def test_nesting_without_end_is_refused() -> None:
    """A message that would overflow the stack of its reader is none."""
    with pytest.raises(ProtocolError):
        m.decode(b"[" * 100_000)


def test_tokens_are_read_as_they_were_made_and_never_shown() -> None:
    """Also with the newline that an editor leaves behind."""
    token = JoinToken.make("ab" * 32)
    text = token.text()
    assert JoinToken.read(Secret(text.reveal() + "\n")) == token
    assert token.secret.reveal() not in repr(token)
    for garbage in ("", "holdfast1.", text.reveal()[:-1], text.reveal() + "x", "holdfast2" + text.reveal()[9:]):
        with pytest.raises(ConfigurationError) as caught:
            JoinToken.read(Secret(garbage))
        assert token.secret.reveal() not in str(caught.value)
