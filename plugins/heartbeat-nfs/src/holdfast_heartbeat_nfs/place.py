"""Where heartbeats lie on a share, and what errors on the way there mean."""

import errno
from typing import Final

from holdfast.errors import DriverError, Refused, Unreachable

FOLDER: Final = ".holdfast-heartbeats"
BEAT: Final = ".beat"
DRAFT: Final = ".draft"
PROBE: Final = ".probe"

_NO_ANSWER: Final = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.EINTR,
        errno.EAGAIN,
        errno.EREMOTEIO,
    }
)
OUT_OF_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_BEAT: Final = frozenset(
    {errno.ELOOP, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.ENODEV}
)
"""What is answered for a link, a folder, a pipe or somebody else's file under a beat's name. Where all beats are looked
at, one such must not hide the others."""


def explained(number: int, text: str, where: str) -> DriverError:
    """What to raise for errno `number` at `where`: no answer, or an answer that said no, and what to do about it."""
    if number in _NO_ANSWER:
        return Unreachable(f"{where}: no answer: {text}")
    if number in OUT_OF_SPACE:
        return Refused(f"{where}: the share is full: {text}; make room, or give it a quota that leaves a few KiB")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Refused(f"{where}: this host may not write there: {text}; export it read-write, with no_root_squash")
    return Refused(f"{where}: {text}")
