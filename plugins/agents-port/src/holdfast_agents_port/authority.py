"""The certificate authority of one cloud: made once, kept in the store, used by all of its management servers.

Certificates are dated back by a day, so that a host whose clock is wrong by hours neither refuses a server nor is
refused.
"""

import datetime
import hashlib
import ssl
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from holdfast.errors import ConfigurationError, InvalidRequest
from holdfast.model.secret import Secret
from holdfast.protocol import HOST_URI, SERVER_NAME

_BACKDATED = datetime.timedelta(days=1)
_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 90
_CURVES = (ec.SECP256R1, ec.SECP384R1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was given out: PEM, serial in hexadecimal, and seconds since 1970."""

    certificate: str
    serial: str
    issued: float
    expires: float


class CertificateAuthority:
    """Signs. Holds the key; everything public is in `certificate`."""

    def __init__(self, certificate: str, key: Secret) -> None:
        """`ConfigurationError` if the two do not belong together or are no certificate and key."""
        try:
            self._certificate = x509.load_pem_x509_certificate(certificate.encode())
            found = serialization.load_pem_private_key(key.reveal().encode(), None)
        except (ValueError, TypeError):
            raise ConfigurationError(
                "the agents' certificate authority in table keystore cannot be read: restore the row from a backup, or "
                "delete it and let every host join again"
            ) from None
        if not isinstance(found, ec.EllipticCurvePrivateKey) or found.public_key() != self._certificate.public_key():
            raise ConfigurationError("table keystore: the agents' certificate authority and its key do not fit")
        self._key = found
        self.certificate = certificate

    @property
    def expires(self) -> float:
        """When it ends, seconds since 1970: nothing that it signed is good for longer."""
        return self._certificate.not_valid_after_utc.timestamp()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal: what join tokens carry."""
        return fingerprint_of(self.certificate)

    def for_host(self, host_uuid: str, request: str, days: float) -> Issued:
        """A client certificate for one host, on the key of `request`. `InvalidRequest` if the request is not good.

        Of the request only the key counts: who the host is, the token or the connection has said.
        """
        name = x509.UniformResourceIdentifier(HOST_URI + host_uuid)
        return self._sign(_requested_key(request), host_uuid, [name], [ExtendedKeyUsageOID.CLIENT_AUTH], days)

    def for_server(self, server: str) -> tuple[str, str]:
        """A certificate and a new key for a management server, PEM: it listens with it, and dials others with it."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issued = self._sign(key.public_key(), server[:64], [x509.DNSName(SERVER_NAME)], uses, _SERVER_DAYS)
        return issued.certificate, _pem_of(key)

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        names: list[x509.GeneralName],
        uses: list[x509.ObjectIdentifier],
        days: float,
    ) -> Issued:
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.random_serial_number()
        until = min(now + datetime.timedelta(days=days), self._certificate.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(text, f"{serial:x}", now.timestamp(), until.timestamp())


def new_authority() -> tuple[str, Secret]:
    """A certificate and its key, PEM, for a cloud that has none yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    serial = x509.random_serial_number()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Holdfast"),
            # Two clouds' authorities must not look alike: a host that meets the wrong one then gets a clear answer.
            x509.NameAttribute(NameOID.COMMON_NAME, f"agents {serial:x}"[:64]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), Secret(_pem_of(key))


def fingerprint_of(certificate: str) -> str:
    """SHA-256 of a PEM certificate, in hexadecimal. `InvalidRequest` if it is none."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    except ValueError:
        raise InvalidRequest("that is no certificate in PEM form") from None


def _requested_key(request: str) -> ec.EllipticCurvePublicKey:
    try:
        found = x509.load_pem_x509_csr(request.encode())
        key = found.public_key()
        good = found.is_signature_valid
    except (ValueError, TypeError, InvalidSignature):
        raise InvalidRequest("the certificate request cannot be read; it must be PKCS#10 in PEM form") from None
    if not good:
        raise InvalidRequest("the certificate request is not signed with its own key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise InvalidRequest("the certificate request must be for a key on the curve P-256 or P-384")
    return key


def _pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
