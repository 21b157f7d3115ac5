"""Closing a connection that failed so that nothing of it can still arrive."""

import contextlib
import os
import socket
import struct


def discard_unsent(descriptor: int) -> None:
    """Make the close of a TCP socket drop what was not sent yet. Otherwise the kernel goes on sending it for minutes.

    Harmless for what is no socket, or is none any more.
    """
    if descriptor < 0:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
