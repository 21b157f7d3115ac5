"""The one domain there is. CloudStack's clients ask for domains; Holdfast has the root alone."""

import uuid

ROOT_NAME = "ROOT"
ROOT_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "holdfast:domain:ROOT"))
"""The same on every server, so that it needs no row."""


def is_root(path: str) -> bool:
    """Whether a domain path, as clients write it, means the root domain."""
    return path.strip("/").upper() in ("", ROOT_NAME)
