"""Which BMC, as whom, and how: one `BmcView` with the driver's settings under it, checked and typed."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from holdfast.errors import Refused
from holdfast.model.secret import Secret
from holdfast.model.views import BmcView

PRIVILEGES: Final = {"user": 2, "operator": 3, "administrator": 4}
CIPHER_SUITES: Final = {"auto": (17, 3), "17": (17,), "3": (3,)}
"""What pyghmi can speak: 17 is SHA-256 with AES, 3 is SHA-1 with AES. `auto` falls back from 17 to 3."""

NAME_BYTES = 16
KEY_BYTES = 20
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """One BMC and how to log in to it. `kg` is empty where the BMC has none; `uuid` is None where no check is asked."""

    host_uuid: str
    address: str
    port: int
    username: bytes
    password: Secret
    kg: bytes = field(repr=False, default=b"")
    suites: tuple[int, ...] = CIPHER_SUITES["auto"]
    privilege: int = PRIVILEGES["administrator"]
    uuid: UUID | None = None

    @property
    def where(self) -> str:
        """Start of every error text: which BMC of which host."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"BMC {host}:{self.port} of host {self.host_uuid}"

    @property
    def place(self) -> tuple[str, str, int, bytes]:
        """What stays the same when only secrets or options change."""
        return self.host_uuid, self.address, self.port, self.username

    def key(self, salt: bytes) -> bytes:
        """Names the session that fits this target. Equal keys mean equal secrets, and show nothing of them."""
        parts: tuple[object, ...] = (*self.place, self.suites, self.privilege, self.uuid, self.kg.hex())
        text = repr(parts).encode() + b"\0" + self.password.reveal().encode()
        return hmac.digest(salt, text, "sha256")


def read_target(bmc: BmcView, settings: Mapping[str, Any]) -> Target:
    """`bmc` over `settings`. `Refused` names the first thing that cannot be right; nothing was sent."""
    options = bmc.options
    address = bmc.address.strip().removeprefix("[").removesuffix("]")
    where = f"BMC {address or '(no address)'} of host {bmc.host_uuid}"
    if not address:
        raise Refused(f"{where}: no address is configured; give one with configureOutOfBandManagement")
    return Target(
        host_uuid=bmc.host_uuid,
        address=address,
        port=_port(bmc.port, settings["port"], where),
        username=_bounded(bmc.username, NAME_BYTES, where, "user name"),
        password=_password(bmc.password, where),
        kg=read_kg((bmc.secrets.get("kg") or settings["kg"]).reveal(), where),
        suites=_choice(CIPHER_SUITES, options.get("cipher_suite", settings["cipher_suite"]), where, "cipher_suite"),
        privilege=_choice(PRIVILEGES, options.get("privilege", settings["privilege"]), where, "privilege"),
        uuid=_uuid(options.get("uuid", ""), where),
    )


def read_kg(text: str, where: str) -> bytes:
    """The key Kg from plain text, or from hexadecimal digits after 0x. `Refused` if it is none, without showing it."""
    if not text.lower().startswith("0x"):
        return _bounded(text, KEY_BYTES, where, "Kg")
    try:
        key = bytes.fromhex(text[2:])
    except ValueError:
        raise Refused(f"{where}: Kg starts with 0x but is not hexadecimal; give pairs of digits 0-9 a-f") from None
    if len(key) > KEY_BYTES:
        raise Refused(f"{where}: Kg has {len(key)} bytes; IPMI allows {KEY_BYTES}")
    # RAKP takes keys as they are padded with zeros, so trailing zeros say nothing, and all of them mean no Kg.
    return key.rstrip(b"\0")


def check_password(password: str, where: str) -> bytes:
    """`password` as IPMI takes it. `Refused` if it is too long or has a zero byte, without showing it."""
    return _bounded(password, KEY_BYTES, where, "password")


def _password(password: Secret, where: str) -> Secret:
    check_password(password.reveal(), where)
    return password


def _port(text: str, default: int, where: str) -> int:
    if not text.strip():
        return default
    if text.strip().isascii() and text.strip().isdigit() and 0 < int(text) <= HIGHEST_PORT:
        return int(text)
    raise Refused(f"{where}: port {text!r} is not a UDP port; give 1 to {HIGHEST_PORT} (IPMI listens on 623)")


def _bounded(text: str, most: int, where: str, what: str) -> bytes:
    try:
        value = text.encode()
    except UnicodeEncodeError:
        raise Refused(f"{where}: the {what} is not text that can be sent; type it anew") from None
    if len(value) > most:
        raise Refused(f"{where}: the {what} has {len(value)} bytes; IPMI 2.0 allows {most}, so choose a shorter one")
    if b"\0" in value:
        raise Refused(f"{where}: the {what} has a zero byte in it, which IPMI cannot carry")
    return value


def _choice(known: Mapping[str, Any], text: str, where: str, what: str) -> Any:
    if text not in known:
        raise Refused(f"{where}: {what} {text!r} is not possible; choose one of {', '.join(known)}")
    return known[text]


def _uuid(text: str, where: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Refused(f"{where}: uuid {text!r} is not a UUID; give the host's system UUID or leave it out") from None
