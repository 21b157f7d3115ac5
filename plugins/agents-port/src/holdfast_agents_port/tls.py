"""TLS for very many connections on one event loop.

asyncio's own keeps a quarter of a megabyte per connection, and says nothing of handshakes that fail. This one keeps
what OpenSSL keeps, and names who failed and why.
"""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError

from holdfast_agents_port.authority import CertificateAuthority

_ROOM = memoryview(bytearray(64 << 10))
"""Where the loop puts what it reads, on any connection: it is taken out again before the loop reads the next."""
_CHUNK = 64 << 10


class SecureProtocol(asyncio.BufferedProtocol):
    """The server's side of one connection. Subclasses are told of what arrives, and `send`."""

    handshake_seconds = 10.0

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._transport: asyncio.Transport | None = None
        self._secure = False
        self._timer: asyncio.TimerHandle | None = None
        self.address = ""

    # --- for subclasses ------------------------------------------------------------------------------------------

    def secured(self) -> None:
        """The handshake is done; `certificate()` says who it is, as far as TLS knows."""

    def received(self, data: bytes) -> None:
        """Plain bytes came in."""

    def unsecured(self, why: str) -> None:
        """The handshake failed; the connection is being closed."""

    def lost(self) -> None:
        """The connection is gone. Called once, also after `unsecured`."""

    def send(self, data: bytes) -> None:
        """Send plain bytes. What is sent on a connection that is closing goes nowhere."""
        if self._secure and self._transport is not None and not self._transport.is_closing():
            try:
                self._tls.write(data)
            except ssl.SSLError:
                self.abort()
                return
            self._flush()

    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def certificate(self) -> dict[str, Any]:
        """The other side's verified certificate, as `ssl` shows it; empty if it gave none."""
        return self._tls.getpeercert() or {}

    def close(self) -> None:
        """Send what is to be sent, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A plain connection: wait for the other side's first words of TLS."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "?"
        self._timer = asyncio.get_running_loop().call_later(self.handshake_seconds, self._too_slow)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room for what comes in."""
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came in."""
        self._incoming.write(_ROOM[:nbytes])
        if self._secure or self._shake_hands():
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_timer()
        self._transport = None
        self.lost()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as problem:
            self._flush()  # the alert that tells the other side
            self.unsecured(_words(problem))
            self.close()
            return False
        self._flush()
        self._stop_timer()
        self._secure = True
        self.secured()
        return True

    def _read(self) -> None:
        try:
            while True:
                data = self._tls.read(_CHUNK)
                if not data:
                    break
                self.received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.close()
        else:
            self.close()
        if self._outgoing.pending:
            self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._transport is not None:
            self._transport.write(data)

    def _too_slow(self) -> None:
        self.unsecured(f"no TLS handshake within {self.handshake_seconds:g} s")
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ServerIdentity:
    """This server's certificate, given by the authority at each start, and the contexts that use it.

    `folder` is where OpenSSL reads it from; nobody else may.
    """

    def __init__(self, authority: CertificateAuthority, server: str, folder: Path) -> None:
        self._authority = authority
        self._server = server
        self._file = folder / f"agents-port-{os.getpid()}.pem"
        self.listening = self._context(ssl.PROTOCOL_TLS_SERVER)
        # A host that joins has no certificate yet; who has one must have ours.
        self.listening.verify_mode = ssl.CERT_OPTIONAL
        self.listening.num_tickets = 0
        self.dialing = self._context(ssl.PROTOCOL_TLS_CLIENT)
        self.renew()

    def _context(self, protocol: "ssl._SSLMethod") -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=self._authority.certificate)
        return context

    def renew(self) -> None:
        """A new certificate and key, for the handshakes to come. Blocks for a moment."""
        certificate, key = self._authority.for_server(self._server)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.unlink(missing_ok=True)
            self._file.touch(mode=0o600)
            self._file.write_text(certificate + key, encoding="ascii")
            for context in (self.listening, self.dialing):
                context.load_cert_chain(self._file)
        except OSError as problem:
            raise HoldfastError(f"{self._file} cannot be written: {problem.strerror}") from problem
        finally:
            self._file.unlink(missing_ok=True)


def _words(problem: ssl.SSLError) -> str:
    """What OpenSSL says, without its coordinates in its own source."""
    verify = getattr(problem, "verify_message", "")
    reason = (problem.reason or str(problem)).replace("_", " ").lower()
    return f"{reason}: {verify}" if verify else reason
