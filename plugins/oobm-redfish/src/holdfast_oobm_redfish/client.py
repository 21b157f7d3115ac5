"""One login at one BMC: python-redfish-library's client on our transport."""

import base64
import logging
from collections.abc import Mapping
from typing import Any

from redfish.rest.v1 import HttpClient, RestResponse, RetriesExhaustedError  # type: ignore[import-untyped]

from holdfast_oobm_redfish.deadline import Terms
from holdfast_oobm_redfish.target import Target
from holdfast_oobm_redfish.wire import Wire, first_cause

_LIBRARY_LOG = "redfish.rest.v1"


def _nothing(_record: logging.LogRecord) -> bool:
    return False


# The library logs session tokens at debug level, in both directions, and passwords that hold a quotation mark.
logging.getLogger(_LIBRARY_LOG).addFilter(_nothing)


class BmcClient(HttpClient):  # type: ignore[misc]
    """Sends requests with the credentials it was made with, each exactly once, and follows no redirect by itself.

    Nothing of it changes after `take_token` or `use_basic`, so threads share it freely.
    """

    def __init__(self, target: Target, wire: Wire) -> None:
        base = f"{target.scheme}://{target.netloc}"
        self._where = target.where
        super().__init__(base_url=base, max_retry=0, check_connectivity=False, https_adapter=wire)
        self._session.adapters.clear()
        self._session.mount("https://", wire)
        self._session.mount("http://", wire)
        # Otherwise proxies, CA bundles and even credentials (.netrc) would come from the environment.
        self._session.trust_env = False

    def ask(
        self,
        method: str,
        path: str,
        terms: Terms,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RestResponse:
        """The BMC's answer, whatever its status. Raises what `Wire` raises."""
        try:
            return self._rest_request(
                path=path,
                method=method,
                body=dict(body) if body is not None else None,
                headers=dict(headers or {}),
                allow_redirects=False,
                timeout=terms,
                max_retry=0,
            )
        except (RetriesExhaustedError, ValueError) as error:
            raise first_cause(error, self._where) from None

    def take_token(self, answer: RestResponse) -> bool:
        """Keep the session that `answer` opened; whether it opened one."""
        if not answer.session_key:
            return False
        self.set_session_key(answer.session_key)
        self.set_session_location(answer.getheader("location") or "")
        return True

    def use_basic(self, username: str, password: str) -> None:
        """Send the credentials along with every request."""
        token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        self.set_authorization_key(f"Basic {token}")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not show in a text: the session's token and the basic credentials."""
        basic = (self.get_authorization_key() or "").removeprefix("Basic ")
        return tuple(secret for secret in (self.get_session_key() or "", basic) if secret)
