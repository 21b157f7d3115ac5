"""Real MariaDB servers for tests: each with its own data directory, port and process, on the loopback or a namespace.

    with MariaDbLab(tmp_path) as lab:
        first, second = lab.servers(2)
        pair(first, second)                     # holdfast_conformance.mariadb_replication
        first.run("CREATE DATABASE cloud")
        first.kill()                            # as a power cut; first.start() brings it back

Needs Debian's `mariadb-server`, which is installed first where that is possible, and PyMySQL.
"""

import atexit
import functools
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_PACKAGE = "mariadb-server"

OPTIONS: Mapping[str, str] = {
    "bind-address": "127.0.0.1",
    "binlog-format": "ROW",
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "24M",
    "innodb-log-file-size": "8M",
    "log-bin": "binlog",
    "log-slave-updates": "ON",
    "gtid-strict-mode": "ON",
    "max-connections": "400",
    "performance-schema": "OFF",
    "relay-log": "relay",
    "skip-name-resolve": "ON",
    "slave-net-timeout": "4",
    "sync-binlog": "1",
}
"""What every server is started with unless a test says otherwise: small, and as durable as in production."""


def program(name: str) -> str:
    """The path of a program of the Debian package, installed first if this is root on Debian; else skips loudly."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if shutil.which(name, path=search) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        # The package starts a server of its own on the standard port, which no test wants.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
            policy.chmod(0o755)
        try:
            for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", _PACKAGE]):
                subprocess.run(["apt-get", *words], env=environment, check=False, capture_output=True)
        finally:
            if ours:
                policy.unlink(missing_ok=True)
    found = shutil.which(name, path=search)
    if found is None:
        pytest.skip(f"NOT TESTED against MariaDB: {name} is missing; install the Debian package {_PACKAGE}")
    return found


class MariaDb:
    """One `mariadbd`. `number` is its server id; `prefix` are words before its command, to run it elsewhere.

    Started anew after `stop` or `kill` it finds its data and its port again. `options` holds for the next start.
    """

    def __init__(
        self, folder: Path, number: int, *, host: str = "127.0.0.1", port: int = 0, prefix: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.number = number
        self.host = host
        self.port = port or free_port()
        self.prefix = tuple(prefix)
        self.options: dict[str, str] = {**OPTIONS, "server-id": str(number), "bind-address": host}
        self.socket = Path(tempfile.mkdtemp(prefix="hf-db-")) / "s"  # the path of a socket has at most 107 letters
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What it wrote to its error log so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether its process lives, stopped or not."""
        return self.process is not None and self.process.poll() is None

    def wipe(self) -> None:
        """A new, empty server at its next start. Call it while it does not run."""
        assert not self.running, "stop the server first"
        shutil.rmtree(self.data, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(_empty_data(), self.data)

    def copy_from(self, other: "MariaDb") -> None:
        """Take over the data of a server that has been stopped. Call it while neither runs."""
        assert not self.running, "stop both servers first"
        assert not other.running, "stop both servers first"
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(other.data, self.data)

    def start(self, wait: bool = True) -> None:
        """Start it, and return when it answers."""
        assert not self.running, "it runs already"
        if not self.data.exists():
            self.wipe()
        # A server that starts removes all temporary tables from its tmpdir, those of other servers as well.
        own = {"datadir": str(self.data), "tmpdir": str(self.folder), "socket": str(self.socket)}
        settings = {**own, "port": str(self.port), **self.options}
        words = [f"--{key}={value}" for key, value in settings.items()]
        command = [*self.prefix, program("mariadbd"), "--no-defaults", f"--user={getpass.getuser()}", *words]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when it answers."""
        import pymysql

        until = time.monotonic() + START_SECONDS
        while True:
            assert self.running, f"mariadbd {self.number} ended:\n{self.log[-3000:]}"
            try:
                self.connect().close()
                return
            except pymysql.err.OperationalError:
                assert time.monotonic() < until, f"mariadbd {self.number} does not answer:\n{self.log[-3000:]}"
                time.sleep(_LOOK_SECONDS)  # nothing tells when it will listen

    def stop(self) -> None:
        """End it cleanly, if it runs."""
        if self.process is not None and self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        """`kill -9`, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the kernel still takes connections, and nobody answers. Returns when every thread of it stands."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def connect(self, **options: Any) -> Any:
        """A `pymysql.Connection` as root through the socket, in autocommit mode; `options` are PyMySQL's."""
        import pymysql

        given = {"user": getpass.getuser(), "unix_socket": str(self.socket), "autocommit": True, "read_timeout": 60}
        # Else PyMySQL reads every certificate of the system for each connection: some 40 ms of work.
        given["ssl_disabled"] = "ssl" not in options
        made = pymysql.connect(**{**given, **options}, defer_connect=True)
        # PyMySQL leaves a socket open that nobody accepts.
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(self.socket))
            made.connect(line)
        except OSError as problem:
            line.close()
            raise pymysql.err.OperationalError(2002, f"nobody answers at {self.socket}: {problem}") from problem
        return made

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Carry out statements as root, one by one; the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def table(self, statement: str) -> list[dict[str, Any]]:
        """The rows of one statement by column names, as of SHOW ALL SLAVES STATUS."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, expression: str) -> Any:
        """The value of one SQL expression, such as `@@gtid_binlog_pos`."""
        return self.run(f"SELECT {expression}")[0][0]

    def make_user(self, name: str, password: str, grants: str = "ALL PRIVILEGES ON *.*") -> None:
        """A user who may log in over TCP. Written to the binary log as any statement is."""
        quoted = password.replace("\\", "\\\\").replace("'", "''")
        self.run(f"CREATE USER IF NOT EXISTS '{name}'@'%' IDENTIFIED BY '{quoted}'", f"GRANT {grants} TO '{name}'@'%'")

    def close(self) -> None:
        """Kill it and forget its socket; its data stays."""
        self.kill()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


class MariaDbLab:
    """Makes servers below a folder, and ends them all. As a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[MariaDb] = []

    def server(self, *, start: bool = True, options: Mapping[str, str] | None = None, **place: Any) -> MariaDb:
        """One more server; `options` are added to OPTIONS, `place` goes to `MariaDb`."""
        number = len(self.made) + 1
        made = MariaDb(self.folder / f"db{number}", number, **place)
        made.options.update(options or {})
        self.made.append(made)
        if start:
            made.start()
        return made

    def servers(self, count: int, options: Mapping[str, str] | None = None) -> list[MariaDb]:
        """Several servers at once, all answering."""
        made = [self.server(start=False, options=options) for _ in range(count)]
        for each in made:
            each.start(wait=False)
        for each in made:
            each.wait()
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for each in self.made:
            each.close()


def free_port() -> int:
    """A TCP port of the loopback that nobody listened on a moment ago, below those of outgoing connections."""
    for _ in range(1000):
        port = 10_000 + int.from_bytes(os.urandom(2), "big") % 20_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 10000 and 30000")


@functools.cache
def _empty_data() -> Path:
    """A freshly installed data directory, made once per process: it takes seconds, copying it does not."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-mariadb-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    done = subprocess.run(
        [
            program("mariadb-install-db"),
            "--no-defaults",
            f"--user={getpass.getuser()}",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder}",
            f"--auth-root-socket-user={getpass.getuser()}",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
            "--innodb-log-file-size=8M",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "data"
