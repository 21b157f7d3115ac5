"""When a file on a mounted share was last written, by the server's word.

`os.stat` may answer from the client's attribute cache, up to a minute old. `statx` with `AT_STATX_FORCE_SYNC` asks the
server, without opening the file; Python has no `statx`, the C library has.
"""

import ctypes
import os
import struct
from typing import Final

from holdfast.errors import Refused

_NO_FOLLOW: Final = 0x100
_FORCE_SYNC: Final = 0x2000
_MTIME_AND_SIZE: Final = 0x40 | 0x200
_BYTES: Final = 256
_SIZE_AT: Final = 40
_MTIME_AT: Final = 112


def last_write(folder: int, name: str) -> tuple[int, int]:
    """Nanoseconds of the server's clock, and the size in bytes. Raises `OSError`; may hang with the share."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        statx = library.statx
    except AttributeError as problem:
        raise Refused("this host's C library has no statx: it cannot ask the server past its cache") from problem
    room = ctypes.create_string_buffer(_BYTES)
    if statx(folder, os.fsencode(name), _NO_FOLLOW | _FORCE_SYNC, _MTIME_AND_SIZE, room) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    (size,) = struct.unpack_from("=Q", room, _SIZE_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", room, _MTIME_AT)
    return seconds * 1_000_000_000 + nanoseconds, size
