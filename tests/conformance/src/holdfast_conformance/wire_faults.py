"""Small UDP and TCP proxies that do to a driver's packets what bad wires and bad devices do.

    with UdpFaultProxy(("127.0.0.1", bmc_port)) as proxy:
        driver = MyDriver(address=proxy.host, port=proxy.port)
        proxy.faults = WireFaults(loss=0.3, duplicate=0.2)

Faults may be changed at any time and hold for whatever passes from then on. A proxy counts what it did, so that a test
can show that its fault really happened. The same seed throws the same dice in the same order.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

_CHUNK = 65536
_START_SECONDS = 10.0
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class WireFaults:
    """What happens to packets (UDP) or chunks of the stream (TCP). Shares are probabilities from 0 to 1.

    `loss`, `duplicate`, `truncate` (the rest is cut off), `garbage` (the same length, other bytes); `delay` and up to
    `jitter` more, in seconds, which also reorders packets; `silent` swallows everything. `on_requests` and `on_answers`
    choose the direction. TCP alone: `reset_after` so many bytes of answer the connection is reset (0: as soon as it is
    made), `bytes_per_second` lets answers drip one byte at a time. TCP takes `loss` and `truncate` for the end of the
    stream, and knows no `duplicate`.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    truncate: float = 0.0
    garbage: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    silent: bool = False
    on_requests: bool = True
    on_answers: bool = True
    reset_after: int | None = None
    bytes_per_second: float = 0.0


CLEAN = WireFaults()


class _Proxy:
    """A listener on a free port of 127.0.0.1, with an event loop and a thread of its own."""

    def __init__(self, upstream: tuple[str, int], faults: WireFaults = CLEAN, seed: int = 0) -> None:
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.host = "127.0.0.1"
        self.port = 0
        self._upstream = upstream
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire-faults", daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the fault proxy did not start"
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)

    async def _start(self) -> None:
        raise NotImplementedError

    async def _finish(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        self._loop.run_until_complete(self._start())
        self._loop.call_soon(self._ready.set)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_end_all_tasks())
            self._loop.run_until_complete(self._finish())
            self._loop.close()

    def _hit(self, share: float, fault: str) -> bool:
        hit = share > 0 and self._dice.random() < share
        self.counts[fault] += hit
        return hit

    def _applies(self, is_request: bool) -> bool:
        return self.faults.on_requests if is_request else self.faults.on_answers

    def _damaged(self, data: bytes) -> bytes:
        if self._hit(self.faults.garbage, "garbage"):
            data = self._dice.randbytes(len(data))
        if self._hit(self.faults.truncate, "truncate"):
            data = data[: self._dice.randrange(len(data))] if data else data
        return data

    def _pause(self) -> float:
        return self.faults.delay + self._dice.random() * self.faults.jitter


class UdpFaultProxy(_Proxy):
    """Passes datagrams between any number of clients and one server, through the faults."""

    async def _start(self) -> None:
        self._links: dict[Any, socket.socket] = {}
        self._listener, _ = await self._loop.create_datagram_endpoint(
            lambda: _Datagrams(self._from_client), local_addr=(self.host, 0)
        )
        self.port = self._listener.get_extra_info("sockname")[1]

    async def _finish(self) -> None:
        self._listener.close()
        for link in self._links.values():
            self._loop.remove_reader(link)
            link.close()
        await asyncio.sleep(0)  # the transport is taken down in the loop's next turn

    def _from_client(self, data: bytes, client: Any) -> None:
        if client not in self._links:
            link = self._links[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.connect(self._upstream)
            link.setblocking(False)
            self._loop.add_reader(link, self._from_server, link, client)
        self._pass(data, client, is_request=True)

    def _from_server(self, link: socket.socket, client: Any) -> None:
        # An error says that the server is not there; its client learns it from the silence.
        with contextlib.suppress(OSError):
            self._pass(link.recv(_CHUNK), client, is_request=False)

    def _pass(self, data: bytes, client: Any, is_request: bool) -> None:
        self.counts["requests" if is_request else "answers"] += 1
        copies = [data]
        pause = 0.0
        if self._applies(is_request):
            if self.faults.silent or self._hit(self.faults.loss, "loss"):
                self.counts["silent"] += self.faults.silent
                return
            copies = [data] * (1 + self._hit(self.faults.duplicate, "duplicate"))
            copies = [self._damaged(copy) for copy in copies]
            pause = self._pause()
        for copy in copies:
            self._loop.call_later(pause, self._deliver, copy, client, is_request)

    def _deliver(self, data: bytes, client: Any, is_request: bool) -> None:
        if is_request:
            with contextlib.suppress(OSError):
                self._links[client].send(data)
        else:
            self._listener.sendto(data, client)


class TcpFaultProxy(_Proxy):
    """Passes connections on to one server, through the faults."""

    async def _start(self) -> None:
        self._ends: set[asyncio.StreamWriter] = set()
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _finish(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.sleep(0)  # likewise

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        if self.faults.reset_after == 0:
            self._reset(writer)
            return
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            self._reset(writer)
            return
        except asyncio.CancelledError:  # the proxy is closed; asyncio logs an error for a server's cancelled task
            writer.transport.abort()
            return
        ends = {writer, there_writer}
        self._ends |= ends
        pumps = [
            self._loop.create_task(self._pump(reader, there_writer, is_request=True)),
            self._loop.create_task(self._pump(there_reader, writer, is_request=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.close()
            self._ends -= ends
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_request: bool) -> None:
        passed = 0
        while data := await source.read(_CHUNK):
            self.counts["requests" if is_request else "answers"] += 1
            if not self._applies(is_request):
                await _write(sink, data)
                continue
            if self.faults.silent:
                self.counts["silent"] += 1
                continue
            await asyncio.sleep(self._pause())
            if self._hit(self.faults.loss, "loss"):
                return
            damaged = self._damaged(data)
            limit = None if is_request else self.faults.reset_after
            if limit is not None and passed + len(damaged) >= limit:
                await _write(sink, damaged[: limit - passed])
                self._reset(sink)
                return
            await self._write_slowly(sink, damaged, is_request)
            passed += len(damaged)
            if len(damaged) < len(data):
                return

    async def _write_slowly(self, sink: asyncio.StreamWriter, data: bytes, is_request: bool) -> None:
        if is_request or not self.faults.bytes_per_second:
            await _write(sink, data)
            return
        for byte in data:
            self.counts["dripped"] += 1
            await _write(sink, bytes([byte]))
            await asyncio.sleep(1 / self.faults.bytes_per_second if self.faults.bytes_per_second else 0)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.counts["reset"] += 1
        handle = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Any) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._receive(data, addr)


async def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
    sink.write(data)
    with contextlib.suppress(ConnectionError):
        await sink.drain()


async def _end_all_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
