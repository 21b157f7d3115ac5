"""Request signatures: HMAC-SHA1 over the sorted, encoded, lower-cased parameters.

Clients differ in how they encode `~`, `*`, `[` and `]`, whether they encode parameter names, and whether they sort by
raw or lower-case name. A signature is good if it fits any of these readings; all of them bind the same parameters.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from urllib.parse import quote

from holdfast.model import Secret

_EXPIRES_FORMAT = "%Y-%m-%dT%H:%M:%S%z"
LONGEST_AHEAD = timedelta(minutes=15)
"""How far ahead `expires` may lie under enforce.post.requests.and.timestamps."""

_VARIABLE = "~*[]"
_LONG = 65_536
_MOST_READINGS = 64
_MOST_READINGS_OF_LONG = 8


def readings(parameters: Mapping[str, str]) -> Iterator[str]:
    """The strings that a client may have signed for these parameters, each once, the usual ones first."""
    signed = [(name, value) for name, value in parameters.items() if name.lower() != "signature"]
    text = "".join(name + value for name, value in signed)
    present = [character for character in _VARIABLE if character in text]
    orders = (sorted(signed), sorted(signed, key=lambda pair: pair[0].lower()))
    seen = set()
    # Encoding a megabyte again and again would let one caller keep a core busy.
    budget = _MOST_READINGS if len(text) < _LONG else _MOST_READINGS_OF_LONG
    for raw_names, safe, order in product((True, False), _subsets(present), orders):
        budget -= 1
        if budget < 0:
            return
        pairs = ((name if raw_names else _encoded(name, safe), _encoded(value, safe)) for name, value in order)
        line = "&".join(f"{name}={value}" for name, value in pairs).lower()
        if line not in seen:
            seen.add(line)
            yield line


def _encoded(text: str, safe: str) -> str:
    encoded = quote(text, safe=safe)
    return encoded if "~" in safe else encoded.replace("~", "%7E")


def _subsets(characters: list[str]) -> list[str]:
    chosen = product((True, False), repeat=len(characters))
    subsets = ["".join(one for one, taken in zip(characters, choice, strict=True) if taken) for choice in chosen]
    # Brackets are encoded by nearly everyone, `~` and `*` by some.
    return sorted(subsets, key=lambda subset: ("[" in subset or "]" in subset, len(subset)))


def signature(line: str, secret: Secret) -> str:
    """The signature of one such string, base64."""
    digest = hmac.new(secret.reveal().encode(), line.encode("utf-8", "replace"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def fits(parameters: Mapping[str, str], given: str, secret: Secret) -> bool:
    """Whether `given` signs `parameters` in one of the readings. Each is compared in constant time."""
    candidate = given.strip().replace(" ", "+").encode("utf-8", "replace")  # an unencoded "+" arrives as a space
    return any(hmac.compare_digest(signature(line, secret).encode(), candidate) for line in readings(parameters))


def is_expired(text: str, now: datetime | None = None) -> bool | None:
    """Whether `expires` has passed; None if it is no such time."""
    expires = _moment(text)
    return None if expires is None else expires < (now or datetime.now(UTC))


def is_too_far(text: str, now: datetime | None = None) -> bool:
    """Whether `expires` lies further ahead than enforcement allows."""
    expires = _moment(text)
    return expires is None or expires > (now or datetime.now(UTC)) + LONGEST_AHEAD


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), _EXPIRES_FORMAT)  # noqa: DTZ007 - the format demands a zone
    except ValueError:
        return None
