"""Posts a form to the outer cloud's API: in time, bounded in size, to nobody else."""

import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any

from holdfast.errors import DeadlineExceeded, Refused, Unreachable

LARGEST_ANSWER = 1 << 20
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "User-Agent": "holdfast"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API listens. `context` is None for plain HTTP."""

    host: str
    port: int
    path: str
    context: ssl.SSLContext | None

    @property
    def where(self) -> str:
        """Start of every error text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"outer cloud at {host}:{self.port}"


class _TimedSocket(socket.socket):
    """One whose reads and writes all together end at `ends`: an answer that drips gains nothing by it."""

    ends = float("inf")

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(left_until(self.ends))
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(left_until(self.ends))
        super().sendall(*arguments)


class _TimedTlsSocket(ssl.SSLSocket):
    """Likewise, with TLS."""

    ends = float("inf")

    def getpeername(self) -> Any:
        # Asked while it is made. For one that was reset by then CPython raises without closing it; so it is left to
        # the handshake to fail, which closes.
        try:
            return super().getpeername()
        except OSError:
            return None

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(left_until(self.ends))
        return super().recv_into(*arguments)


def left_until(ends: float) -> float:
    """Seconds until that monotonic moment; `TimeoutError` if it has passed."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Checks certificates and names. `OSError` if the file cannot be used."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.sslsocket_class = _TimedTlsSocket
    return context


def post(endpoint: Endpoint, form: str, deadline: float) -> tuple[int, bytes]:
    """Status and body of the answer. Raises `Unreachable`, or `Refused` for a certificate that is not accepted."""
    ends = time.monotonic() + deadline
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    connection.auto_open = 0
    try:
        connection.sock = _connect(endpoint, ends)
        connection.request("POST", endpoint.path, body=form.encode("ascii"), headers=_HEADERS)
        with connection.getresponse() as answer:
            body = answer.read(LARGEST_ANSWER + 1)
            cut = bool(answer.length)
    except TimeoutError:
        raise DeadlineExceeded(f"{endpoint.where}: no whole answer within {deadline:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"{endpoint.where}: its certificate is not accepted ({error.verify_message}); nothing was sent. Give its "
            "CA as oobm.nestedcloudstack.ca_file, or mend the certificate"
        ) from None
    except http.client.HTTPException as error:
        raise Unreachable(f"{endpoint.where}: its answer is no HTTP, or ended early ({type(error).__name__})") from None
    except OSError as error:
        reason = str(error.strerror or type(error).__name__).lower()
        raise Unreachable(f"{endpoint.where}: the connection failed: {reason}") from None
    finally:
        connection.close()
    if cut or len(body) > LARGEST_ANSWER:
        raise Unreachable(f"{endpoint.where}: its answer is {'too large' if len(body) > LARGEST_ANSWER else 'cut off'}")
    return answer.status, body


def _connect(endpoint: Endpoint, ends: float) -> socket.socket:
    trouble: OSError = OSError("no address")
    for family, kind, protocol, _, address in _addresses(endpoint, ends):
        plain = _TimedSocket(family, kind, protocol)
        plain.ends = ends
        try:
            plain.settimeout(left_until(ends))
            plain.connect(address)
            if endpoint.context is None:
                return plain
            plain.settimeout(left_until(ends))
            secured = endpoint.context.wrap_socket(plain, server_hostname=endpoint.host)
            assert isinstance(secured, _TimedTlsSocket)
            secured.ends = ends
            return secured
        except (TimeoutError, ssl.SSLError):
            plain.close()
            raise
        except OSError as error:
            plain.close()
            trouble = error
    raise trouble


def _addresses(endpoint: Endpoint, ends: float) -> list[Any]:
    # The resolver keeps no deadline, so it gets a thread that may be left behind.
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(OSError(0, f"the name cannot be resolved ({error})"))

    lookup = threading.Thread(target=look_up, name="outer-cloud-lookup", daemon=True)
    lookup.start()
    lookup.join(left_until(ends))
    if not found:
        raise TimeoutError("the name was not resolved in time")
    if isinstance(found[0], OSError):
        raise found[0]
    return list(found[0])
