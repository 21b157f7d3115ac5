"""A crowd of agents in one process: real TLS, real protocol, and next to no cost, so that a server can be loaded.

Reads commands on its standard input, one a line: `vanish N STEP` silences N hosts (STEP apart) without closing their
connections; `quit` ends it. Writes one JSON object a line: {"connected": n}, {"vanished": [...]}, {"lost": n}.
"""

import json
import os
import select
import socket
import ssl
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from holdfast.model.views import HeartbeatReading
from holdfast.protocol import SERVER_NAME, VERSION
from holdfast.protocol import frames as f
from holdfast.protocol import messages as m
from holdfast.protocol import questions as q

_STALE = HeartbeatReading(7, 30.0, True)


class Member:
    """One agent."""

    def __init__(self, number: int, host: str, certificate: Path, authority: Path, port: int) -> None:
        self.number, self.host = number, host
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(authority)
        context.load_cert_chain(certificate)
        plain = socket.create_connection(("127.0.0.1", port), 60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=SERVER_NAME)
        self.frames = f.FrameReader(f.MESSAGE_LIMIT)
        self.sequence = 0
        self.silent = False
        hello = m.Hello((VERSION,), host, host, f"boot-{number}", "kvm", 64, 2500, 512 << 30)
        self.socket.sendall(m.encode(hello))
        self.welcome = False
        while not self.welcome:
            self.take(self.socket.recv(1 << 16))
        self.socket.setblocking(False)

    def beat(self) -> None:
        self.sequence += 1
        with suppress(ssl.SSLWantWriteError):
            self.socket.send(f.beat_frame(self.sequence, False))

    def readable(self) -> bool:
        """False if the server closed."""
        try:
            while True:
                data = self.socket.recv(1 << 16)
                if not data:
                    return False
                if not self.silent:
                    self.take(data)
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        except OSError:
            return False

    def take(self, data: bytes) -> None:
        for kind, body in self.frames.feed(data):
            if kind is not f.FrameKind.MESSAGE:
                continue
            message = m.decode(body)
            if isinstance(message, m.Welcome):
                self.welcome = True
            elif isinstance(message, m.Question):
                asked = q.read_question(message)
                value = () if isinstance(asked, q.ListVms) else _STALE if isinstance(asked, q.ReadHeartbeat) else None
                self.socket.setblocking(True)
                self.socket.sendall(m.encode(q.answer(message.number, value)))
                self.socket.setblocking(False)
            elif isinstance(message, m.Goodbye):
                raise SystemExit(f"{self.host}: {message.reason}")


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(folder: Path, port: int) -> None:
    hosts = json.loads((folder / "hosts.json").read_text())
    epoll, members, due = select.epoll(), {}, deque()
    started = time.monotonic()

    def turn(seconds: float) -> None:
        """Send the beats that are due, and read what came."""
        now = time.monotonic()
        while due and due[0][0] <= now:
            at, member = due.popleft()
            if not member.silent:
                member.beat()
                due.append((max(at + 1.0, now), member))
        left = max(0.0, min(seconds, due[0][0] - now if due else seconds))
        for descriptor, _ in epoll.poll(left, 4096):
            if descriptor == 0:
                obey(os.read(0, 4096).decode().split())
            elif not members[descriptor].readable():
                epoll.unregister(descriptor)
                tell(lost=members.pop(descriptor).host)

    def obey(words: list[str]) -> None:
        if not words or words[0] == "quit":
            raise SystemExit(0)
        count, step = int(words[1]), int(words[2])
        chosen = [one for one in sorted(members.values(), key=lambda one: one.number) if one.number % step == 0][:count]
        for one in chosen:
            one.silent = True
        tell(vanished=[one.host for one in chosen], at=time.monotonic())

    for number, host in enumerate(hosts):
        member = Member(number, host, folder / f"{number}.pem", folder / "authority.pem", port)
        members[member.socket.fileno()] = member
        epoll.register(member.socket.fileno(), select.EPOLLIN)
        due.append((time.monotonic() + 1.0, member))
        turn(0.0)
    tell(connected=len(members), seconds=round(time.monotonic() - started, 1))
    # From here on, beats are spread evenly over the second, as those of machines that booted at different times are.
    now = time.monotonic()
    ordered = sorted(due, key=lambda one: one[1].number * 7919 % len(hosts))
    due.clear()
    due.extend((now + index / len(hosts), member) for index, (_, member) in enumerate(ordered))
    epoll.register(0, select.EPOLLIN)
    while True:
        turn(1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
