"""One HTTP request with a deadline for all of it, and no redirect to anywhere else."""

import functools
import http.client
import socket
import threading
from email.message import Message
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener


class Delivery:
    """Sends one request. `ran_out` tells afterwards whether the deadline ended it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._connections: list[http.client.HTTPConnection] = []
        self.ran_out = False

    def send(self, request: Request) -> None:
        """Return once the answer's head is there and says success; raises what urllib raises."""
        opener = build_opener(_Http(self._connections), _Https(self._connections), ProxyHandler(), _SameOrigin())
        # urllib's own timeout starts anew with every packet; a server that answers byte by byte would hold us for ever.
        timer = threading.Timer(self._seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            opener.open(request, timeout=self._seconds).close()
        finally:
            timer.cancel()
        if self.ran_out:
            # To http.client a connection cut among the headers is a short answer, not an error.
            raise TimeoutError

    def _cut(self) -> None:
        self.ran_out = True
        for connection in self._connections:
            try:
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself


class _Http(HTTPHandler):
    def __init__(self, connections: list[http.client.HTTPConnection]) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, request: Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_remembered, self._connections, http.client.HTTPConnection), request)


class _Https(HTTPSHandler):
    def __init__(self, connections: list[http.client.HTTPConnection]) -> None:
        super().__init__()
        self._connections = connections

    def https_open(self, request: Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_remembered, self._connections, http.client.HTTPSConnection), request)


def _remembered(
    connections: list[http.client.HTTPConnection], kind: type[http.client.HTTPConnection], host: str, **how: Any
) -> http.client.HTTPConnection:
    connection = kind(host, **how)
    connections.append(connection)
    return connection


class _SameOrigin(HTTPRedirectHandler):
    """Follows only what keeps the POST and stays at the same scheme, host and port: the body and the token go along."""

    def redirect_request(
        self, request: Request, answer: IO[bytes], code: int, reason: str, headers: Message, url: str
    ) -> Request:
        old, new = urlsplit(request.full_url), urlsplit(url)
        if code in (307, 308) and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            return Request(url, data=request.data, headers=dict(request.header_items()), method="POST")  # noqa: S310
        raise HTTPError(request.full_url, code, "redirect that is not followed", headers, answer)
