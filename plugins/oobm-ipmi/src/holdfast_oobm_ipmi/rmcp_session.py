"""pyghmi's session engine without its sockets, thread and timers.

pyghmi knows the messages, the key exchange and the ciphers of IPMI 2.0. It also runs one hidden thread for all
sessions of the process, waits inside calls, resolves names while it sends, retries on its own schedule for longer than
a caller may wait, and shares a session with whoever asks for the same BMC. Here it keeps the first part only: packets
go in by `feed`, come out by `transmit`, and what happened is told by `on_event`. Nothing waits and nothing is global.

One session is used by one thread.
"""

import collections
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from holdfast.errors import ConfigurationError, DriverError, Refused
from pyghmi.ipmi.private.session import Session  # type: ignore[import-untyped]

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.target import Target

log = logging.getLogger(__name__)

_SHA256_ATTEMPT: Final = 256
_SHA1_ATTEMPT: Final = 1
_ALGORITHMS: Final = {_SHA256_ATTEMPT: (3, 4, 1), _SHA1_ATTEMPT: (1, 1, 1)}
_ALGORITHM_AT: Final = (16, 24, 32)
_NO_MATCH: Final = 0x11
_SHORTEST_PACKET: Final = 16
_NO_QUEUE_ENTRY: Final = (None, None, None)
_RMCP_PLUS: Final = 6
_CLOSE_SESSION: Final = 0x3C
_APPLICATION: Final = 0x06
_NEEDED: Final = (
    "_get_channel_auth_cap",
    "_got_channel_auth_cap",
    "_got_rakp2",
    "_got_rakp4",
    "_got_rmcp_response",
    "_handle_ipmi_packet",
    "_initsession",
    "_open_rmcpplus_request",
    "_req_priv_level",
    "_send_ipmi_net_payload",
    "_xmit_packet",
    "send_payload",
)


@dataclass(frozen=True, slots=True)
class Progress:
    """The login went one message further."""


