"""Password hashes: scrypt, each with its own salt and its parameters beside it."""

import base64
import hashlib
import hmac
import secrets

from holdfast.model import Secret

_N, _R, _P = 2**14, 8, 1
_MEMORY_BYTES = 64 * 1024 * 1024
_LONGEST = 1024


def hashed(password: Secret) -> str:
    """`scrypt$n$r$p$salt$hash`. Takes some 50 ms and 16 MiB."""
    salt = secrets.token_bytes(16)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_derive(password, salt, _N, _R, _P))))


def matches(password: Secret, stored: str) -> bool:
    """Whether the password has this hash. As slow for a hash that cannot be read, so that timing tells nothing."""
    try:
        scheme, n, r, p, salt, digest = stored.split("$")
        if scheme != "scrypt":
            raise ValueError(scheme)
        derived = _derive(password, base64.b64decode(salt), int(n), int(r), int(p))
        expected = base64.b64decode(digest)
    except ValueError:
        _derive(password, b"no such user....", _N, _R, _P)
        return False
    return hmac.compare_digest(derived, expected)


def generated() -> Secret:
    """A password for people to type: 20 letters and digits, some 100 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyzACDEFGHJKLMNPQRTUVWXYZ2346789"
    return Secret("".join(secrets.choice(alphabet) for _ in range(20)))


def _derive(password: Secret, salt: bytes, n: int, r: int, p: int) -> bytes:
    text = password.reveal()[:_LONGEST].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
