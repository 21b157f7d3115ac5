"""Many fast BMCs in one process: `emulated_bmcs.py COUNT`, one UDP port of 127.0.0.1 each; password in BMC_PASSWORD.

Prints the ports on one line. Speaks RMCP+ with cipher suites 3 and 17, and takes one word of advice per line of input:

    status HEX        answer Get Chassis Status with these bytes (empty: the truth again)
    session HEX       answer Get Session Info with these bytes (empty: with an error code)
    code NETFN COMMAND CODE [TIMES]   answer so many times (for ever) with this completion code
    login STATUS      answer open session requests with this status
    grant LEVEL       grant this privilege level at most
    suites 3|17|both  accept these cipher suites
    dark SHARE        this share of the BMCs, evenly spread, answers nothing
    delay SECONDS     take so long for each answer
    forget            lose all sessions, as a restart does
    mute TIMES        take so many new passwords without an answer
    cpu               print the processor time used so far, in seconds
"""

import collections
import hmac
import os
import resource
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

USER: Final = b"fencer"
GUID: Final = bytes(range(16))
HASHES: Final = {1: ("sha1", 12), 3: ("sha256", 16)}
"""By authentication algorithm: the hash, and how much of it guards a packet."""

SUITES: Final = {"3": {1}, "17": {3}, "both": {1, 3}}
_EVENTS_PER_LOOK: Final = 256


@dataclass(slots=True)
class Session:
    """One session, from the open request on."""

    console: bytes
    algorithm: int
    role: int = 0
    username: bytes = b""
    console_random: bytes = b""
    own_random: bytes = b""
    key: bytes = b""
    cipher: Any = None
    sequence: int = 0


@dataclass(slots=True)
class Bmc:
    """One BMC with its chassis."""

    handle: socket.socket
    is_on: bool = True
    is_dark: bool = False
    sessions: dict[bytes, Session] = field(default_factory=dict)


