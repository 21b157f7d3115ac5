"""Signatures of API calls: HMAC-SHA1 over the sorted, encoded, lower-cased parameters, as CloudStack defines them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from holdfast.model import Secret

GOOD_FOR = timedelta(minutes=10)
"""A signed call is good for so long: enough for clocks that differ, too short to be of use to who finds it in a log."""


def signature(parameters: Mapping[str, str], secret: Secret) -> str:
    """The signature of these parameters (without one of theirs), base64."""
    line = "&".join(f"{name}={quote(value, safe='*')}" for name, value in sorted(parameters.items())).lower()
    digest = hmac.new(secret.reveal().encode(), line.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def signed(parameters: Mapping[str, str], api_key: str, secret: Secret, now: datetime | None = None) -> dict[str, str]:
    """The parameters with key, expiry and signature."""
    expires = (now or datetime.now(UTC)) + GOOD_FOR
    whole = {
        **parameters,
        "apiKey": api_key,
        "signatureVersion": "3",
        "expires": expires.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return {**whole, "signature": signature(whole, secret)}
