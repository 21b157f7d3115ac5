"""Who this host is: its certificate and key, the authority's certificate, and where the servers are. Kept on disk."""

import json
import os
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.errors import ConfigurationError, Refused

from holdfast_agent.certificates import validity_of

_KEPT = "host.json"
_CERTIFICATE = "host.pem"
_AUTHORITY = "authority.pem"
_ITS_END = "-----END CERTIFICATE-----\n"
"""The key follows in the same file."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A host that has joined. `servers` are "address:port", in the order in which they are tried."""

    host_uuid: str
    name: str
    servers: tuple[str, ...]


class IdentityStore:
    """The files in one folder that only root reads. Each is replaced whole: a crash leaves the old or the new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._validity: tuple[str, tuple[float, float]] = ("", (0.0, 0.0))
        """A certificate that was looked at, and what it says."""

    def load(self) -> Identity:
        """`ConfigurationError` if the host has not joined, or a file cannot be used."""
        path = self._folder / _KEPT
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Identity(str(kept["host_uuid"]), str(kept["name"]), tuple(map(str, kept["servers"])))
        except FileNotFoundError:
            raise ConfigurationError(
                f"this host has not joined a cloud yet ({path} is missing): make a token with createHostJoinToken, "
                "then run `holdfast agent join --server ADDRESS` and give it the token"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ConfigurationError(f"{path} cannot be read ({problem}): let the host join again") from problem

    def save(self, identity: Identity, certificate: str, key: str, authority: str) -> None:
        """A new identity. Who it is is written last: before that, the host has not joined."""
        self.save_certificate(certificate, key, authority)
        self.write(_KEPT, json.dumps(asdict(identity), indent=1) + "\n")

    def save_certificate(self, certificate: str, key: str, authority: str) -> None:
        """A renewed certificate with its key, in one file, so that they always fit."""
        self.write(_AUTHORITY, authority)
        self.write(_CERTIFICATE, certificate + key)

    def context(self) -> ssl.SSLContext:
        """TLS with what is on disk now. `ConfigurationError` if it cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(self._folder / _AUTHORITY)
            context.load_cert_chain(self._folder / _CERTIFICATE)
        except (OSError, ssl.SSLError) as problem:
            raise ConfigurationError(
                f"the host's certificate in {self._folder} cannot be used ({problem}): let the host join again"
            ) from problem
        return context

    def validity(self) -> tuple[float, float]:
        """From when until when the host's certificate is good, seconds since 1970. Blocks where it is a new one.

        `ConfigurationError` if it cannot be read, `Unreachable` if it could not be looked at.
        """
        path = self._folder / _CERTIFICATE
        try:
            certificate = path.read_text(encoding="ascii").partition(_ITS_END)[0] + _ITS_END
            if certificate != self._validity[0]:
                self._validity = (certificate, validity_of(certificate))
        except (OSError, ValueError, Refused) as problem:
            raise ConfigurationError(f"{path} cannot be read: {problem}") from problem
        return self._validity[1]

    def write(self, name: str, text: str) -> None:
        """Replace one file, on disk when this returns. `ConfigurationError` if it cannot be written."""
        path = self._folder / name
        try:
            write_whole(path, text)
        except OSError as problem:
            raise ConfigurationError(f"{path} cannot be written: {problem.strerror or problem}") from problem


def write_whole(path: Path, text: str) -> None:
    """Replace a file so that a crash leaves the old or the new one, readable by its owner alone. Raises `OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
