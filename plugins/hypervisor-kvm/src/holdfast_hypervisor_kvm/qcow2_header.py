"""The first cluster of a qcow2 image: whose disk it is, as a header extension that QEMU keeps and does not mind.

A disk carries the uuid of its VM. A LUN that still holds another VM's disk is thereby known, and never given away.
"""

import struct

from holdfast.errors import Refused

MAGIC = b"QFI\xfb"
STAMP = 0x48464B56
"""Type of our extension: "HFKV"."""

_END = 0
_LONGEST_BACKING = 1023


def is_blank(start: bytes) -> bool:
    """Whether nothing was ever written at the start of a disk, or its making was not finished."""
    return not any(start[:512])


def stamp_of(start: bytes) -> str | None:
    """The VM whose disk this is; "" if nobody's stamp is on it; None if it is no qcow2 image."""
    if start[:4] != MAGIC or len(start) < 104:
        return None
    position = _header_length(start)
    while position + 8 <= len(start):
        kind, length = struct.unpack_from(">II", start, position)
        if kind == _END:
            return ""
        data = start[position + 8 : position + 8 + length]
        if kind == STAMP:
            return data.decode("ascii", "replace")
        position += 8 + _padded(length)
    return ""


def stamped(cluster: bytes, vm_uuid: str) -> bytes:
    """The first cluster of a new image, with the VM's uuid in it. `Refused` if there is no room."""
    (backing_at,) = struct.unpack_from(">Q", cluster, 8)
    (backing_length,) = struct.unpack_from(">I", cluster, 16)
    backing = cluster[backing_at : backing_at + backing_length] if backing_at else b""
    start = _header_length(cluster)
    position, parts = start, []
    while True:
        kind, length = struct.unpack_from(">II", cluster, position)
        if kind == _END:
            break
        size = 8 + _padded(length)
        parts.append(cluster[position : position + size])
        position += size
    owner = vm_uuid.encode("ascii")
    parts.append(struct.pack(">II", STAMP, len(owner)) + owner.ljust(_padded(len(owner)), b"\0"))
    parts.append(struct.pack(">II", _END, 0))
    head = bytearray(cluster[:start]) + b"".join(parts)
    if backing:
        struct.pack_into(">Q", head, 8, len(head))
        head += backing
    if len(head) > len(cluster) or backing_length > _LONGEST_BACKING:
        raise Refused("the path of the template is too long for a disk that is laid over it")
    return bytes(head).ljust(len(cluster), b"\0")


def _header_length(start: bytes) -> int:
    (version,) = struct.unpack_from(">I", start, 4)
    if version < 3:
        return 72
    (length,) = struct.unpack_from(">I", start, 100)
    return int(length)


def _padded(length: int) -> int:
    return (length + 7) & ~7
