"""A small client of the CloudStack API: one call, or a job awaited. Standard library alone."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from http.cookiejar import CookieJar
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

from holdfast.errors import HoldfastError
from holdfast.model import Secret

from holdfast_cli.signing import signed

Answer = dict[str, Any]
"""What an envelope holds."""

Progress = Callable[[float], None]
"""Told now and then how many seconds a job has been awaited."""

ALL = {"page": -1, "pagesize": -1}
"""For `items` of a list of any length: without it a list ends at the setting default.page.size."""

_FIRST_LOOK, _LONGEST_PAUSE = 0.05, 1.0
_MOST_BYTES = 256 * 2**20


class ApiError(HoldfastError):
    """The API refused a call, or a job failed. `code` is its error code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class ApiUnreachable(HoldfastError):
    """There was no answer, or none that an API of this kind gives. Whether the call took effect is not known."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs calls."""

    api_key: str
    secret_key: Secret = field(repr=False)


class Client:
    """Calls of one API. `endpoint` is the whole URL, e.g. http://10.0.0.5:8080/client/api. Blocks; not thread-safe.

    Without `keys` calls go unsigned: for `login`, and for the unsigned integration port.
    """

    def __init__(self, endpoint: str, keys: Keys | None = None, timeout: float = 30.0) -> None:
        self.endpoint = endpoint
        self._keys = keys
        self._timeout = timeout
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPCookieProcessor(CookieJar()),
            _NoRedirects(),
        ]
        if _is_loopback(endpoint):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, command: str, **parameters: Any) -> Answer:
        """What the command's envelope holds. `ApiError` if it is refused, `ApiUnreachable` without an answer.

        None leaves a parameter out; booleans, numbers, lists and lists of maps are written as the API wants them.
        """
        return self.send(command, as_text(parameters))

    def send(self, command: str, parameters: Mapping[str, str]) -> Answer:
        """The same for parameters that are text already."""
        whole = {**parameters, "command": command, "response": "json"}
        if self._keys is not None:
            whole = signed(whole, self._keys.api_key, self._keys.secret_key)
        # Always a form, never a query: URLs end up in the logs of every proxy on the way.
        request = urllib.request.Request(self.endpoint, data=urlencode(whole).encode())  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return self._read(response.read(_MOST_BYTES), response.status)
        except urllib.error.HTTPError as problem:
            with problem:
                return self._read(problem.read(_MOST_BYTES), problem.code)
        except (OSError, HTTPException, ValueError) as problem:
            reason = getattr(problem, "reason", None) or problem
            raise ApiUnreachable(f"{self.endpoint} does not answer {command}: {reason}") from problem

    def run(self, command: str, progress: Progress | None = None, limit: float = 600.0, **parameters: Any) -> Answer:
        """Call a command and, if it answers with a job, wait for the job; what came of it, without the envelope.

        `ApiError` if the job fails; `ApiUnreachable` if it has not ended after `limit` seconds.
        """
        answer = self.call(command, **parameters)
        return self.wait(str(answer["jobid"]), progress, limit) if "jobid" in answer else answer

    def wait(self, job: str, progress: Progress | None = None, limit: float = 600.0) -> Answer:
        """Wait for a job; its result."""
        began, pause = time.monotonic(), _FIRST_LOOK
        while True:
            found = self.call("queryAsyncJobResult", jobid=job)
            result = found.get("jobresult") or {}
            if found["jobstatus"] == 1:
                return dict(result)
            if found["jobstatus"] != 0:
                code = found.get("jobresultcode") or result.get("errorcode") or 530
                raise ApiError(int(code), str(result.get("errortext") or f"job {job} failed without a text"))
            waited = time.monotonic() - began
            if waited > limit:
                raise ApiUnreachable(f"job {job} has not ended after {limit:g} s; it goes on: queryAsyncJobResult")
            if progress is not None:
                progress(waited)
            time.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_PAUSE)

    def items(self, command: str, **parameters: Any) -> list[Answer]:
        """All that a list command lists, of one page."""
        return listed_items(self.call(command, **parameters))

    def _read(self, body: bytes, status: int) -> Answer:
        try:
            [inside] = json.loads(body).values()
        except (ValueError, AttributeError) as problem:
            raise ApiUnreachable(
                f"{self.endpoint} answered with status {status}, but not as an API does; is the URL right? "
                "It ends with /client/api"
            ) from problem
        if not isinstance(inside, dict):
            raise ApiUnreachable(f"{self.endpoint} answered with an empty envelope (status {status})")
        if "errorcode" in inside:
            raise ApiError(int(inside["errorcode"]), str(inside.get("errortext", "")))
        return inside


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signed call belongs to the server it was made for, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def keys_by_login(endpoint: str, username: str, password: Secret) -> Keys:
    """Log in, make new keys for that user, log out. The keys that the user had are good no more."""
    client = Client(endpoint)
    session = client.call("login", username=username, password=password.reveal())
    key = {"sessionkey": session["sessionkey"]}
    made = client.call("registerUserKeys", id=session["userid"], **key)["userkeys"]
    client.call("logout", **key)
    return Keys(str(made["apikey"]), Secret(str(made["secretkey"])))


def listed_items(answer: Answer) -> list[Answer]:
    """The items of a list's envelope; none if it is empty."""
    found = [value for name, value in answer.items() if name != "count"]
    return list(found[0]) if found and isinstance(found[0], list) else []


def as_text(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as the API reads them: true, 5, "a,b", name[0].key."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            for index, entry in enumerate(value):
                found.update({f"{name}[{index}].{key}": str(one) for key, one in entry.items()})
        elif isinstance(value, (list, tuple)):
            found[name] = ",".join(str(one) for one in value)
        elif value is not None:
            found[name] = str(value)
    return found


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
