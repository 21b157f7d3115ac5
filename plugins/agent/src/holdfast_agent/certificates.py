"""Keys, requests for certificates and what a certificate says, in a process that ends when that is done.

A host needs this when it joins, and every few weeks. The library for it would take 9 MiB of the agent for ever.
"""

import datetime
from typing import Any

from holdfast.errors import Refused
from holdfast.lane import Lane

_SECONDS = 30.0


class Certificates:
    """The worker of a lane: nothing here is imported by the agent itself."""

    def request(self, name: str) -> list[str]:
        """Request and key, PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "host")])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return [request.public_bytes(serialization.Encoding.PEM).decode(), text.decode()]

    def validity(self, certificate: str) -> list[float]:
        """From when until when the first certificate in the text is good, seconds since 1970."""
        from cryptography import x509

        try:
            found = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError as problem:
            raise Refused(str(problem)) from problem
        return [_seconds(found, "not_valid_before"), _seconds(found, "not_valid_after")]


def new_request(name: str) -> tuple[str, str]:
    """A new key, and a request for a certificate on it: request and key, PEM. The key never leaves the host.

    Blocks for a second or so. `Unreachable` if the process for it cannot do its work.
    """
    request, key = _apart("request", name)
    return str(request), str(key)


def validity_of(certificate: str) -> tuple[float, float]:
    """From when until when it is good, seconds since 1970. Blocks as `new_request`; `Refused` if it is garbage."""
    since, until = _apart("validity", certificate)
    return float(since), float(until)


def _apart(what: str, *arguments: Any) -> Any:
    lane = Lane("holdfast_agent.certificates:Certificates", "the process for certificates")
    try:
        return lane.call(_SECONDS, what, *arguments)
    finally:
        lane.close()


def _seconds(certificate: Any, name: str) -> float:
    """Debian 12 has a `cryptography` that knows naive UTC times only; newer ones warn of them."""
    found = getattr(certificate, f"{name}_utc", None)
    if found is None:
        found = getattr(certificate, name).replace(tzinfo=datetime.UTC)
    return float(found.timestamp())
