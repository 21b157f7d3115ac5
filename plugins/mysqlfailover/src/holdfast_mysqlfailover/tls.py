"""TLS to the database, from the key stores that `db.properties` names.

Python reads no JKS files. `keytool` turns one into PKCS #12, which Java reads as well.
"""

import os
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates, load_pkcs12
from holdfast.model.secret import Secret

from holdfast_mysqlfailover.plan import Tls

_JKS = bytes.fromhex("feedfeed")
_PEM = b"-----BEGIN"


class BadKeyStore(ValueError):
    """A store cannot be used; the text says why and what to do, and begins in the middle of a sentence."""


def made(
    *, trust_store: str, trust_password: Secret, key_store: str, key_password: Secret, verify: bool, check_name: bool
) -> Tls:
    """What connections are encrypted with. Without a trust store the CAs are the system's. Blocks for reading files."""
    words: dict[str, Any] = {"verify_mode": verify, "check_hostname": verify and check_name}
    if trust_store:
        words["ca"] = _trusted(Path(trust_store), trust_password)
    if key_store:
        words.update(_client(Path(key_store), key_password))
    context = ssl.create_default_context(cafile=words.get("ca"))
    # The certificates that servers make for themselves have no place for these finer points.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.check_hostname = verify and check_name
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if key_store:
        password = words["password"]
        try:
            # A function, because OpenSSL asks at the terminal if a password is needed and none is given.
            context.load_cert_chain(words["cert"], password=lambda: password)
        except (ssl.SSLError, OSError, ValueError):
            raise BadKeyStore(
                f"names {key_store}, which cannot be used: it needs a private key with its certificate, and the right "
                "password"
            ) from None
    return Tls(context, words)


def _trusted(path: Path, password: Secret) -> str:
    content = _read(path)
    if content.lstrip().startswith(_PEM):
        return str(path)
    store = _store(path, content, password)
    found = [entry.certificate for entry in store.additional_certs]
    if store.cert is not None:
        found.append(store.cert.certificate)
    if not found:
        raise BadKeyStore(f"names {path}, which holds no certificate")
    return _kept(b"".join(each.public_bytes(Encoding.PEM) for each in found))


def _client(path: Path, password: Secret) -> dict[str, str]:
    content = _read(path)
    if content.lstrip().startswith(_PEM):
        return {"cert": str(path), "password": password.reveal()}
    store = _store(path, content, password)
    if store.key is None or store.cert is None:
        raise BadKeyStore(f"names {path}, which holds no private key with its certificate")
    once = os.urandom(24).hex()
    pem = store.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(once.encode()))
    for entry in (store.cert, *store.additional_certs):
        pem += entry.certificate.public_bytes(Encoding.PEM)
    return {"cert": _kept(pem), "password": once}


def _kept(content: bytes) -> str:
    """OpenSSL wants files. This one is in memory, for as long as the process lives."""
    descriptor = os.memfd_create("holdfast-tls")
    os.write(descriptor, content)
    return f"/proc/self/fd/{descriptor}"


def _store(path: Path, content: bytes, password: Secret) -> PKCS12KeyAndCertificates:
    if content.startswith(_JKS):
        raise BadKeyStore(
            f"names {path}, a JKS file, which only Java reads. Convert it: keytool -importkeystore -srckeystore {path} "
            f"-destkeystore {path.with_suffix('.p12')} -deststoretype PKCS12; then name that file"
        )
    try:
        return load_pkcs12(content, password.reveal().encode() or None)
    except ValueError:
        raise BadKeyStore(
            f"names {path}, which is neither PEM nor a PKCS #12 file that opens with the given password"
        ) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadKeyStore(f"names {path}, which cannot be read ({problem.strerror})") from None
