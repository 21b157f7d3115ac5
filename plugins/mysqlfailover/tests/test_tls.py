"""TLS to a real server whose certificate a made-up authority signed, by the keys of `db.properties`."""

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from failover_site import PASSWORD, FailoverSite, read
from holdfast_conformance.mariadb import MariaDb, MariaDbLab

CIPHER = "SHOW STATUS LIKE 'Ssl_cipher'"


class Authority:
    """Signs certificates. `pem`: its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(self._signed(self._name, self._key).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> Path:
        """A file with a private key and its certificate, for the loopback."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        path = self._folder / f"{name}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + self._signed(subject, key, ends_here=True).public_bytes(Encoding.PEM))
        return path

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ends_here: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=not ends_here, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that signed the server's certificate."""
    return Authority(tmp_path_factory.mktemp("authority"), "made-up")


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """It takes encrypted connections alone; its user must show a certificate."""
    own = str(authority.issue("server"))
    options = {"ssl-ca": str(authority.pem), "ssl-cert": own, "ssl-key": own, "require-secure-transport": "ON"}
    with MariaDbLab(tmp_path_factory.mktemp("db")) as lab:
        made = lab.server(options=options)
        made.run("CREATE DATABASE cloud", f"CREATE USER cloud@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509")
        made.run("GRANT ALL ON cloud.* TO cloud@'%'")
        yield made


@pytest.fixture
def site(server: MariaDb, tmp_path: Path) -> Iterator[FailoverSite]:
    """The server as the only one of a cloud."""
    site = FailoverSite(tmp_path, [server])
    yield site
    site.close()


def _why_not(site: FailoverSite, **keys: object) -> str:
    """Said at once: to wait for it would mend nothing."""
    engine = site.driver({"start_seconds": 600.0}, replicas="", useSSL="true", **keys).engine()
    with pytest.raises(sa.exc.OperationalError) as caught:
        read(engine, CIPHER)
    return str(caught.value.orig)


def test_both_sides_show_certificates_that_the_authority_signed(site: FailoverSite, authority: Authority) -> None:
    """And what they say is encrypted."""
    keys = {"useSSL": "true", "trustStore": authority.pem, "keyStore": authority.issue("client")}
    ((_name, cipher),) = read(site.driver(replicas="", **keys).engine(), CIPHER)
    assert cipher


def test_a_server_that_another_authority_signed_is_refused(
    site: FailoverSite, authority: Authority, tmp_path: Path
) -> None:
    """With the key to set right."""
    why = _why_not(site, trustStore=Authority(tmp_path, "other").pem, keyStore=authority.issue("client"))
    assert "its certificate is not trusted" in why
    assert "trustStore" in why


def test_a_server_under_another_name_is_refused(site: FailoverSite, server: MariaDb, authority: Authority) -> None:
    """Its certificate is for 127.0.0.1."""
    site.places[server] = ("localhost", server.port)
    assert "localhost" in _why_not(site, trustStore=authority.pem, keyStore=authority.issue("client"))


def test_a_server_that_wants_a_certificate_of_the_client_denies_the_login(
    site: FailoverSite, authority: Authority
) -> None:
    """Where the file names no key store."""
    assert "Access denied" in _why_not(site, trustStore=authority.pem)
