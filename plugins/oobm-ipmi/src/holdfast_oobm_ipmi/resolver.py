"""Addresses of BMCs that are configured by name, looked up off the loop, and remembered for when DNS is down."""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from holdfast.errors import Unreachable

FRESH_SECONDS: Final = 300.0
PATIENCE_SECONDS: Final = 1.0
"""How long a name that was known before may take to look up, before its last address is used."""

LOOKUP_THREADS: Final = 8

Found = list[tuple[int, tuple[Any, ...]]]


class Resolver:
    """Turns an address or a name with a port into socket addresses. Used in one loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[tuple[str, int], tuple[float, Found]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def find(self, address: str, port: int) -> Found:
        """At least one pair of address family and socket address. `Unreachable` if the name is not known."""
        if (numeric := _numeric(address, port)) is not None:
            return numeric
        looked_up, found = self._known.get((address, port), (0.0, []))
        if found and self._loop.time() - looked_up < FRESH_SECONDS:
            return found
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if found else None):
                found = await self._loop.run_in_executor(self._pool(), _look_up, address, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            # A name server that is down together with the hosts must not keep us from fencing them.
            if not found:
                raise Unreachable(
                    f"the name {address} cannot be looked up ({error}); configure its IP address, or mend DNS"
                ) from error
            return found
        self._known[address, port] = (self._loop.time(), found)
        return found

    def close(self) -> None:
        """Wait for no lookup that is under way."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="ipmi-lookup")
        return self._threads


def _numeric(address: str, port: int) -> Found | None:
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return None
    if version == 4:
        return [(socket.AF_INET, (address, port))]
    return _look_up(address, port, socket.AI_NUMERICHOST)


def _look_up(address: str, port: int, flags: int = 0) -> Found:
    rows = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=flags)
    return [(family, target) for family, _kind, _protocol, _name, target in rows]
