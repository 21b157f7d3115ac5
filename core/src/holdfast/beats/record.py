"""The heartbeat as it lies on the storage: 512 bytes that are either whole or nothing.

One sector, so that no disk can tear it; a checksum over all of it, so that a torn or foreign one is never believed.
"""

import hashlib
import re
import struct
from typing import Final, NamedTuple

SIZE: Final = 512
HIGHEST_SEQUENCE: Final = 2**63 - 1

_MAGIC: Final = b"HOLDBEAT"
_VERSION: Final = 1
_HEAD = struct.Struct(">8sHHQQ16s")
_DIGEST_BYTES: Final = 32
_NAME_ROOM: Final = SIZE - _HEAD.size - _DIGEST_BYTES
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BeatRecord(NamedTuple):
    """One beat. `uptime_ns` is the writer's monotonic clock, for people: no reader compares it with its own.

    `incarnation` is 16 random bytes of the writing process; a host that begins to count anew is seen to move by it.
    """

    host: str
    sequence: int
    uptime_ns: int = 0
    incarnation: bytes = bytes(16)


def name_problem(host: str) -> str:
    """Why `host` cannot name a heartbeat, or "". Names become file names: no separators, no leading dot."""
    if _NAME.fullmatch(host):
        return ""
    return f"{host[:40]!r} cannot name a heartbeat: 1 to 128 letters, digits, dots, hyphens and underscores can"


def encode(beat: BeatRecord) -> bytes:
    """`SIZE` bytes. Raises `ValueError` for a name or a sequence that no record can hold."""
    problem = name_problem(beat.host)
    if problem:
        raise ValueError(problem)
    if not 0 <= beat.sequence <= HIGHEST_SEQUENCE:
        raise ValueError(f"the sequence {beat.sequence} is not within 0 and 2^63 - 1")
    name = beat.host.encode("ascii")
    body = _HEAD.pack(_MAGIC, _VERSION, len(name), beat.sequence, beat.uptime_ns, beat.incarnation) + name
    body = body.ljust(SIZE - _DIGEST_BYTES, b"\0")
    return body + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def decode(data: bytes) -> BeatRecord:
    """The record in the first `SIZE` bytes of `data`. Raises `ValueError` saying why there is none to be believed."""
    if len(data) < SIZE:
        raise ValueError(f"{len(data)} bytes where a heartbeat has {SIZE}")
    body, digest = data[: SIZE - _DIGEST_BYTES], data[SIZE - _DIGEST_BYTES : SIZE]
    if body[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no heartbeat: it does not begin like one")
    if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise ValueError("torn or damaged: the checksum does not fit")
    _, version, length, sequence, uptime_ns, incarnation = _HEAD.unpack_from(body)
    if version != _VERSION:
        raise ValueError(f"written in version {version}; this program reads version {_VERSION}")
    if length > _NAME_ROOM or sequence > HIGHEST_SEQUENCE:
        raise ValueError("its fields are out of range")
    name = body[_HEAD.size : _HEAD.size + length].decode("ascii", "replace")
    if name_problem(name):
        raise ValueError(name_problem(name))
    return BeatRecord(name, sequence, uptime_ns, incarnation)


def is_blank(data: bytes) -> bool:
    """Whether nothing was ever written there."""
    return not any(data)
