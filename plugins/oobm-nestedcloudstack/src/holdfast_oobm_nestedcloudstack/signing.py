"""Signs requests as the CloudStack API wants them."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from holdfast.model.secret import Secret


def signed_form(parameters: Mapping[str, str], api_key: str, secret_key: Secret, good_for: float) -> str:
    """The form body with `parameters`, which a server takes for `good_for` seconds from now by its own clock."""
    expires = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(time.time() + good_for))
    fields = {**parameters, "apiKey": api_key, "response": "json", "signatureVersion": "3", "expires": expires}
    return "&".join((_joined(fields), f"signature={quote(signature(fields, secret_key), safe='')}"))


def signature(fields: Mapping[str, str], secret_key: Secret) -> str:
    """HMAC-SHA1 over the sorted, encoded and lower-cased fields. The API knows no other."""
    text = _joined(fields).lower().encode()
    return base64.b64encode(hmac.new(secret_key.reveal().encode(), text, hashlib.sha1).digest()).decode("ascii")


def _joined(fields: Mapping[str, str]) -> str:
    # Sorted by lower-case names: what the server sorts by, and for our fields what clients sort by.
    pairs = (f"{name}={quote(fields[name], safe='*')}" for name in sorted(fields, key=str.lower))
    return "&".join(pairs).replace("~", "%7E")
