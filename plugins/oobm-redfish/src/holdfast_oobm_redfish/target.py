"""Which BMC, as whom, and how: one `BmcView` with the driver's settings under it, checked and typed."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from holdfast.errors import Refused
from holdfast.model.secret import Secret
from holdfast.model.views import BmcView

from holdfast_oobm_redfish.trust import Trust, read_fingerprints

PER_BMC: Final = frozenset(
    {
        "scheme",
        "authentication",
        "system",
        "uuid",
        "ca_file",
        "certificate_fingerprint",
        "certificate_name",
        "insecurely_accept_any_certificate",
    }
)
"""What an option of a BMC, or a table under `bmcs` in the settings, may say; the settings hold the rest."""

SCHEMES: Final = {"https": 443, "http": 80}
AUTHENTICATIONS: Final = ("auto", "session", "basic")
HIGHEST_PORT = 65535
_NO_HOST = frozenset("/@?#\\ \t\r\n%")


@dataclass(frozen=True, slots=True)
class Target:
    """One BMC, how to log in to it, and which of its systems is meant (any, if there is only one)."""

    scheme: str
    address: str
    port: int
    username: str
    password: Secret
    authentication: str
    trust: Trust
    system: str = ""
    uuid: UUID | None = None

    @property
    def netloc(self) -> str:
        """Address and port as a URL has them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def where(self) -> str:
        """Start of every error text. Several hosts may share a BMC and its login, so it names no host."""
        return f"BMC {self.netloc}"

    def key(self, salt: bytes) -> bytes:
        """Names the session that fits this target. Equal keys mean equal secrets, and show nothing of them."""
        parts = (self.scheme, self.netloc, self.username, self.authentication, self.trust)
        text = repr(parts).encode() + b"\0" + self.password.reveal().encode()
        return hmac.digest(salt, text, "sha256")


def read_target(bmc: BmcView, settings: Mapping[str, Any]) -> Target:
    """`bmc` over `settings`. `Refused` names the first thing that cannot be right; nothing was sent."""
    address = bmc.address.strip().removeprefix("[").removesuffix("]")
    where = f"BMC {address or '(no address)'}"
    if not address or _NO_HOST & set(address):
        raise Refused(f"{where}: the address {bmc.address!r} is no host; give a name or an IP address, without a URL")
    own = settings["bmcs"].get(address, {})
    given = {key: str(bmc.options.get(key) or own.get(key) or settings.get(key) or "") for key in PER_BMC}
    scheme = _choice(given["scheme"], tuple(SCHEMES), where, "scheme")
    return Target(
        scheme=scheme,
        address=address,
        port=_port(bmc.port, SCHEMES[scheme], where),
        username=_sendable(bmc.username, where),
        password=_password(bmc.password, where),
        authentication=_choice(given["authentication"], AUTHENTICATIONS, where, "authentication"),
        trust=_trust(given, where),
        system=given["system"].strip(),
        uuid=_uuid(given["uuid"].strip(), where),
    )


def _trust(given: Mapping[str, str], where: str) -> Trust:
    try:
        fingerprints = read_fingerprints(given["certificate_fingerprint"])
    except ValueError as error:
        raise Refused(f"{where}: certificate_fingerprint cannot be used: {error}. Nothing was sent") from None
    anybody = given["insecurely_accept_any_certificate"].lower() == "true"
    return Trust(given["ca_file"], fingerprints, given["certificate_name"].strip(), anybody and not fingerprints)


def _port(text: str, default: int, where: str) -> int:
    text = text.strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and 0 < int(text) <= HIGHEST_PORT:
        return int(text)
    raise Refused(f"{where}: port {text!r} is not a TCP port; give 1 to {HIGHEST_PORT} (Redfish listens on {default})")


def _choice(text: str, known: tuple[str, ...], where: str, what: str) -> str:
    if text not in known:
        raise Refused(f"{where}: {what} {text!r} is not possible; choose one of {', '.join(known)}")
    return text


def _sendable(username: str, where: str) -> str:
    if ":" in username or any(ord(character) < ord(" ") for character in username):
        raise Refused(f"{where}: the user name has a colon or a control character in it, which HTTP cannot carry")
    return username


def _password(password: Secret, where: str) -> Secret:
    try:
        password.reveal().encode()
    except UnicodeEncodeError:
        raise Refused(f"{where}: the password is not text that can be sent; type it anew") from None
    return password


def _uuid(text: str, where: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Refused(f"{where}: uuid {text!r} is not a UUID; give the host's system UUID or leave it out") from None
