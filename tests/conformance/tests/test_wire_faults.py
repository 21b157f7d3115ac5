"""The fault proxies do what they are asked to, and nothing when they are not."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from holdfast_conformance.wire_faults import TcpFaultProxy, UdpFaultProxy, WireFaults

PATIENCE = 30.0
"""Seconds to wait for what has to come."""
SILENCE = 0.3
"""Seconds after which nothing more is thought to come."""
MESSAGE = b"a message of some length"


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A UDP server that sends back what it gets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (packet := server.recvfrom(4096))[0] != b"stop":
                server.sendto(*packet)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()
        server.sendto(b"stop", server.getsockname())
        thread.join()


@pytest.fixture
def tcp_echo() -> Iterator[tuple[str, int]]:
    """A TCP server that sends back what it gets, on any number of connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(4096):
                        connection.sendall(data)
                except OSError:
                    return

        def accept() -> None:
            try:
                while True:
                    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _answers(proxy: UdpFaultProxy, questions: int, expected: int) -> list[bytes]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(questions):
            client.sendto(MESSAGE, (proxy.host, proxy.port))
        until = time.monotonic() + PATIENCE
        while proxy.counts["requests"] < questions and time.monotonic() < until:
            time.sleep(0.01)  # the proxy tells nobody what it has taken
        found: list[bytes] = []
        try:
            while True:
                client.settimeout(PATIENCE if len(found) < expected else SILENCE)
                found.append(client.recv(4096))
        except TimeoutError:
            return found


def test_a_clean_wire_changes_nothing(echo: tuple[str, int]) -> None:
    """Without faults every packet comes back once, as it was."""
    with UdpFaultProxy(echo) as proxy:
        assert _answers(proxy, 5, 5) == [MESSAGE] * 5


@pytest.mark.parametrize(
    ("faults", "count", "intact"),
    [
        (WireFaults(loss=1.0), 0, True),
        (WireFaults(silent=True), 0, True),
        (WireFaults(duplicate=1.0, on_requests=False), 10, True),
        (WireFaults(garbage=1.0, on_requests=False), 5, False),
        (WireFaults(truncate=1.0, on_requests=False), 5, False),
    ],
)
def test_each_fault_happens_to_packets(echo: tuple[str, int], faults: WireFaults, count: int, intact: bool) -> None:
    """Packets vanish, double or are spoilt as asked, and the proxy has counted it."""
    with UdpFaultProxy(echo, faults) as proxy:
        found = _answers(proxy, 5, count)
        assert len(found) == count
        assert (set(found) <= {MESSAGE}) is intact
        assert sum(proxy.counts[name] for name in ("loss", "silent", "duplicate", "garbage", "truncate")) == 5


def test_a_delay_is_kept(echo: tuple[str, int]) -> None:
    """An answer takes at least the delay of both directions."""
    with UdpFaultProxy(echo, WireFaults(delay=0.05)) as proxy:
        began = time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(MESSAGE, (proxy.host, proxy.port))
            assert client.recv(4096) == MESSAGE
        assert time.monotonic() - began >= 0.1


def test_faults_change_while_the_proxy_runs(echo: tuple[str, int]) -> None:
    """A cable that is cut may be mended."""
    with UdpFaultProxy(echo, WireFaults(silent=True)) as proxy:
        assert _answers(proxy, 1, 0) == []
        proxy.faults = WireFaults()
        assert _answers(proxy, 1, 1) == [MESSAGE]


def _talk(proxy: TcpFaultProxy, patience: float = PATIENCE) -> bytes:
    with socket.create_connection((proxy.host, proxy.port)) as client:
        client.settimeout(patience)
        client.sendall(MESSAGE)
        found = b""
        while len(found) < len(MESSAGE) and (data := client.recv(4096)):
            found += data
        return found


def test_a_clean_stream_passes(tcp_echo: tuple[str, int]) -> None:
    """Without faults the bytes come back as they were."""
    with TcpFaultProxy(tcp_echo) as proxy:
        assert _talk(proxy) == MESSAGE


@pytest.mark.parametrize("after", [0, 5])
def test_a_connection_is_reset(tcp_echo: tuple[str, int], after: int) -> None:
    """RST at once, or in the middle of the answer."""
    with TcpFaultProxy(tcp_echo, WireFaults(reset_after=after)) as proxy:
        with pytest.raises(ConnectionResetError):
            _talk(proxy)
        assert proxy.counts["reset"] == 1


def test_a_silent_server_accepts_and_never_answers(tcp_echo: tuple[str, int]) -> None:
    """The connection stands, and nothing comes."""
    with TcpFaultProxy(tcp_echo, WireFaults(silent=True)) as proxy, pytest.raises(TimeoutError):
        _talk(proxy, SILENCE)


def test_answers_drip(tcp_echo: tuple[str, int]) -> None:
    """One byte at a time, all of them in the end."""
    with TcpFaultProxy(tcp_echo, WireFaults(bytes_per_second=500)) as proxy:
        assert _talk(proxy) == MESSAGE
        assert proxy.counts["dripped"] == len(MESSAGE)


@pytest.mark.parametrize("faults", [WireFaults(truncate=1.0, on_requests=False), WireFaults(loss=1.0)])
def test_a_stream_ends_early(tcp_echo: tuple[str, int], faults: WireFaults) -> None:
    """The rest of the answer never comes: the connection is closed."""
    with TcpFaultProxy(tcp_echo, faults) as proxy:
        assert len(_talk(proxy)) < len(MESSAGE)


def test_a_stream_is_garbled(tcp_echo: tuple[str, int]) -> None:
    """As long as it should be, and something else."""
    with TcpFaultProxy(tcp_echo, WireFaults(garbage=1.0, on_requests=False)) as proxy:
        found = _talk(proxy)
        assert len(found) == len(MESSAGE)
        assert found != MESSAGE


def test_a_proxy_is_closed_while_it_still_connects(caplog: pytest.LogCaptureFixture) -> None:
    """Its client's connection ends, and nobody hears of it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        with TcpFaultProxy(full.getsockname()) as proxy:
            client = socket.create_connection((proxy.host, proxy.port))
            until = time.monotonic() + PATIENCE
            while not proxy.counts["connections"] and time.monotonic() < until:
                time.sleep(0.01)
        with client:
            client.settimeout(PATIENCE)
            assert client.recv(1) == b""
    assert [record.message for record in caplog.records] == []