@dataclass(frozen=True, slots=True)
class LoginStarved:
    """This login attempt is spoilt, as after a doubled packet; another one may work. `error` is for the last try."""

    error: DriverError


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """The BMC does not let us in, and trying again would not help."""

    error: DriverError


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the command that was asked last. `code` is the completion code, 0 for success."""

    code: int
    data: bytes


Event = Progress | LoginStarved | LoginFailed | Reply


class RmcpSession(Session):  # type: ignore[misc]  # pyghmi has no type annotations
    """One RMCP+ session with one BMC; a new object for each login."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> "RmcpSession":
        """Always a session of its own: pyghmi would hand out one that exists, and look up the address."""
        return object.__new__(cls)

    def __init__(self, target: Target, transmit: Callable[[bytes], None], on_event: Callable[[Event], None]) -> None:
        """Nothing is sent before `begin`. Takes the place of pyghmi's own, which would open sockets and log in."""
        self._target = target
        self._transmit = transmit
        self._on_event = on_event
        self.bmc, self.port = target.address, target.port
        self.userid = target.username
        self.password = target.password.reveal().encode()
        self.kgo = self.kg = target.kg or self.password
        self.privlevel, self.autopriv = target.privilege, False
        self.nameonly = 16
        self.servermode = self.broken = self.cleaningup = self.awaitingresponse = False
        self.lastpayload: Any = None
        self.last_payload_type = self.lastresponse = self.socket = None
        self.onlogpayload = self.onlogpayloadtype = self._customkeepalives = None
        self.incommand = self.nowait = False
        self.maxtimeout = self.logontries = 0
        self.evq: collections.deque[Any] = collections.deque(maxlen=0)
        self.pktqueue = self.evq
        self.seqlun = 0
        self.ipmicallback: Callable[[dict[str, Any]], None] = _ignore
        self.pendingpayloads: collections.deque[Any] = collections.deque()
        self.request_entry: list[Any] = []
        self.logonwaiters: list[Any] = []
        self._initsession()

    def __repr__(self) -> str:
        return f"<RmcpSession with {self._target.where}, {self.stage}>"

    @property
    def established(self) -> bool:
        """Whether the keys are agreed and commands can be asked."""
        return bool(self.sessioncontext == "ESTABLISHED")

    @property
    def stage(self) -> str:
        """What the login waits for, in words."""
        return {
            None: "asking for the authentication capabilities",
            "OPENSESSION": "opening a session",
            "EXPECTINGRAKP2": "naming the user (RAKP 1, which some BMCs do not answer for users they do not know)",
            "EXPECTINGRAKP4": "proving the password (RAKP 3)",
            "ESTABLISHED": "talking in a session",
        }.get(self.sessioncontext, "logging in")

    def begin(self, ask_capabilities: bool = True) -> None:
        """Start a login, or start it anew. Fresh numbers keep late answers to an earlier attempt out."""
        self._initsession()
        self.attemptedhash = _SHA256_ATTEMPT if 17 in self._target.suites else _SHA1_ATTEMPT
        self.localsid = secrets.randbelow(0xFFFFFFF0) + 1
        self.rmcptag = secrets.randbelow(200)
        self.request_entry.clear()
        self.pendingpayloads.clear()
        if ask_capabilities:
            self._get_channel_auth_cap()
        else:
            self.ipmiversion = 2.0
            self._open_rmcpplus_request()

    def ask(self, netfn: int, command: int, data: bytes = b"") -> None:
        """Send one command; the answer comes as a `Reply`. A late answer to an earlier command is not taken for it."""
        self.forget()
        self.ipmicallback = self._answered
        self._send_ipmi_net_payload(netfn, command, data)

    def ask_again(self) -> None:
        """Send the command that was asked last once more, under the same number, for a BMC that did not hear it."""
        if self.lastpayload is not None:
            self.send_payload()

    def forget(self) -> None:
        """No longer expect an answer to the command that was asked last."""
        self.lastpayload = None
        self.pendingpayloads.clear()
        self.request_entry.clear()
        self.seqlun = (self.seqlun + 1) & 0x3F

    def feed(self, packet: bytes) -> None:
        """Take a packet from the BMC's address. Whatever is not authentic, complete and expected is dropped."""
        data = bytearray(packet)
        if len(data) < _SHORTEST_PACKET or data[0] != _RMCP_PLUS or data[2:4] != b"\xff\x07":
            return
        if self.authtype == _RMCP_PLUS and data[4] != _RMCP_PLUS:
            return  # pyghmi would take over the sequence number of such a packet, which anybody can forge
        before = (self.sessioncontext, self.rmcptag)
        try:
            self._handle_ipmi_packet(data, qent=_NO_QUEUE_ENTRY)
        except Exception as problem:  # pyghmi trusts lengths inside packets: IndexError, struct.error, ValueError
            log.debug("%s: dropped a malformed packet (%s)", self._target.where, type(problem).__name__)
            return
        if before != (self.sessioncontext, self.rmcptag):
            self._on_event(Progress())

    def close(self) -> None:
        """Tell the BMC that the session is over, without waiting for its answer. Harmless if there is none."""
        if self.established:
            self.forget()
            identity = int(self.sessionid).to_bytes(4, "little")
            self.ipmicallback = _ignore
            self._send_ipmi_net_payload(_APPLICATION, _CLOSE_SESSION, identity, retry=False)
        self.sessioncontext = "FAILED"
        self.password = self.kg = self.kgo = b""

    # From here on: pyghmi's own steps, where its engine would wait, retry or go another way than a caller may need.

    def _xmit_packet(self, retry: bool = True, delay_xmit: Any = None, timeout: Any = None) -> None:
        if self.sequencenumber:
            self.sequencenumber += 1
        self._transmit(bytes(self.netpacket))

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        if response["code"]:
            text = refusals.meaning(response["netfn"], response["command"], response["code"])
            self._fail(Refused(f'{self._target.where}: no login: it said "{text}" when asked how to log in'))
            return
        data = response["data"]
        if not (data[1] & 0x80 and data[3] & 0x02):
            self._fail(Refused(f"{self._target.where}: it speaks IPMI 1.5 only; enable IPMI 2.0 (RMCP+) on the BMC"))
            return
        self.ipmiversion = 2.0
        self._open_rmcpplus_request()

    def _got_rmcp_response(self, data: bytearray) -> None:
        if self.sessioncontext != "OPENSESSION" or data[0] != self.rmcptag:
            return
        status = data[1]
        chosen = () if status else tuple(data[at] & 0x3F for at in _ALGORITHM_AT)
        if chosen != _ALGORITHMS[self.attemptedhash]:
            # Who chooses weaker algorithms than those proposed, without a word, is followed only where it is allowed.
            weaker = self.attemptedhash == _SHA256_ATTEMPT and 3 in self._target.suites
            if weaker and (chosen == _ALGORITHMS[_SHA1_ATTEMPT] if not status else not refusals.is_no_room(status)):
                self.attemptedhash = _SHA1_ATTEMPT
                self._open_rmcpplus_request()
            elif status:
                self._fail(refusals.login_refused(self._target, status, "the open session response"))
            else:
                self._fail(refusals.login_refused(self._target, _NO_MATCH, "effect by choosing others"))
            return
        super()._got_rmcp_response(data)

    def _got_rakp2(self, data: bytearray) -> None:
        if self.sessioncontext != "EXPECTINGRAKP2" or data[0] != self.rmcptag:
            return
        if data[1] == refusals.INVALID_SESSION:
            self._starve(data[1], "RAKP 2")
        elif data[1]:
            self._fail(refusals.login_refused(self._target, data[1], "RAKP 2"))
        else:
            super()._got_rakp2(data)

    def _got_rakp4(self, data: bytearray) -> None:
        if self.sessioncontext != "EXPECTINGRAKP4" or data[0] != self.rmcptag:
            return
        if data[1] in (refusals.INVALID_SESSION, refusals.BAD_INTEGRITY):
            # A BMC says so too when it gets RAKP 3 twice, so the first time is no proof of anything.
            self._starve(data[1], "RAKP 4")
        elif data[1]:
            self._fail(refusals.login_refused(self._target, data[1], "RAKP 4"))
        else:
            super()._got_rakp4(data)

    def _req_priv_level(self) -> None:
        # The keys are agreed. They are all that is needed from here on, so the secrets go.
        self.logged, self.logging = 1, False
        self.password = self.kg = self.kgo = b""

    def onlogon(self, parameter: dict[str, Any]) -> None:
        """pyghmi found the BMC's proof wrong, in RAKP 2 or in RAKP 4."""
        if "error" in parameter:
            in_rakp4 = self.sessioncontext == "EXPECTINGRAKP4"
            self._fail(refusals.wrong_kg(self._target) if in_rakp4 else refusals.wrong_password(self._target))

    def _fail(self, error: DriverError) -> None:
        self.sessioncontext = "FAILED"
        self._on_event(LoginFailed(error))

    def _starve(self, status: int, step: str) -> None:
        self.sessioncontext = "FAILED"
        self._on_event(LoginStarved(refusals.login_refused(self._target, status, step)))

    def _answered(self, response: dict[str, Any]) -> None:
        self._on_event(Reply(response["code"], bytes(response["data"])))

    def _timedout(self) -> None:
        """No timers here: whoever asked decides when to ask again."""

    def _keepalive(self) -> None:
        """Likewise."""

    def _relog(self) -> None:
        """Likewise."""

    def _mark_broken(self, error: Any = None) -> None:
        """Likewise."""

    def logout(self, sessionok: bool = True) -> None:
        """Likewise; `close` does it without waiting."""


def check_pyghmi() -> None:
    """`ConfigurationError` if the pyghmi that is installed lacks a part that is used here."""
    missing = [name for name in _NEEDED if not callable(getattr(Session, name, None))]
    if missing:
        raise ConfigurationError(
            f"the installed pyghmi lacks {', '.join(missing)} of its session engine; install pyghmi>=1.6.10,<1.7"
        )


def _ignore(_response: dict[str, Any]) -> None:
    """The answer to the last word of a session."""
