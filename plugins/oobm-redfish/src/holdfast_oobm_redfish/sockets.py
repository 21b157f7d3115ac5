"""Sockets that keep one deadline over any number of reads: a BMC that drips its answer gains nothing by it."""

import socket
import ssl
import threading
from typing import Any

from holdfast.errors import DeadlineExceeded, Refused, Unreachable

from holdfast_oobm_redfish.deadline import Deadline
from holdfast_oobm_redfish.target import Target
from holdfast_oobm_redfish.trust import Contexts, certificate_refusal, check_fingerprint

IPMI_PORT = 623
MOST_LOOKUPS = 32


class _Timed:
    """Mixin: before every read and write the socket's timeout becomes what is left until `deadline`."""

    deadline: Deadline | None = None

    def _hurry(self) -> None:
        if self.deadline is not None:
            left = self.deadline.remaining()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)  # type: ignore[attr-defined]

    def recv_into(self, *arguments: Any) -> int:
        self._hurry()
        return super().recv_into(*arguments)  # type: ignore[misc,no-any-return]

    def sendall(self, *arguments: Any) -> None:
        self._hurry()
        super().sendall(*arguments)  # type: ignore[misc]


class TimedSocket(_Timed, socket.socket):
    """A TCP connection with a deadline."""


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS connection with a deadline."""

    def getpeername(self) -> Any:
        # Asked while it is made. For one that was reset by then CPython raises without closing it; so it is left to
        # the handshake to fail, which closes.
        try:
            return super().getpeername()
        except OSError:
            return None


def open_connection(target: Target, contexts: Contexts, deadline: Deadline) -> TimedSocket | TimedTlsSocket:
    """A connection to the BMC that proved itself as `target.trust` asks, or an error of holdfast.errors."""
    plain = _connect(target, deadline)
    if target.scheme == "http":
        return plain
    try:
        context = contexts.of(target.trust, target.where, TimedTlsSocket)
        plain.settimeout(deadline.check(target.where, "the TLS handshake"))
        # The handshake as a whole keeps the socket's timeout: CPython turns it into a deadline.
        secured = context.wrap_socket(plain, server_hostname=target.trust.name or target.address)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise certificate_refusal(error, target.where) from None
    except TimeoutError:
        plain.close()
        raise DeadlineExceeded(f"{target.where}: the TLS handshake did not end in {deadline.seconds:g} s") from None
    except (OSError, ValueError) as error:
        plain.close()
        raise Unreachable(f"{target.where}: no TLS there ({_reason(error)}); check the port and `scheme`") from None
    except BaseException:
        plain.close()
        raise
    assert isinstance(secured, TimedTlsSocket)
    try:
        check_fingerprint(secured, target.trust, target.where)
    except Refused:
        secured.close()
        raise
    return secured


def _connect(target: Target, deadline: Deadline) -> TimedSocket:
    trouble = "no address"
    for family, kind, protocol, address in _addresses(target, deadline):
        connection = TimedSocket(family, kind, protocol)
        try:
            connection.settimeout(deadline.check(target.where, "the connection"))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.deadline = deadline
            return connection
        except TimeoutError:
            connection.close()
            raise DeadlineExceeded(f"{target.where}: no connection within {deadline.seconds:g} s") from None
        except OSError as error:
            connection.close()
            trouble = _reason(error)
        except BaseException:
            connection.close()
            raise
    hint = f": Redfish listens on 443, {IPMI_PORT} is IPMI's port" if target.port == IPMI_PORT else ""
    raise Unreachable(f"{target.where}: no connection: {trouble}; check address and port{hint}")


def _reason(error: Exception) -> str:
    return (
        getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__
    ).lower()


_lookups = threading.BoundedSemaphore(MOST_LOOKUPS)


def _addresses(target: Target, deadline: Deadline) -> list[tuple[Any, ...]]:
    """Addresses to try. Only a name needs a resolver, which keeps no deadline and so gets a thread of its own."""
    try:
        return _resolve(target, socket.AI_NUMERICHOST)
    except OSError:
        pass
    if not _lookups.acquire(timeout=max(0.0, deadline.remaining())):
        raise DeadlineExceeded(f"{target.where}: name lookups hang; use an IP address as the BMC's address")
    found: list[list[tuple[Any, ...]] | OSError] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found.append(_resolve(target, 0))
        except (OSError, UnicodeError) as error:
            found.append(error if isinstance(error, OSError) else OSError(str(error)))
        finally:
            _lookups.release()
            done.set()

    threading.Thread(target=look_up, name="redfish-lookup", daemon=True).start()
    if not done.wait(max(0.0, deadline.remaining())):
        raise DeadlineExceeded(
            f"{target.where}: its name was not resolved in {deadline.seconds:g} s; use an IP address"
        )
    if isinstance(found[0], OSError):
        raise Unreachable(f"{target.where}: its name cannot be resolved ({_reason(found[0])}); use an IP address")
    return found[0]


def _resolve(target: Target, flags: int) -> list[tuple[Any, ...]]:
    found = socket.getaddrinfo(target.address, target.port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]
