"""Frames: four bytes of length, one byte of kind, the body. The length is that of the body.

Beats are what a server hears ten thousand times a second, so they have a fixed body instead of JSON.
"""

import struct
from enum import IntEnum
from typing import Any
from uuid import UUID

from holdfast.errors import HoldfastError
from holdfast.model.views import LifeGrant

HEADER = struct.Struct("!IB")
MESSAGE_LIMIT = 4 << 20
"""Bytes of the largest body between those who know each other."""
STRANGER_LIMIT = 64 << 10
"""Bytes of the largest body from somebody who has not said who he is."""

_BEAT = struct.Struct("!QB")
_HOST_BEAT = struct.Struct("!16sQB")
_HEARD = struct.Struct("!Q")
_GRANT = struct.Struct("!QQ")
_HOST_GRANT = struct.Struct("!16sQQ")
_LONGEST_BOOT_ID = 64
_ARMED = 1
_ADRIFT = 2
_BEAT_FRAME = struct.Struct("!IBQB")


class ProtocolError(HoldfastError):
    """The other side sent what it must not. The connection cannot be used any more."""


class FrameKind(IntEnum):
    """What is in a frame."""

    MESSAGE = 1
    BEAT = 2
    """Agent to server: a sequence number, whether the watchdog is armed, and whether the host is adrift."""
    HEARD = 3
    """Server to agent: the sequence number of the newest beat that it heard."""
    HOST_BEAT = 4
    """Server to server: a beat, with the uuid of the host that it came from."""
    GRANT = 5
    """Server to agent: a `LifeGrant`, as the host's owner said it."""
    HOST_GRANT = 6
    """Server to server: a `LifeGrant` for a host whose agent is connected to the server that is told."""


BEAT_FRAME_LENGTH = _BEAT_FRAME.size


def frame(kind: FrameKind, body: bytes) -> bytes:
    """One frame. `ProtocolError` if the body is larger than any receiver would take."""
    if len(body) > MESSAGE_LIMIT:
        raise ProtocolError(f"a message of {len(body)} bytes is not sent; at most {MESSAGE_LIMIT} are")
    return HEADER.pack(len(body), kind) + body


def beat_frame(sequence: int, armed: bool, adrift: bool = False) -> bytes:
    """A beat, as it is sent."""
    return _BEAT_FRAME.pack(_BEAT.size, FrameKind.BEAT, sequence, _flags(armed, adrift))


def heard_frame(sequence: int) -> bytes:
    """The answer to a beat."""
    return HEADER.pack(_HEARD.size, FrameKind.HEARD) + _HEARD.pack(sequence)


def host_beat_frame(host: bytes, sequence: int, armed: bool, adrift: bool) -> bytes:
    """Another server's host beat; `host` is the sixteen bytes of its uuid."""
    return frame(FrameKind.HOST_BEAT, _HOST_BEAT.pack(host, sequence, _flags(armed, adrift)))


def grant_frame(grant: LifeGrant) -> bytes:
    """A grant to the agent itself."""
    return frame(FrameKind.GRANT, _GRANT.pack(grant.sequence, grant.owner_epoch) + grant.boot_id.encode())


def host_grant_frame(grant: LifeGrant) -> bytes:
    """A grant to the server that the host's agent is connected to."""
    host = UUID(grant.host_uuid).bytes
    body = _HOST_GRANT.pack(host, grant.sequence, grant.owner_epoch) + grant.boot_id.encode()
    return frame(FrameKind.HOST_GRANT, body)


def read_beat(body: bytes) -> tuple[int, bool, bool]:
    """Sequence, armed, adrift."""
    sequence, flags = _unpacked(_BEAT, body)
    return sequence, bool(flags & _ARMED), bool(flags & _ADRIFT)


def read_heard(body: bytes) -> int:
    """Sequence."""
    (sequence,) = _unpacked(_HEARD, body)
    return int(sequence)


def read_host_beat(body: bytes) -> tuple[bytes, int, bool, bool]:
    """Uuid, sequence, armed, adrift."""
    host, sequence, flags = _unpacked(_HOST_BEAT, body)
    return host, sequence, bool(flags & _ARMED), bool(flags & _ADRIFT)


def read_grant(body: bytes, host_uuid: str) -> LifeGrant:
    """A grant that came to the agent of `host_uuid`."""
    sequence, owner_epoch = _unpacked(_GRANT, body[: _GRANT.size])
    return LifeGrant(host_uuid, _boot_id(body[_GRANT.size :]), sequence, owner_epoch)


def read_host_grant(body: bytes) -> LifeGrant:
    """A grant to be passed on."""
    host, sequence, owner_epoch = _unpacked(_HOST_GRANT, body[: _HOST_GRANT.size])
    return LifeGrant(str(UUID(bytes=host)), _boot_id(body[_HOST_GRANT.size :]), sequence, owner_epoch)


def _flags(armed: bool, adrift: bool) -> int:
    return (_ARMED if armed else 0) | (_ADRIFT if adrift else 0)


def _boot_id(body: bytes) -> str:
    try:
        found = body.decode()
    except UnicodeDecodeError:
        found = ""
    if not found or len(body) > _LONGEST_BOOT_ID:
        raise ProtocolError("a grant names no boot")
    return found


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
