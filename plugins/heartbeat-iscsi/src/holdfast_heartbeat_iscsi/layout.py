"""How heartbeats lie on a disk: a header, then 255 slots of 4 KiB; 1 MiB in all. Pure: no disk is touched here.

Block 0 says whose area this is. Each host has one slot, whose first 512 bytes are its record and whose rest is zero.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from holdfast.beats.record import SIZE, BeatRecord, decode, is_blank

BLOCK: Final = 4096
SLOTS: Final = 255
AREA: Final = BLOCK * (SLOTS + 1)

_MAGIC: Final = b"HOLDAREA"
_VERSION: Final = 1
_HEAD = struct.Struct(">8sHHII")
_DIGEST_BYTES: Final = 32
_PAGE: Final = 16


def header(pool: str) -> bytes:
    """Block 0 of the area of `pool`: the same bytes whoever writes them, so two hosts may do so at once."""
    name = pool.encode()
    if len(name) > 256:
        raise ValueError("the pool's uuid is too long for a header")
    body = (_HEAD.pack(_MAGIC, _VERSION, len(name), BLOCK, SLOTS) + name).ljust(SIZE - _DIGEST_BYTES, b"\0")
    return (body + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()).ljust(BLOCK, b"\0")


def pool_of(block: bytes) -> str:
    """Whose area begins with `block`. Raises `ValueError` saying what is there instead."""
    if is_blank(block):
        raise ValueError("nothing is there")
    body, digest = block[: SIZE - _DIGEST_BYTES], block[SIZE - _DIGEST_BYTES : SIZE]
    if body[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"something else is there; it begins with {block[:16].hex(' ')}")
    if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise ValueError("a damaged heartbeat area is there: the checksum of its header does not fit")
    _, version, length, size, slots = _HEAD.unpack_from(body)
    if (version, size, slots) != (_VERSION, BLOCK, SLOTS):
        raise ValueError(f"a heartbeat area of version {version} is there; this program knows version {_VERSION}")
    return body[_HEAD.size : _HEAD.size + length].decode("utf-8", "replace")


def offset(slot: int) -> int:
    """Where slot 0 to `SLOTS` - 1 begins, in bytes from the beginning of the area."""
    if not 0 <= slot < SLOTS:
        raise ValueError(f"there is no slot {slot}")
    return BLOCK * (slot + 1)


def candidates(host: str) -> Iterator[int]:
    """All slots in the order in which `host` would take them.

    Used slots stay near the beginning, so that readers read little; within a page of 16, hosts begin at different ones,
    so that those that look for room at the same time seldom meet.
    """
    start = zlib.crc32(host.encode()) % _PAGE
    for page in range(0, SLOTS, _PAGE):
        size = min(_PAGE, SLOTS - page)
        yield from (page + (start + step) % size for step in range(size))


def record_in(block: bytes) -> BeatRecord | None:
    """The record of a slot, None if the slot is free. Raises `ValueError` if what is there cannot be believed."""
    return None if is_blank(block[:SIZE]) else decode(block)
