"""The transport under python-redfish-library: HTTP to one BMC, in time, bounded in size, and to nobody else.

The library hands a request to `requests`, which hands it to the adapter mounted here. This one goes to its own BMC
whatever the URL says, asks no environment for proxies, keeps no cookies, follows no redirect to another place, and
checks the BMC's certificate before it sends a byte. Only TLS connections are kept for later requests: TLS numbers its
records, so an answer that the network repeats cannot be taken for the answer to a later question.
"""

import http.client
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from holdfast.errors import DeadlineExceeded, DriverError, Refused, Unreachable
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from holdfast_oobm_redfish.deadline import Deadline, Terms
from holdfast_oobm_redfish.sockets import TimedSocket, TimedTlsSocket, open_connection
from holdfast_oobm_redfish.target import SCHEMES, Target
from holdfast_oobm_redfish.trust import Contexts

LARGEST_BODY = 1 << 20
MOST_REDIRECTS = 2
MOST_IDLE = 2
SAME_METHOD = frozenset({307, 308})
REDIRECTS = SAME_METHOD | {301, 302}
FRESH_SECONDS = 2.0
"""A kept connection idle for longer is not trusted with a command that must not be sent twice."""
DOUBT_SECONDS = 5.0
"""How long, at most, a kept connection may stay silent before a repeatable request is tried on a new one."""


class Wire(BaseAdapter):
    """Connections to one BMC. Thread-safe: each request has a connection to itself."""

    def __init__(self, target: Target, contexts: Contexts) -> None:
        super().__init__()
        self._target = target
        self._contexts = contexts
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send `request` and read the whole answer. `timeout` is the `Terms`; the other arguments do not count here."""
        assert isinstance(timeout, Terms), "every request states its terms"
        path = request.path_url
        for _ in range(MOST_REDIRECTS + 1):
            reply = self._once(request, path, timeout)
            if reply.status_code not in REDIRECTS or "location" not in reply.headers:
                return reply
            path = self._followed(request, path, reply)
        raise Refused(f"{self._target.where}: {request.path_url} leads round in circles")

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _followed(self, request: PreparedRequest, path: str, reply: Response) -> str:
        """The path to go on with, at the same place only.

        An order goes on by 307 and 308, which leave it what it is; firmware answers so for want of a slash at the end.
        """
        here = f"{self._target.scheme}://{self._target.netloc}"
        to = urlsplit(urljoin(here + path, reply.headers["location"]))
        same = (to.scheme, to.hostname) == (self._target.scheme, self._target.address.lower())
        try:
            port = to.port or SCHEMES.get(to.scheme, 0)
        except ValueError:
            port = 0
        goes_on = request.method == "GET" or reply.status_code in SAME_METHOD
        if not goes_on or not same or port != self._target.port:
            raise Refused(
                f"{self._target.where}: it sends {request.method} {path} on to {to.scheme}://{to.hostname}, which is "
                "not followed; configure the address, port and scheme that it names, if they are right"
            )
        return to.path + (f"?{to.query}" if to.query else "")

    def _once(self, request: PreparedRequest, path: str, terms: Terms) -> Response:
        kept = self._take(terms)
        if kept is not None:
            # It may be dead without saying so (the BMC restarted, a firewall forgot it): leave time for another try.
            left = terms.deadline.remaining()
            doubt = terms.deadline.within(min(left / 3, DOUBT_SECONDS)) if terms.repeatable else terms.deadline
            try:
                return self._exchange(kept, request, path, doubt)
            except Unreachable:
                if not terms.repeatable:
                    raise
        return self._exchange(self._connect(terms.deadline), request, path, terms.deadline)

    def _take(self, terms: Terms) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            trusted = terms.repeatable or time.monotonic() - since <= FRESH_SECONDS
            if trusted and _is_quiet(connection):
                return connection
            connection.close()

    def _connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._target.address, self._target.port)
        connection.default_port = SCHEMES[self._target.scheme]
        connection.auto_open = 0
        connection.sock = open_connection(self._target, self._contexts, deadline)
        return connection

    def _exchange(
        self, connection: http.client.HTTPConnection, request: PreparedRequest, path: str, deadline: Deadline
    ) -> Response:
        where = self._target.where
        keep = False
        try:
            _socket_of(connection).deadline = deadline
            headers = {**request.headers, "Accept-Encoding": "identity", "User-Agent": "holdfast"}
            body = request.body.encode() if isinstance(request.body, str) else request.body
            assert body is None or isinstance(body, bytes), "the library sends JSON"
            connection.request(str(request.method), path, body=body, headers=headers)
            answer = connection.getresponse()
            with answer:
                content = _read(answer, where)
            keep = self._target.scheme == "https" and not answer.will_close
            return _response(request, answer, content)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{where}: no whole answer to {request.method} {path} within {deadline.seconds:g} s"
            ) from None
        except http.client.HTTPException as error:
            raise Unreachable(f"{where}: its answer is no HTTP, or ended early ({type(error).__name__})") from None
        except (OSError, ValueError, zlib.error) as error:
            raise Unreachable(f"{where}: the connection broke ({type(error).__name__})") from None
        finally:
            self._put_back(connection, keep)

    def _put_back(self, connection: http.client.HTTPConnection, keep: bool) -> None:
        with self._lock:
            if keep and len(self._idle) < MOST_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


def _socket_of(connection: http.client.HTTPConnection) -> TimedSocket | TimedTlsSocket:
    assert isinstance(connection.sock, (TimedSocket, TimedTlsSocket))
    return connection.sock


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Whether the peer neither hung up nor said anything unasked, which would be taken for the next answer."""
    connected = connection.sock
    try:
        connected.settimeout(0)
        connected.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def _read(answer: http.client.HTTPResponse, where: str) -> bytes:
    parts, size = [], 0
    while size <= LARGEST_BODY and (part := answer.read(65536)):
        parts.append(part)
        size += len(part)
    if size > LARGEST_BODY:
        raise Unreachable(f"{where}: its answer is larger than {LARGEST_BODY} bytes; that is no answer of a BMC")
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    body = b"".join(parts)
    if answer.headers.get("Content-Encoding", "").lower() in ("gzip", "deflate"):
        # Some BMCs compress although they are asked not to.
        unpacking = zlib.decompressobj(wbits=47)
        body = unpacking.decompress(body, LARGEST_BODY)
        if not unpacking.eof:
            raise Unreachable(f"{where}: its compressed answer is cut off, or too large")
    return body


def _response(request: PreparedRequest, answer: http.client.HTTPResponse, body: bytes) -> Response:
    response = Response()
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = CaseInsensitiveDict(answer.headers.items())
    response.url = request.url or ""
    response.request = request
    response._content = body
    response._content_consumed = True
    return response


def first_cause(error: BaseException, where: str) -> DriverError:
    """The error of ours that the library wrapped, or an `Unreachable` that names what it met instead."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DriverError):
            return seen
        seen = seen.__cause__
    return Unreachable(f"{where}: the request failed before it was sent ({type(error.__cause__ or error).__name__})")
