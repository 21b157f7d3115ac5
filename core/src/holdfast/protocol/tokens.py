"""Join tokens: what an administrator carries from a management server to a host."""

import re
import secrets
from dataclasses import dataclass

from holdfast.errors import ConfigurationError
from holdfast.model.secret import Secret

_FORM = re.compile(r"holdfast1\.([0-9a-f]{64})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """The fingerprint of the cloud's authority, so that the host knows the server; and the secret, known to both."""

    fingerprint: str
    secret: Secret

    @classmethod
    def make(cls, fingerprint: str) -> "JoinToken":
        """A new one. Its secret has 256 bits of chance."""
        return cls(fingerprint, Secret(secrets.token_urlsafe(32)))

    def text(self) -> Secret:
        """As it is handed over."""
        return Secret(f"holdfast1.{self.fingerprint}.{self.secret.reveal()}")

    @classmethod
    def read(cls, text: Secret) -> "JoinToken":
        """From what was handed over; `ConfigurationError`, without showing it, if that is no token."""
        found = _FORM.fullmatch(text.reveal().strip())
        if found is None:
            raise ConfigurationError(
                "that is no join token: one begins with `holdfast1.` and comes from createHostJoinToken; hand over "
                "all of it, on one line"
            )
        return cls(found.group(1), Secret(found.group(2)))
