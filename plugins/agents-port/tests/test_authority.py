"""The authority: what it signs, and what it refuses to."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from holdfast.errors import ConfigurationError, InvalidRequest
from holdfast.model import Secret
from holdfast.protocol import HOST_URI, SERVER_NAME
from holdfast_agents_port.authority import CertificateAuthority, new_authority


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, name: str = "whoever") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    found = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return found.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority(*new_authority())


def test_a_host_gets_a_certificate_for_itself_alone(authority: CertificateAuthority) -> None:
    """Whatever name its request claims; and it cannot pose as a server or as an authority."""
    issued = authority.for_host("host-uuid", request(ec.generate_private_key(ec.SECP256R1()), "holdfast-server"), 90)
    found = x509.load_pem_x509_certificate(issued.certificate.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [HOST_URI + "host-uuid"]
    assert names.get_values_for_type(x509.DNSName) == []
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert issued.serial == f"{found.serial_number:x}"


def test_clocks_that_are_wrong_by_hours_do_not_matter(authority: CertificateAuthority) -> None:
    """Hosts' and servers' certificates are good a day before they were made."""
    key = ec.generate_private_key(ec.SECP256R1())
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=23)
    for text in (authority.for_host("h", request(key), 1).certificate, authority.for_server("ms1")[0]):
        assert x509.load_pem_x509_certificate(text.encode()).not_valid_before_utc < long_ago


def test_a_servers_certificate_names_what_agents_check(authority: CertificateAuthority) -> None:
    """One name for all servers, whatever their addresses."""
    found = x509.load_pem_x509_certificate(authority.for_server("ms1")[0].encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [SERVER_NAME]


@pytest.mark.parametrize(
    "garbage", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_garbage_gets_no_certificate(authority: CertificateAuthority, garbage: str) -> None:
    """A clear error."""
    with pytest.raises(InvalidRequest, match="request"):
        authority.for_host("h", garbage, 1)


def test_keys_of_other_kinds_get_none(authority: CertificateAuthority) -> None:
    """RSA keys, and curves that nobody asked for."""
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())):
        with pytest.raises(InvalidRequest, match="curve"):
            authority.for_host("h", request(key), 1)


def test_an_authority_without_its_key_is_refused() -> None:
    """Swapped or damaged rows are found at start."""
    (one, _), (_, other) = new_authority(), new_authority()
    with pytest.raises(ConfigurationError, match="fit"):
        CertificateAuthority(one, other)
    with pytest.raises(ConfigurationError, match="keystore"):
        CertificateAuthority("garbage", Secret("garbage"))
