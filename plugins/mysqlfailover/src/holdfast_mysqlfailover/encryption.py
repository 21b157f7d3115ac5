"""Values of `db.properties` that are written `ENC(…)`: what CloudStack encrypts them with, read back.

V2 is AES-256-GCM: base64 of a nonce of 12 bytes, the cipher text and its tag; the key is the SHA-256 of the management
secret. V1 is what Jasypt calls PBEWithMD5AndDES: base64 of a salt of 8 bytes and the cipher text.
"""

import base64
import binascii
import hashlib
import os
import warnings
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret

ENVIRONMENT_VARIABLE: Final = "CLOUD_SECRET_KEY"
TYPES: Final = ("none", "file", "env")
_NONCE_BYTES, _TAG_BYTES = 12, 16
_SALT_BYTES, _BLOCK_BYTES, _ROUNDS = 8, 8, 1000


class CannotDecrypt(Exception):
    """The text was not encrypted with this secret, or is damaged."""


def is_encrypted(text: str) -> bool:
    """Whether a value is written `ENC(…)`."""
    return text.startswith("ENC(") and text.endswith(")")


def management_secret(kind: str, key_file: Path, where: str) -> Secret | None:
    """The secret that values are encrypted with; None for type `none`. `where` starts every error.

    `kind` is the value of `db.cloud.encryption.type`. Reads the first line of `key_file`, or the environment.
    """
    if kind == "none":
        return None
    if kind == "env":
        found = os.environ.get(ENVIRONMENT_VARIABLE, "")
        if not found:
            raise ConfigurationError(
                f"{where} is env, but the environment variable {ENVIRONMENT_VARIABLE} is not set: set it to the "
                "management secret for the process that runs holdfast"
            )
        return Secret(found)
    if kind == "file":
        return Secret(_first_line(key_file, where))
    hint = ": nobody may be there to send the key when the server restarts at night" if kind == "web" else ""
    raise ConfigurationError(f"{where} is {kind!r}{hint}; allowed are {', '.join(TYPES)}")


def _first_line(path: Path, where: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        cause = getattr(problem, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"{where} is file, but the key file {path} cannot be read ({cause}): set encryption_key_file in "
            "[database.mysql] to the file with the management secret, readable by the user who runs holdfast"
        ) from None
    if not lines or not lines[0]:
        raise ConfigurationError(f"{where} is file, but the key file {path} is empty: its first line is the secret")
    return lines[0]


def decrypt(text: str, secret: Secret, version: str = "") -> str:
    """The plain text of an `ENC(…)` value. `version` is "V1", "V2", or "" to try the newer one first.

    Raises `CannotDecrypt` without saying anything of the text.
    """
    try:
        sealed = base64.b64decode(text[len("ENC(") : -len(")")], validate=True)
    except (binascii.Error, ValueError):
        raise CannotDecrypt("it is no base64") from None
    for name, method in (("V2", _decrypt_v2), ("V1", _decrypt_v1)):
        if version in ("", name):
            try:
                return method(sealed, secret.reveal().encode())
            except (InvalidTag, ValueError):
                continue
    raise CannotDecrypt("it was encrypted with another secret, or is damaged")


def encrypt(text: str, secret: Secret) -> str:
    """A V2 value that reads back as `text`."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + _aes(secret.reveal().encode()).encrypt(nonce, text.encode(), None)
    return f"ENC({base64.b64encode(sealed).decode('ascii')})"


def _aes(secret: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(secret).digest())


def _decrypt_v2(sealed: bytes, secret: bytes) -> str:
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise ValueError("too short")
    return _aes(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()


def _decrypt_v1(sealed: bytes, secret: bytes) -> str:
    if len(sealed) < _SALT_BYTES + _BLOCK_BYTES or len(sealed) % _BLOCK_BYTES:
        raise ValueError("not whole blocks")
    derived = secret + sealed[:_SALT_BYTES]
    for _ in range(_ROUNDS):
        derived = hashlib.md5(derived, usedforsecurity=False).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that DES is weak is known; the values exist
        # DES is triple DES with three equal keys.
        method = Cipher(TripleDES(derived[:8] * 3), modes.CBC(derived[8:]))
    decryptor = method.decryptor()
    plain = decryptor.update(sealed[_SALT_BYTES:]) + decryptor.finalize()
    padding = plain[-1]
    if not 1 <= padding <= _BLOCK_BYTES or plain[-padding:] != bytes([padding]) * padding:
        raise ValueError("bad padding")
    return plain[:-padding].decode()
