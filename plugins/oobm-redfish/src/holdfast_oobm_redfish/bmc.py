"""One BMC and the login that is kept at it: logs in when needed, once more when the session has gone, and repeats
what may be repeated."""

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any

from holdfast.errors import DeadlineExceeded, DriverError, Refused, Unreachable
from redfish.rest.v1 import RestResponse  # type: ignore[import-untyped]

from holdfast_oobm_redfish.answers import Busy, path_in, read_json, require_good
from holdfast_oobm_redfish.client import BmcClient
from holdfast_oobm_redfish.deadline import Deadline, Terms
from holdfast_oobm_redfish.target import Target
from holdfast_oobm_redfish.trust import Contexts
from holdfast_oobm_redfish.wire import Wire

ROOT = "/redfish/v1/"
SESSIONS = "/redfish/v1/SessionService/Sessions"
FAREWELL_SECONDS = 2.0
LOGIN_WAIT_SECONDS = 5.0
PAUSE_SECONDS = 0.2
LONGEST_PAUSE = 5.0
"""A BMC that is busy is given as long as it asks for, but not longer: somebody waits."""


class Bmc:
    """Thread-safe. `target` says how to reach and enter it; which system is meant is each caller's own affair."""

    def __init__(self, target: Target, contexts: Contexts, retries: int) -> None:
        self.target = target
        self.known: dict[tuple[str, str], Any] = {}
        """What callers learnt of systems behind this BMC and want to find again; lost with the login."""
        self._retries = retries
        self._wire = Wire(target, contexts)
        self._logging_in = threading.Lock()
        self._client: BmcClient | None = None

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The object at `path`."""
        return self.get_with_tag(path, deadline)[0]

    def get_with_tag(self, path: str, deadline: Deadline) -> tuple[dict[str, Any], str]:
        """The object at `path`, and its ETag, which some BMCs write into the object alone, or ""."""
        answer = self.ask("GET", path, deadline, repeatable=True)
        found = read_json(answer, self.target.where)
        within = found.get("@odata.etag")
        return found, answer.getheader("etag") or (within if isinstance(within, str) and within.isprintable() else "")

    def ask(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        repeatable: bool,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        hide: tuple[str, ...] = (),
    ) -> RestResponse:
        """A successful answer. `repeatable` requests are sent again after trouble on the way, while there is time.

        Errors carry the BMC's words without any secret of the login, or any in `hide`.
        """
        terms = Terms(deadline, repeatable)
        for attempt in range(self._retries + 1 if repeatable else 1):
            try:
                return self._as_user(method, path, terms, body, headers, hide)
            except DeadlineExceeded:
                raise
            except Unreachable as error:
                pause = PAUSE_SECONDS * 2**attempt
                if isinstance(error, Busy) and pause < error.seconds <= min(LONGEST_PAUSE, deadline.remaining() / 2):
                    pause = error.seconds
                if not repeatable or attempt == self._retries or deadline.remaining() <= pause * 2:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self, seconds: float = FAREWELL_SECONDS) -> None:
        """End the session at the BMC if it answers in time, and close the connections."""
        client, self._client = self._client, None
        if client is not None:
            self._log_out(client, Deadline(seconds))
        self._wire.close()

    def _as_user(
        self,
        method: str,
        path: str,
        terms: Terms,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        hide: tuple[str, ...],
    ) -> RestResponse:
        doing = f"{method} {path}"
        terms.deadline.check(self.target.where, doing)
        client = self._entered(terms.deadline)
        answer = client.ask(method, path, terms, body, headers)
        if answer.status == 401 and client.get_session_key():
            # The session ran out or the BMC restarted. It did nothing of what was asked, so asking again is safe.
            client = self._entered(terms.deadline, stale=client)
            answer = client.ask(method, path, terms, body, headers)
        require_good(answer, self.target.where, doing, (*self._secrets(client), *hide))
        return answer

    def _entered(self, deadline: Deadline, stale: BmcClient | None = None) -> BmcClient:
        """The client that is logged in; a new one if there is none, or only the one that proved `stale`."""
        client = self._client
        if client is not None and client is not stale:
            return client
        # Waiting for another thread's login saves sessions, which BMCs have few of; but not for ever: it may hang.
        locked = self._logging_in.acquire(timeout=max(0.0, min(deadline.remaining() / 2, LOGIN_WAIT_SECONDS)))
        try:
            client = self._client
            if client is None or client is stale:
                client = self._client = self._log_in(deadline)
            return client
        finally:
            if locked:
                self._logging_in.release()

    def _log_in(self, deadline: Deadline) -> BmcClient:
        client, target = BmcClient(self.target, self._wire), self.target
        if not target.username and not target.password:
            return client
        if target.authentication == "basic":
            return self._basic()
        sessions = self._session_path(client, deadline)
        if not sessions:
            return self._basic()
        body = {"UserName": target.username, "Password": target.password.reveal()}
        answer = client.ask("POST", sessions, Terms(deadline, repeatable=False), body)
        if client.take_token(answer):
            return client
        if target.authentication == "auto" and self._basic_may_do(answer):
            return self._basic()
        require_good(answer, target.where, "logging in", self._secrets(client))
        raise Refused(f"{target.where}: it opened no session ({answer.status} without X-Auth-Token); try basic")

    def _session_path(self, client: BmcClient, deadline: Deadline) -> str:
        """Where sessions are opened, or "" if this BMC has none and basic authentication may be used instead."""
        where = self.target.where
        answer = client.ask("GET", ROOT, Terms(deadline, repeatable=True))
        if answer.status in (401, 403):
            return SESSIONS  # some guard even the root, which is for everybody
        require_good(answer, where, f"GET {ROOT}", self._secrets(client))
        root = read_json(answer, where)
        links = root.get("Links")
        if isinstance(links, Mapping) and links.get("Sessions"):
            return path_in(links["Sessions"], where)
        return "" if self.target.authentication == "auto" and "SessionService" not in root else SESSIONS

    def _basic_may_do(self, answer: RestResponse) -> bool:
        """Whether the refusal is about sessions (none left, switched off) and not about the credentials."""
        if answer.status in (401, 403):
            return "basic" in (answer.getheader("www-authenticate") or "").lower()
        return answer.status < 500 or answer.status in (501, 503)

    def _basic(self) -> BmcClient:
        client = BmcClient(self.target, self._wire)
        client.use_basic(self.target.username, self.target.password.reveal())
        return client

    def _log_out(self, client: BmcClient, deadline: Deadline) -> None:
        location = client.get_session_location()
        if location:
            # The BMC drops idle sessions by itself, so a farewell that fails is no trouble.
            with contextlib.suppress(DriverError):
                client.ask("DELETE", path_in(location, self.target.where), Terms(deadline, repeatable=False))

    def _secrets(self, client: BmcClient) -> tuple[str, ...]:
        return (self.target.password.reveal(), *client.secrets)
