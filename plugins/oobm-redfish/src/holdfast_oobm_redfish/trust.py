"""Whom to believe to be the BMC: certificate authorities, pinned fingerprints, and what is said when it is not.

Every check ends before the first byte of a request leaves, so a stranger is shown no credential.
"""

import hashlib
import hmac
import os
import ssl
import threading
from dataclasses import dataclass

from holdfast.errors import Refused

SHA256_HEX_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Trust:
    """How one BMC proves itself.

    `fingerprints` (lower-case hexadecimal SHA-256 of the certificate) take the place of authorities and names.
    `name` is what the certificate must be made out to; `anybody` switches every check off.
    """

    ca_file: str = ""
    fingerprints: tuple[str, ...] = ()
    name: str = ""
    anybody: bool = False

    @property
    def checks_authority(self) -> bool:
        """Whether the certificate must come from an authority and name the BMC."""
        return not self.fingerprints and not self.anybody


def read_fingerprints(text: str) -> tuple[str, ...]:
    """Fingerprints from text such as `sha256:AB:CD:…`, several separated by commas. `ValueError` if one is none."""
    found = []
    for part in text.split(","):
        digits = part.strip().lower().removeprefix("sha256:").removeprefix("sha256=").replace(":", "").replace(" ", "")
        if not digits:
            continue
        if len(digits) != SHA256_HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
            raise ValueError(f"a SHA-256 fingerprint has {SHA256_HEX_DIGITS} hexadecimal digits, not {len(digits)}")
        found.append(digits)
    return tuple(found)


class Contexts:
    """TLS contexts, one for each set of authorities: reading them takes longer than a handshake. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], ssl.SSLContext] = {}

    def of(self, trust: Trust, where: str, sockets: type[ssl.SSLSocket]) -> ssl.SSLContext:
        """The context for `trust`, whose connections are of class `sockets`. A CA file that changed is read again."""
        key: tuple[object, ...] = (trust.checks_authority,)
        if trust.checks_authority and trust.ca_file:
            key = (trust.ca_file, *_version_of(trust.ca_file, where))
        with self._lock:
            context = self._kept.get(key)
            if context is None:
                context = _context(trust, where)
                context.sslsocket_class = sockets
                self._kept = {old: made for old, made in self._kept.items() if old[0] != key[0]} | {key: context}
            return context


def _version_of(path: str, where: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise Refused(f"{where}: the CA file {path} cannot be read ({error.strerror}); nothing was sent") from None
    return status.st_mtime_ns, status.st_size


def _context(trust: Trust, where: str) -> ssl.SSLContext:
    if not trust.checks_authority:
        # A pinned certificate is compared after the handshake; an authority has nothing to add to it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=trust.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(
            f"{where}: the CA file {trust.ca_file} holds no usable certificate ({error.__class__.__name__}); give "
            "certificates in PEM form. Nothing was sent"
        ) from None


def check_fingerprint(connection: ssl.SSLSocket, trust: Trust, where: str) -> None:
    """`Refused` unless the certificate on `connection` is one of those pinned. Does nothing if none is."""
    if not trust.fingerprints:
        return
    certificate = connection.getpeercert(binary_form=True) or b""
    shown = hashlib.sha256(certificate).hexdigest()
    if not any(hmac.compare_digest(shown, pinned) for pinned in trust.fingerprints):
        raise Refused(
            f"{where}: fingerprint mismatch: it shows the certificate sha256:{shown}, which is not the pinned one. "
            "Nothing was sent. If the BMC's certificate was replaced, pin the new one"
        )


_SELF_SIGNED, _UNKNOWN_LOCAL, _UNKNOWN_LEAF, _CHAIN_SELF_SIGNED = 18, 20, 21, 19
_NOT_YET, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64

_COMPLAINTS = {
    _EXPIRED: "its certificate has expired; renew it on the BMC",
    _NOT_YET: "its certificate is not valid yet; check the clocks of the BMC and of this machine",
    _WRONG_NAME: "its certificate is made out to another name; use that name as address, or set certificate_name",
    _WRONG_ADDRESS: "its certificate is not made out to this IP address; use its name, or set certificate_name",
    _SELF_SIGNED: "its certificate is self-signed, by an unknown CA; pin it with certificate_fingerprint",
    _CHAIN_SELF_SIGNED: "its certificate comes from an unknown CA; give that CA's certificate as ca_file",
    _UNKNOWN_LOCAL: "its certificate comes from an unknown CA; give that CA's certificate as ca_file",
    _UNKNOWN_LEAF: "its certificate comes from an unknown CA; give that CA's certificate as ca_file",
}


def certificate_refusal(error: ssl.SSLCertVerificationError, where: str) -> Refused:
    """What is wrong with the certificate, in words, and what to do."""
    complaint = _COMPLAINTS.get(error.verify_code, f"its certificate is not accepted ({error.verify_message})")
    return Refused(f"{where}: {complaint}. Nothing was sent; the power state is unknown")
