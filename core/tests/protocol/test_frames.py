"""Frames: whatever bytes come in, in whatever pieces, either the frames that were sent come out or an error."""

import contextlib
from uuid import UUID

import pytest
from holdfast.model.views import LifeGrant
from holdfast.protocol import frames as f
from hypothesis import given
from hypothesis import strategies as st

KINDS = st.sampled_from(list(f.FrameKind))
NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)
FRAMES = st.lists(st.tuples(KINDS, st.binary(max_size=200)), max_size=20)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data`, cut somewhere."""
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


@given(FRAMES, st.lists(st.integers(min_value=0, max_value=10_000), max_size=30))
def test_frames_come_out_as_they_went_in(sent: list[tuple[f.FrameKind, bytes]], cuts: list[int]) -> None:
    """However the stream is cut."""
    reader = f.FrameReader()
    found = [one for piece in pieces(b"".join(f.frame(*one) for one in sent), cuts) for one in reader.feed(piece)]
    assert found == sent


@given(st.binary(max_size=2000), st.lists(st.integers(min_value=0, max_value=10_000), max_size=10))
def test_garbage_is_an_error_or_frames_and_never_more(data: bytes, cuts: list[int]) -> None:
    """Nothing but `ProtocolError` comes of it, and no frame is larger than the limit."""
    reader = f.FrameReader(limit=100)
    with contextlib.suppress(f.ProtocolError):
        for piece in pieces(data, cuts):
            assert all(len(body) <= 100 for _, body in reader.feed(piece))


@given(NUMBERS, st.booleans(), st.booleans())
def test_beats_are_read_as_they_were_written(sequence: int, armed: bool, adrift: bool) -> None:
    """Agents' beats and those that another server passes on."""
    [(kind, body)] = f.FrameReader().feed(f.beat_frame(sequence, armed, adrift))
    assert kind is f.FrameKind.BEAT
    assert f.read_beat(body) == (sequence, armed, adrift)
    host = bytes(range(16))
    [(kind, body)] = f.FrameReader().feed(f.host_beat_frame(host, sequence, armed, adrift))
    assert kind is f.FrameKind.HOST_BEAT
    assert f.read_host_beat(body) == (host, sequence, armed, adrift)
    [(kind, body)] = f.FrameReader().feed(f.heard_frame(sequence))
    assert f.read_heard(body) == sequence


@given(st.uuids(), NUMBERS, NUMBERS, st.text(min_size=1, max_size=16))
def test_grants_are_read_as_they_were_written(host: UUID, sequence: int, epoch: int, boot_id: str) -> None:
    """To an agent, and to the server that has it."""
    granted = LifeGrant(str(host), boot_id, sequence, epoch)
    [(kind, body)] = f.FrameReader().feed(f.grant_frame(granted))
    assert kind is f.FrameKind.GRANT
    assert f.read_grant(body, str(host)) == granted
    [(kind, body)] = f.FrameReader().feed(f.host_grant_frame(granted))
    assert kind is f.FrameKind.HOST_GRANT
    assert f.read_host_grant(body) == granted


@pytest.mark.parametrize("boot", [b"", b"\xff", b"x" * 65])
def test_a_grant_that_names_no_boot_is_an_error(boot: bytes) -> None:
    """It could be meant for any."""
    for read, numbers in ((lambda body: f.read_grant(body, "h"), 16), (f.read_host_grant, 32)):
        with pytest.raises(f.ProtocolError, match="names no boot"):
            read(bytes(numbers) + boot)


def test_an_announced_giant_is_refused_before_it_is_awaited() -> None:
    """Somebody who announces four gigabytes must not make the receiver wait for them, or keep them."""
    with pytest.raises(f.ProtocolError, match="at most"):
        f.FrameReader().feed(f.HEADER.pack(2**32 - 1, f.FrameKind.MESSAGE))


@given(st.binary(max_size=40))
def test_bodies_of_the_wrong_length_are_errors(body: bytes) -> None:
    """A beat is a beat."""
    for read, length in ((f.read_beat, 9), (f.read_heard, 8), (f.read_host_beat, 25)):
        if len(body) != length:
            with pytest.raises(f.ProtocolError):
                read(body)