class Farm:
    """All BMCs, and how they behave."""

    def __init__(self, count: int, password: bytes) -> None:
        self.password = password
        self.status = b""
        self.session_info = b""
        self.codes: dict[tuple[int, int], list[int]] = {}
        self.login_status = 0
        self.most_privilege = 4
        self.accepted = SUITES["both"]
        self.delay = 0.0
        self.mute = 0
        self._later: collections.deque[tuple[float, Bmc, bytes, Any]] = collections.deque()
        self._epoll = select.epoll()
        self._bmcs: dict[int, Bmc] = {}
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 64)), hard))
        for _ in range(count):
            handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            handle.bind(("127.0.0.1", 0))
            handle.setblocking(False)
            self._bmcs[handle.fileno()] = Bmc(handle)
            self._epoll.register(handle, select.EPOLLIN)

    def ports(self) -> list[int]:
        """Where they listen."""
        return [bmc.handle.getsockname()[1] for bmc in self._bmcs.values()]

    def run(self) -> None:
        """Answer until the input ends."""
        self._epoll.register(sys.stdin, select.EPOLLIN)
        while True:
            rest = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            for number, _ in self._epoll.poll(rest, _EVENTS_PER_LOOK):
                if number == sys.stdin.fileno():
                    line = os.read(number, 4096).decode()
                    if not line:
                        return
                    for words in line.splitlines():
                        self._advise(words.split())
                else:
                    self._serve(self._bmcs[number])
            while self._later and self._later[0][0] <= time.monotonic():
                _, bmc, answer, client = self._later.popleft()
                bmc.handle.sendto(answer, client)

    def _advise(self, words: list[str]) -> None:
        match words:
            case ["status", *digits]:
                self.status = bytes.fromhex("".join(digits))
            case ["session", *digits]:
                self.session_info = bytes.fromhex("".join(digits))
            case ["code", netfn, command, code, *times]:
                key = int(netfn, 16), int(command, 16)
                self.codes[key] = [int(code, 16), int(times[0]) if times else -1]
            case ["login", status]:
                self.login_status = int(status, 16)
            case ["grant", level]:
                self.most_privilege = int(level)
            case ["suites", name]:
                self.accepted = SUITES[name]
            case ["dark", share]:
                for index, bmc in enumerate(self._bmcs.values()):
                    bmc.is_dark = int((index + 1) * float(share)) > int(index * float(share))
            case ["delay", seconds]:
                self.delay = float(seconds)
            case ["forget"]:
                for bmc in self._bmcs.values():
                    bmc.sessions.clear()
            case ["mute", times]:
                self.mute = int(times)
            case ["cpu"]:
                pass
        print(time.process_time() if words == ["cpu"] else "done", flush=True)

    def _serve(self, bmc: Bmc) -> None:
        while True:
            try:
                packet, client = bmc.handle.recvfrom(1024)
            except BlockingIOError:
                return
            if bmc.is_dark:
                continue
            answer = self._answer(bmc, packet)
            if answer and self.delay:
                self._later.append((time.monotonic() + self.delay, bmc, answer, client))
            elif answer:
                bmc.handle.sendto(answer, client)

    def _answer(self, bmc: Bmc, packet: bytes) -> bytes:
        if packet[4] == 0:
            return _ipmi15(self._sessionless(packet[14:]))
        kind = packet[5]
        payload = packet[16:]
        if kind == 0xC0:
            return self._in_session(bmc, packet)
        if kind == 0x10:
            return _rmcp_plus(0x11, self._open(bmc, payload))
        if kind == 0x12:
            return _rmcp_plus(0x13, self._rakp2(bmc, payload))
        if kind == 0x14:
            return _rmcp_plus(0x15, self._rakp4(bmc, payload))
        return _rmcp_plus(0, self._sessionless(payload)) if kind == 0 else b""

    def _sessionless(self, message: bytes) -> bytes:
        command = message[5]
        if command == 0x38:
            return _message(message, 0, bytes([1, 0x80, 0x04, 0x02, 0, 0, 0, 0]))
        if command == 0x54:
            return _message(message, 0, bytes.fromhex("01c0034141 81c0110344 81".replace(" ", "")))
        return b""

    def _open(self, bmc: Bmc, payload: bytes) -> bytes:
        algorithm = payload[16 - 4]
        status = self.login_status or (0 if algorithm in self.accepted else 0x11)
        if status:
            return bytes([payload[0], status, 0, 0]) + payload[4:8]
        identity = os.urandom(4)
        bmc.sessions[identity] = Session(payload[4:8], algorithm)
        return bytes([payload[0], 0, 4, 0]) + payload[4:8] + identity + payload[8:32]

    def _rakp2(self, bmc: Bmc, payload: bytes) -> bytes:
        session = bmc.sessions.get(payload[4:8])
        if session is None:
            return bytes([payload[0], 2, 0, 0, 0, 0, 0, 0])
        session.console_random, session.role = payload[8:24], payload[24]
        session.username = payload[28 : 28 + payload[27]]
        if session.username != USER:
            return bytes([payload[0], 0x0D, 0, 0]) + session.console
        session.own_random = os.urandom(16)
        name = bytes([session.role, len(session.username)]) + session.username
        proof = session.console + payload[4:8] + session.console_random + session.own_random + GUID + name
        digest = hmac.digest(self.password, proof, HASHES[session.algorithm][0])
        return bytes([payload[0], 0, 0, 0]) + session.console + session.own_random + GUID + digest

    def _rakp4(self, bmc: Bmc, payload: bytes) -> bytes:
        session = bmc.sessions.get(payload[4:8])
        if session is None:
            return bytes([payload[0], 2, 0, 0, 0, 0, 0, 0])
        name, size = HASHES[session.algorithm]
        user = bytes([session.role, len(session.username)]) + session.username
        wanted = hmac.digest(self.password, session.own_random + session.console + user, name)
        if payload[8:] != wanted:
            return bytes([payload[0], 0x0F, 0, 0]) + session.console
        main_key = hmac.digest(self.password, session.console_random + session.own_random + user, name)
        session.key = hmac.digest(main_key, b"\x01" * 20, name)
        session.cipher = algorithms.AES(hmac.digest(main_key, b"\x02" * 20, name)[:16])
        check = hmac.digest(main_key, session.console_random + payload[4:8] + GUID, name)[:size]
        return bytes([payload[0], 0, 0, 0]) + session.console + check

    def _in_session(self, bmc: Bmc, packet: bytes) -> bytes:
        session = bmc.sessions.get(packet[6:10])
        if session is None or session.cipher is None:
            return b""
        name, size = HASHES[session.algorithm]
        if hmac.digest(session.key, packet[4:-size], name)[:size] != packet[-size:]:
            return b""
        length = struct.unpack_from("<H", packet, 14)[0]
        decryptor = Cipher(session.cipher, modes.CBC(packet[16:32])).decryptor()
        plain = decryptor.update(packet[32 : 16 + length])
        message = plain[: -1 - plain[-1]]
        code, data = self._carry_out(bmc, message[1] >> 2, message[5], message[6:-1])
        if (message[1] >> 2, message[5]) == (0x06, 0x47) and self.mute:
            self.mute -= 1
            return b""
        answer = _message(message, code, data)
        if message[5] == 0x3C:
            del bmc.sessions[packet[6:10]]
        padding = -(len(answer) + 1) % 16
        padded = answer + bytes(range(1, padding + 1)) + bytes([padding])
        vector = os.urandom(16)
        sealed = vector + Cipher(session.cipher, modes.CBC(vector)).encryptor().update(padded)
        session.sequence += 1
        head = b"\x06\xc0" + session.console + struct.pack("<IH", session.sequence, len(sealed))
        guarded = head + sealed
        fill = -(len(guarded) + 2) % 4
        guarded += b"\xff" * fill + bytes([fill, 7])
        return b"\x06\x00\xff\x07" + guarded + hmac.digest(session.key, guarded, name)[:size]

    def _carry_out(self, bmc: Bmc, netfn: int, command: int, data: bytes) -> tuple[int, bytes]:
        planned = self.codes.get((netfn, command))
        if planned and planned[1]:
            planned[1] -= 1
            return planned[0], b""
        match netfn, command:
            case 0x00, 0x01:
                return 0, self.status or bytes([bmc.is_on, 0, 0])
            case 0x00, 0x02:
                bmc.is_on = data[0] != 0 and data[0] != 5
                return 0, b""
            case 0x06, 0x3B:
                return 0, bytes([min(data[0], self.most_privilege)])
            case 0x06, 0x3D if self.session_info:
                return 0, self.session_info
            case 0x06, 0x37:
                return 0, GUID
            case 0x06, 0x01:
                return 0, bytes(15)
            case 0x06, 0x44:
                return 0, bytes([1, 1, 0, 0x34])
            case 0x06, 0x46:
                return 0, USER.ljust(16, b"\0")
            case 0x06, 0x47:
                self.password = data[2:].rstrip(b"\0")
                return 0, b""
            case 0x06, 0x3C:
                return 0, b""
        return 0xC1, b""


def _message(request: bytes, code: int, data: bytes) -> bytes:
    head = bytes([request[3], (request[1] | 4) & 0xFC])
    body = bytes([request[0], request[4], request[5], code]) + data
    return head + bytes([-sum(head) & 0xFF]) + body + bytes([-sum(body) & 0xFF])


def _ipmi15(message: bytes) -> bytes:
    return b"\x06\x00\xff\x07" + bytes(9) + bytes([len(message)]) + message if message else b""


def _rmcp_plus(kind: int, payload: bytes) -> bytes:
    return b"\x06\x00\xff\x07\x06" + bytes([kind]) + bytes(8) + struct.pack("<H", len(payload)) + payload


if __name__ == "__main__":
    farm = Farm(int(sys.argv[1]), os.environ["BMC_PASSWORD"].encode())
    print(*farm.ports(), flush=True)
    farm.run()
