"""All open connections of a process, so that those to a lost host can be cut at once."""

import contextlib
import os
import socket
import threading
import weakref
from typing import Any


class Lines:
    """Weak references to connections and their sockets. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()

    def add(self, connection: Any) -> None:
        """Remember a connection until it is gone."""
        with self._guard:
            self._open.add(connection)

    def cut_all(self, generation: int) -> int:
        """Cut every connection of this generation or an older one; how many there were."""
        with self._guard:
            old = [each for each in self._open if each.standing.generation <= generation and not each.is_dead]
        for each in old:
            self.cut(each)
        return len(old)

    @staticmethod
    def cut(connection: Any) -> None:
        """Shut the socket down, which wakes the thread that waits for it; closing is left to that thread."""
        with contextlib.suppress(OSError, AttributeError, ValueError):
            # A duplicate: the owner may close its own at any moment, and the number might be given to another file.
            duplicate = socket.socket(fileno=os.dup(connection._sock.fileno()))
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            finally:
                duplicate.close()
