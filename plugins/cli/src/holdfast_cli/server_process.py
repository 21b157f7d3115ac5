"""A `holdfast server` of our own: begun as a child, on a free port of the loopback, ended whatever happens."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.model import Secret

from holdfast_cli.client import ApiError, ApiUnreachable, Client

ADDRESS = "127.0.0.1"
LOG_NAME = "server.log"
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
_LOOK = 0.05
_PORTS = range(20_000, 32_000)
_PORT_TRIES = 100
_LAST_LINES = 15

_CONFIGURATION = """\
# The embedded defaults: SQLite, the coordinator of a single process. Simulated hosts have no agents to listen to.
[server]
name = "{name}"
data_dir = "{data_dir}"
services = [{services}]

[api]
address = "{address}"
port = {port}
"""


class ServerFailed(HoldfastError):
    """The server ended, or did not begin to answer."""


class ServerProcess:
    """A server with its data under `directory`. `start` begins it, `stop` ends it; it may be started again.

    `more` is appended to its configuration, TOML.
    As a context manager it only promises to be stopped at the end. The administrator's password is made here and handed
    over in the environment, which no other user can read.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        name: str = "demo",
        more: str = "",
        services: Sequence[str] = ("manager", "api"),
    ) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self.log = directory / LOG_NAME
        self.configuration = directory / "holdfast.toml"
        self.password = Secret(secrets.token_urlsafe(24))
        self.name = name
        self._wanted = port
        self._more = more
        self._services = services
        self.port = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL of its API."""
        return f"http://{ADDRESS}:{self.port}/client/api"

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        return self._child.pid if self._child is not None else 0

    @property
    def status(self) -> int | None:
        """The child's exit status, or None while it runs or before it was started."""
        return self._child.poll() if self._child is not None else None

    def start(self) -> None:
        """Begin it and return once its API answers. `ServerFailed` with its last words if it does not."""
        self.port = self.port or self._wanted or free_port()
        if self._wanted:
            _check_free(self._wanted)
        self._write_configuration()
        environment = {**os.environ, "HOLDFAST_ADMIN_PASSWORD": self.password.reveal(), "PYTHONUNBUFFERED": "1"}
        words = [sys.executable, "-m", "holdfast", "--config", str(self.configuration), "server"]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C on the terminal reaches us alone, and we end it in order.
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._await_answer()

    def stop(self) -> None:
        """End it in order, or by force after a while. Idempotent."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "(it left no log)"
        return "\n".join(lines[-_LAST_LINES:]) or "(its log is empty)"

    def _write_configuration(self) -> None:
        services = ", ".join(f'"{service}"' for service in self._services)
        text = _CONFIGURATION.format(
            name=self.name, data_dir=self.data_dir, services=services, address=ADDRESS, port=self.port
        )
        self.configuration.write_text(text + self._more, encoding="utf-8")

    def _await_answer(self) -> None:
        client = Client(self.endpoint, timeout=5.0)
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self.status is not None:
                raise ServerFailed(f"the server ended with status {self.status}:\n{self.last_words()}")
            try:
                client.call("listCapabilities")
            except ApiError:
                return  # it is there, and rightly wants a signature
            except ApiUnreachable:
                time.sleep(_LOOK)
                continue
            return
        raise ServerFailed(f"the server did not answer within {READY_SECONDS:g} s:\n{self.last_words()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A port that nobody listens on now, below those that the system gives to outgoing connections.

    The server takes it a second or two later: from among those, some connection might have got it by then.
    """
    for _ in range(_PORT_TRIES):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise ConfigurationError(f"no port from {_PORTS[0]} to {_PORTS[-1]} of {ADDRESS} is free; give one with --port")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as problem:
            raise ConfigurationError(
                f"port {port} of {ADDRESS} cannot be had: {problem.strerror}. End the program that listens there, "
                "give another --port, or none for any free one"
            ) from None
