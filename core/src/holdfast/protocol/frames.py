"""Frames: four bytes of length, one byte of kind, the body. The length is that of the body.

Beats are what a server hears ten thousand times a second, so they have a fixed body instead of JSON.
"""

import struct
from enum import IntEnum
from typing import Any

from holdfast.errors import HoldfastError

HEADER = struct.Struct("!IB")
MESSAGE_LIMIT = 4 << 20
"""Bytes of the largest body between those who know each other."""
STRANGER_LIMIT = 64 << 10
"""Bytes of the largest body from somebody who has not said who he is."""

_BEAT = struct.Struct("!QB")
_HOST_BEAT = struct.Struct("!16sQB")
_HEARD = struct.Struct("!Q")
_ARMED = 1
_BEAT_FRAME = struct.Struct("!IBQB")


class ProtocolError(HoldfastError):
    """The other side sent what it must not. The connection cannot be used any more."""


class FrameKind(IntEnum):
    """What is in a frame."""

    MESSAGE = 1
    BEAT = 2
    """Agent to server: a sequence number and whether the watchdog is armed."""
    HEARD = 3
    """Server to agent: the sequence number of the newest beat that it heard."""
    HOST_BEAT = 4
    """Server to server: a beat, with the uuid of the host that it came from."""


BEAT_FRAME_LENGTH = _BEAT_FRAME.size


def frame(kind: FrameKind, body: bytes) -> bytes:
    """One frame. `ProtocolError` if the body is larger than any receiver would take."""
    if len(body) > MESSAGE_LIMIT:
        raise ProtocolError(f"a message of {len(body)} bytes is not sent; at most {MESSAGE_LIMIT} are")
    return HEADER.pack(len(body), kind) + body


def beat_frame(sequence: int, armed: bool) -> bytes:
    """A beat, as it is sent."""
    return _BEAT_FRAME.pack(_BEAT.size, FrameKind.BEAT, sequence, _ARMED if armed else 0)


def heard_frame(sequence: int) -> bytes:
    """The answer to a beat."""
    return HEADER.pack(_HEARD.size, FrameKind.HEARD) + _HEARD.pack(sequence)


def host_beat_frame(host: bytes, sequence: int, armed: bool) -> bytes:
    """Another server's host beat; `host` is the sixteen bytes of its uuid."""
    return HEADER.pack(_HOST_BEAT.size, FrameKind.HOST_BEAT) + _HOST_BEAT.pack(host, sequence, _ARMED if armed else 0)


def read_beat(body: bytes) -> tuple[int, bool]:
    """Sequence, armed."""
    sequence, flags = _unpacked(_BEAT, body)
    return sequence, bool(flags & _ARMED)


def read_heard(body: bytes) -> int:
    """Sequence."""
    (sequence,) = _unpacked(_HEARD, body)
    return int(sequence)


def read_host_beat(body: bytes) -> tuple[bytes, int, bool]:
    """Uuid, sequence, armed."""
    host, sequence, flags = _unpacked(_HOST_BEAT, body)
    return host, sequence, bool(flags & _ARMED)


def _unpacked(layout: struct.Struct, body: bytes) -> tuple[Any, ...]:
    if len(body) != layout.size:
        raise ProtocolError(f"a body of {len(body)} bytes stands where {layout.size} belong")
    return layout.unpack(body)


class FrameReader:
    """Cuts a stream of bytes into frames. `limit` may be raised once the other side is known."""

    def __init__(self, limit: int = STRANGER_LIMIT) -> None:
        self.limit = limit
        self._pending = b""

    def feed(self, data: bytes) -> list[tuple[FrameKind, bytes]]:
        """The frames that are complete now. `ProtocolError` if one cannot be right: then close the connection."""
        if self._pending:
            data = self._pending + data
        found: list[tuple[FrameKind, bytes]] = []
        at, size = 0, len(data)
        while size - at >= HEADER.size:
            length, number = HEADER.unpack_from(data, at)
            if length > self.limit:
                raise ProtocolError(f"a frame of {length} bytes was announced; at most {self.limit} are taken")
            kind = _KINDS.get(number)
            if kind is None:
                raise ProtocolError(f"frames of kind {number} are not known; the other side speaks something else")
            end = at + HEADER.size + length
            if end > size:
                break
            found.append((kind, data[at + HEADER.size : end]))
            at = end
        self._pending = data[at:]
        return found


_KINDS = {int(kind): kind for kind in FrameKind}
