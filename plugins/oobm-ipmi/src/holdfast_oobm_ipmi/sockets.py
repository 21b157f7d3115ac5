"""A few UDP sockets shared by many BMCs, with a word when the network says that nobody is there.

Each socket serves a bounded number of BMCs, so that a burst of answers fits its receive buffer, and at most one session
per BMC address, so that an answer's sender says whose it is.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

SESSIONS_PER_SOCKET: Final = 128
_LARGEST_PACKET: Final = 4096
_PACKETS_PER_TURN: Final = 1024
# Linux numbers that the socket module does not name: "tell me about ICMP errors, and to whom they belong".
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_ERROR_QUEUE: Final = socket.MSG_ERRQUEUE
_GONE: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM})

Address = tuple[Any, ...]


class Receiver(Protocol):
    """Who gets what comes from one address."""

    def received(self, packet: bytes) -> None:
        """A packet from that address."""

    def undeliverable(self, reason: str) -> None:
        """The network says that nothing gets there."""


@dataclass(eq=False, slots=True)
class _Shared:
    handle: socket.socket
    family: int
    receivers: dict[Address, Receiver] = field(default_factory=dict)


class Line:
    """The way to one address. `close` it when done."""

    __slots__ = ("_address", "_owner", "_shared")

    def __init__(self, owner: "SharedSockets", shared: _Shared, address: Address) -> None:
        self._owner = owner
        self._shared = shared
        self._address = address

    def send(self, packet: bytes) -> None:
        """Send, and forget: a full buffer loses the packet as any wire may."""
        self._owner.send(self._shared, self._address, packet)

    def close(self) -> None:
        """Give the address up. Idempotent."""
        self._shared.receivers.pop(_identity(self._address), None)


class SharedSockets:
    """All sockets of one event loop. Used in that loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sockets: list[_Shared] = []

    def attach(self, family: int, address: Address, receiver: Receiver) -> Line:
        """A line to `address`. Raises `OSError` if this machine has no such network or no file handle left."""
        identity = _identity(address)
        for shared in self._sockets:
            taken = shared.receivers
            if shared.family == family and len(taken) < SESSIONS_PER_SOCKET and identity not in taken:
                break
        else:
            shared = self._open(family)
        shared.receivers[identity] = receiver
        return Line(self, shared, address)

    def send(self, shared: _Shared, address: Address, packet: bytes) -> None:
        """Send one packet."""
        for _ in range(2):
            try:
                shared.handle.sendto(packet, address)
            except BlockingIOError:
                return
            except OSError as error:
                # With IP_RECVERR this may be the echo of what another BMC's packet met; then the second try goes out.
                self._read_errors(shared)
                last = error
            else:
                return
        receiver = shared.receivers.get(_identity(address))
        if receiver is not None and last.errno in _GONE:
            receiver.undeliverable(os.strerror(last.errno or 0))

    def close(self) -> None:
        """Close all sockets."""
        for shared in self._sockets:
            self._loop.remove_reader(shared.handle)
            shared.handle.close()
        self._sockets.clear()

    def _open(self, family: int) -> _Shared:
        handle = socket.socket(family, socket.SOCK_DGRAM)
        handle.setblocking(False)
        with contextlib.suppress(OSError):
            # Not every kernel tells ICMP errors; silence then takes until the deadline.
            if family == socket.AF_INET6:
                handle.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                handle.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        shared = _Shared(handle, family)
        self._sockets.append(shared)
        self._loop.add_reader(handle, self._readable, shared)
        return shared

    def _readable(self, shared: _Shared) -> None:
        # Everything that has come is taken before any timer runs, so a busy moment here never looks like silence there.
        for _ in range(_PACKETS_PER_TURN):
            try:
                packet, sender = shared.handle.recvfrom(_LARGEST_PACKET)
            except BlockingIOError:
                self._read_errors(shared)
                return
            except OSError:
                self._read_errors(shared)
                continue
            receiver = shared.receivers.get(_identity(sender))
            if receiver is not None:
                receiver.received(packet)

    def _read_errors(self, shared: _Shared) -> None:
        for _ in range(_PACKETS_PER_TURN):
            try:
                _packet, ancillary, _flags, address = shared.handle.recvmsg(512, 512, _ERROR_QUEUE)
            except OSError:
                return
            receiver = shared.receivers.get(_identity(address)) if address else None
            for _level, _kind, data in ancillary:
                number = struct.unpack_from("=I", data)[0] if len(data) >= 4 else 0
                if receiver is not None and number in _GONE:
                    receiver.undeliverable(os.strerror(number))


def _identity(address: Address) -> Address:
    # IPv6 senders carry a flow label in third place, which says nothing about who they are.
    return (address[0], address[1], address[3]) if len(address) > 2 else address
