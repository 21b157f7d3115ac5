"""What an answer of a BMC means: its JSON, its complaint in words, and which error that is."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable, Unsupported
from redfish.rest.v1 import RestResponse  # type: ignore[import-untyped]

LONGEST_WORDS = 300
MOST_MESSAGES = 3
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_SUCH_THING = frozenset({405, 501})


class Busy(Unreachable):
    """Not now: the BMC says in how many seconds it may be asked again."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


def read_json(answer: RestResponse, where: str) -> dict[str, Any]:
    """The object in a good answer's body; `Unreachable` if there is none: nothing was learnt."""
    try:
        found = json.loads(answer.read)
    except (ValueError, RecursionError):
        raise Unreachable(f"{where}: it answered something that is no JSON ({len(answer.read)} bytes)") from None
    if not isinstance(found, dict):
        raise Unreachable(f"{where}: it answered JSON that is no object")
    return found


def require_good(answer: RestResponse, where: str, doing: str, secrets: Iterable[str]) -> None:
    """Raise what the answer's status stands for, with the BMC's own words, unless it is one of success."""
    status = answer.status
    if 200 <= status < 300:
        return
    error = refusal(status, f"{where}: {doing}: the BMC answered {status}{_said(answer, secrets)}")
    later = str(answer.getheader("retry-after") or "").strip()
    if type(error) is Unreachable and later.isascii() and later.isdigit():
        raise Busy(str(error), float(later[:9]))
    raise error


def refusal(status: int, text: str) -> DriverError:
    """The error for a status. Of one that leaves open what happened (5xx), nothing may be concluded."""
    if status == 401:
        return AuthenticationFailed(f"{text}; check user name and password")
    if status == 403:
        return AuthenticationFailed(f"{text}; the user lacks the privilege, or the account is locked")
    if status in _NO_SUCH_THING:
        return Unsupported(text)
    if status in _BUSY or not 400 <= status < 500:
        return Unreachable(text)
    return Refused(text)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, on one line, of bounded length. A BMC may quote what it was sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, "****") if form else text
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]}…"


def path_in(link: Any, where: str) -> str:
    """The path that a link (`{"@odata.id": …}`, `{"href": …}` or text) names at this BMC."""
    if isinstance(link, Mapping):
        link = link.get("@odata.id", link.get("href"))
    path = urlsplit(link).path if isinstance(link, str) and link.isprintable() else ""
    if not path.startswith("/") or path.startswith("//") or " " in path:
        raise Refused(f"{where}: it names an address that is none: {str(link)[:80]!r}")
    return path


def members_of(collection: Mapping[str, Any]) -> list[Any]:
    """The links of a collection, wherever this BMC's generation keeps them."""
    for holder, key in (
        (collection, "Members"),
        (collection.get("Links"), "Members"),
        (collection.get("links"), "Member"),
    ):
        if isinstance(holder, Mapping) and isinstance(holder.get(key), list):
            return list(holder[key])
    return []


def _said(answer: RestResponse, secrets: Iterable[str]) -> str:
    try:
        body = json.loads(answer.read or b"null")
    except (ValueError, RecursionError):
        return ""
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ""
    extended = error.get("@Message.ExtendedInfo")
    entries = [entry for entry in extended if isinstance(entry, dict)] if isinstance(extended, list) else []
    words = [str(entry["Message"]) for entry in entries if entry.get("Message")][:MOST_MESSAGES]
    if not words and error.get("message"):
        words = [str(error["message"])]
    text = scrub(" ".join(words), secrets)
    return f": {text}" if text else ""
