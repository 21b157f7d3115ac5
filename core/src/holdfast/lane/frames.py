"""What travels between a lane and its process: JSON behind a length, and never more than `LARGEST` bytes of it."""

import json
import struct
from typing import Any, Final

LARGEST: Final = 4 << 20
_LENGTH = struct.Struct(">I")


def pack(message: Any) -> bytes:
    """The frame of `message`. Raises `ValueError` if it is too large."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise ValueError(f"a message of {len(body)} bytes; at most {LARGEST} fit")
    return _LENGTH.pack(len(body)) + body


def unpack(buffer: bytearray) -> Any | None:
    """Take the first whole message out of `buffer`; None if it is not all there yet.

    Raises `ValueError` if what is there cannot be a frame.
    """
    if len(buffer) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(buffer)
    if length > LARGEST:
        raise ValueError(f"a frame claims {length} bytes; at most {LARGEST} are allowed")
    end = _LENGTH.size + length
    if len(buffer) < end:
        return None
    body = bytes(buffer[_LENGTH.size : end])
    del buffer[:end]
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a frame holds no message")
    return message
