"""Where the key of the secrets comes from, and the proof that it is the right one.

The database holds a known text encrypted with the key. So a key file that is missing, swapped or made anew is found at
start, before anything unreadable is written beside what is there.
"""

import base64
import binascii
import os
import stat
import threading
from pathlib import Path

import sqlalchemy as sa
from holdfast.errors import ConfigurationError

from holdfast_store.cipher import KEY_BYTES, Cipher, WrongKey
from holdfast_store.tables import KEY_CHECK

_CHECK_PLACE = "store_key.check_text"
_CHECK_TEXT = "holdfast"
_REMEDY = (
    "copy the key file from a backup or from another management server of this database. If it is lost for good: stop "
    "all servers, DELETE FROM store_key, set the encrypted columns to NULL, start, and enter the passwords again"
)


class Vault:
    """Gives the cipher. `key_file` None: a key that lives as long as this object, for databases that do as well."""

    def __init__(self, key_file: Path | None) -> None:
        self._key_file = key_file
        self._cipher: Cipher | None = None
        self._guard = threading.Lock()

    def establish(self, connection: sa.Connection) -> None:
        """Make sure that there is a key and that it fits this database; make both on the very first start.

        Call it under the migration's lock: two servers that start together must not make two keys.
        """
        check = connection.scalar(sa.select(KEY_CHECK.c.check_text))
        with self._guard:
            self._cipher = self._verified(check)
        if check is None:
            text = self._cipher.encrypt(_CHECK_PLACE, _CHECK_TEXT)
            connection.execute(sa.insert(KEY_CHECK).values(id=1, check_text=text))

    def open(self, engine: sa.Engine) -> Cipher:
        """The cipher. `ConfigurationError` if the key cannot be used."""
        if self._cipher is not None:
            return self._cipher
        with engine.connect() as connection:
            check = connection.scalar(sa.select(KEY_CHECK.c.check_text))
        if check is None:
            raise ConfigurationError("the database has no encryption key yet: start a server once, which migrates it")
        with self._guard:
            self._cipher = self._verified(check)
            return self._cipher

    def _verified(self, check: str | None) -> Cipher:
        if self._key_file is None:
            return self._cipher or Cipher(os.urandom(KEY_BYTES))
        if check is None and not self._key_file.exists():
            _create(self._key_file)
        cipher = Cipher(_read(self._key_file))
        try:
            if check is not None and cipher.decrypt(_CHECK_PLACE, check) != _CHECK_TEXT:
                raise WrongKey(_CHECK_PLACE)
        except WrongKey:
            raise ConfigurationError(
                f"{self._key_file} is not the key with which the secrets of this database are encrypted: {_REMEDY}"
            ) from None
        return cipher


def _create(path: Path) -> None:
    """A new key, on the disk for certain before anything is encrypted with it, and never readable by others."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as problem:
        raise ConfigurationError(
            f"cannot create the key file {path} ({problem.strerror}): make its folder writable or set key_file"
        ) from problem


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(
            f"the key file {path} is missing, but the database was made with one: {_REMEDY}"
        ) from None
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read the key file {path} ({problem.strerror}): it must belong to the user that runs holdfast"
        ) from problem
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f"the key file {path} can be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}, and change "
            "the passwords if somebody may have read it"
        )
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"the key file {path} does not hold a key ({KEY_BYTES} bytes as base64): {_REMEDY}")
    return key
