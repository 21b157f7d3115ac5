"""Secrets at rest: AES-256-GCM, bound to the column they are stored in.

A stored secret reads `enc:v1:<base64 of nonce, cipher text and tag>`. Anything else in such a column is taken as a
plain secret that somebody typed by hand; it is encrypted when it is next written.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "enc:v1:"
KEY_BYTES = 32
_NONCE_BYTES = 12


class WrongKey(Exception):
    """The text was not encrypted with this key for this place, or was damaged."""


class Cipher:
    """Encrypts and decrypts with one key. Thread-safe."""

    __slots__ = ("_box",)

    def __init__(self, key: bytes) -> None:
        self._box = AESGCM(key)

    def encrypt(self, place: str, text: str) -> str:
        """The text to store at `place` ("table.column")."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._box.encrypt(nonce, text.encode("utf-8", "surrogatepass"), place.encode())
        return PREFIX + base64.b64encode(nonce + sealed).decode("ascii")

    def decrypt(self, place: str, stored: str) -> str:
        """The secret stored at `place`. `WrongKey` if it cannot be read."""
        if not stored.startswith(PREFIX):
            return stored
        try:
            sealed = base64.b64decode(stored.removeprefix(PREFIX), validate=True)
            plain = self._box.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except (InvalidTag, binascii.Error, ValueError) as problem:
            raise WrongKey(place) from problem
        return plain.decode("utf-8", "surrogatepass")
