"""Notices as JSON documents POSTed to one URL."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request

from holdfast.errors import AuthenticationFailed, ConfigurationError, DeadlineExceeded, Refused, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.notifier import Notice
from holdfast.log_output import redact
from holdfast.model import Secret
from holdfast.options import Option

from holdfast_notifiers.delivery import Delivery

_TRY_AGAIN = frozenset({408, 425, 429})


class WebhookNotifier:
    """Notifier `webhook`. The URL counts as a secret, since chat services put their token into it.

    A redirect is followed only within the same scheme, host and port, and only if it keeps the POST (307, 308).
    Proxies are taken from the usual environment variables.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "url": Option(Secret, doc="where notices are sent, http or https"),
        "timeout": Option(float, 5.0, "seconds for one delivery, if the caller gives no less", low=0.1, high=60.0),
        "bearer_token": Option(Secret, Secret(""), "sent as `Authorization: Bearer …`; empty for none"),
    }

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """`ConfigurationError` if the URL is not one that can be posted to."""
        self._url: Secret = settings["url"]
        self._timeout: float = settings["timeout"]
        self._token: Secret = settings["bearer_token"]
        self._place = _place(self._url.reveal())

    @hookimpl
    def notify(self, notice: Notice, deadline: float) -> None:
        """POST one notice; any 2xx answer is success. The answer's body is not read."""
        headers = {"Content-Type": "application/json", "User-Agent": "holdfast-webhook"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        request = Request(self._url.reveal(), data=document(notice), headers=headers, method="POST")  # noqa: S310 - checked
        seconds = min(deadline, self._timeout)
        delivery = Delivery(seconds)
        try:
            delivery.send(request)
        except HTTPError as error:
            error.close()
            raise self._refusal(error.code, error.reason) from None
        except (URLError, OSError, ValueError) as error:
            if delivery.ran_out or isinstance(getattr(error, "reason", error), TimeoutError):
                raise DeadlineExceeded(f"webhook {self._place} did not answer within {seconds:g} s") from None
            # Not the error itself: urllib puts the whole URL into some of them.
            why = getattr(getattr(error, "reason", error), "strerror", None) or type(error).__name__
            raise Unreachable(f"webhook {self._place} cannot be reached: {why}") from None

    def _refusal(self, status: int, reason: str) -> Unreachable | Refused:
        said = f"webhook {self._place} answered {status} {redact(reason)}"
        if status >= 500 or status in _TRY_AGAIN:
            return Unreachable(said)
        if status in (401, 403):
            return AuthenticationFailed(f"{said}; check notifier.webhook.bearer_token and url")
        return Refused(f"{said}; check notifier.webhook.url")


def document(notice: Notice) -> bytes:
    """The notice as JSON, with anything that looks like a secret masked."""
    return json.dumps(
        {
            "kind": notice.kind,
            "name": notice.name,
            "level": notice.level,
            "subject": redact(notice.subject),
            "text": redact(notice.text),
            "at": datetime.fromtimestamp(notice.at, UTC).isoformat(),
            "resource": notice.resource,
            "facts": {key: _fact(key, value) for key, value in notice.facts.items()},
        }
    ).encode()


def _fact(key: str, value: str) -> str:
    pair = f"{key}={value}"
    return redact(value) if redact(pair) == pair else redact(pair).partition("=")[2]


def _place(url: str) -> str:
    """Scheme, host and port of the URL: all of it that may be shown."""
    allowed = "an http or https URL with a host and without blanks"
    try:
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        raise ConfigurationError(f"key url cannot be read; allowed is {allowed}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(letter <= " " for letter in url):
        raise ConfigurationError(f"key url is not usable; allowed is {allowed}")
    return place
