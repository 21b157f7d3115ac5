"""Who is calling: a signature, a session, or, on the integration port, everybody as the administrator."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from holdfast.hooks.store import Query, Store
from holdfast.model import Account, Secret, User

from holdfast_api import passwords, signing
from holdfast_api.call import ROOT_ADMIN, Caller
from holdfast_api.faults import UNAUTHORIZED, WRONG_METHOD, ApiFault
from holdfast_api.registry import Command
from holdfast_api.sessions import Sessions
from holdfast_api.stored_settings import StoredSettings

ENABLED = "enabled"
_UNVERIFIED = "unable to verify user credentials and/or request signature"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request, taken apart. `parameters` are as sent; `unsigned` marks the integration port."""

    method: str
    parameters: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    address: str = ""
    unsigned: bool = False

    def value(self, name: str) -> str:
        """A parameter of the conventions (apiKey, sessionkey …), whose letter case clients do not agree on."""
        if name in self.parameters:
            return self.parameters[name]
        lowered = name.lower()
        return next((text for key, text in self.parameters.items() if key.lower() == lowered), "")


class Authenticator:
    """Finds the caller of a request, or refuses with 401. Blocks on the store."""

    def __init__(self, store: Store, stored: StoredSettings, sessions: Sessions) -> None:
        self._store = store
        self._stored = stored
        self._sessions = sessions

    def caller(self, request: ApiRequest, command: Command | None) -> Caller:
        """Who is calling. `command` is None if it is unknown: an unauthenticated caller does not learn that."""
        if request.unsigned:
            return self._administrator()
        if request.value("apiKey"):
            found = self._signed(request)
        elif request.cookies.get("JSESSIONID"):
            found = self._in_session(request)
        else:
            _deny(f"{_UNVERIFIED}: no apiKey with a signature and no session; log in, or sign the call")
        self._enforce(request, command)
        return found

    def login(self, username: str, password: Secret) -> Caller | None:
        """The enabled user with this name and password, or None. As slow for a wrong name as for a wrong password."""
        rows = self._store.select(User, Query(equal={"username": username, "removed": None}))
        user = rows[0] if rows else None
        good = passwords.matches(password, user.password if user else "")
        return self._caller(user) if user is not None and good else None

    def _signed(self, request: ApiRequest) -> Caller:
        key, given = request.value("apiKey"), request.value("signature")
        if not given:
            _deny(f"{_UNVERIFIED}: the signature is missing")
        rows = self._store.select(User, Query(equal={"api_key": key, "removed": None}))
        user = rows[0] if rows else None
        # An unknown key costs as much as a wrong signature.
        secret = user.secret_key if user and user.secret_key else Secret("no such key")
        good = signing.fits(request.parameters, given, secret)
        if (
            user is None
            or not user.secret_key
            or not good
            or not hmac.compare_digest(_bytes(user.api_key), _bytes(key))
        ):
            _deny(_UNVERIFIED)
        self._check_time(request)
        found = self._caller(user)
        if found is None:
            _deny(f"{_UNVERIFIED}: the user or its account is not enabled")
        return found

    def _check_time(self, request: ApiRequest) -> None:
        expires = request.value("expires")
        enforced = self._stored.current().flag("enforce.post.requests.and.timestamps")
        if request.value("signatureVersion") != "3" and not expires and not enforced:
            return
        over = signing.is_expired(expires)
        if over is None:
            _deny(f"{_UNVERIFIED}: expires must be a time as 2026-01-31T23:59:59+0000 when signatureVersion is 3")
        if over:
            _deny(f"{_UNVERIFIED}: the signature has expired; check the clock of the caller and sign again")
        if enforced and signing.is_too_far(expires):
            _deny(f"{_UNVERIFIED}: expires lies more than 15 minutes ahead")

    def _enforce(self, request: ApiRequest, command: Command | None) -> None:
        if command is None or not command.changes or request.method == "POST":
            return
        if self._stored.current().flag("enforce.post.requests.and.timestamps"):
            raise ApiFault(WRONG_METHOD, f"{command.name} changes something: send it with POST")

    def _in_session(self, request: ApiRequest) -> Caller:
        # The key must come as a parameter, which another site cannot know (CSRF); a cookie beside it must agree.
        key, cookie = request.value("sessionkey"), request.cookies.get("sessionkey")
        session = None
        if key and (cookie is None or hmac.compare_digest(_bytes(key), _bytes(cookie))):
            idle = self._stored.current().number("api.session.timeout")
            session = self._sessions.find(request.cookies["JSESSIONID"], key, idle)
        user = self._store.get(User, session.user_id) if session else None
        found = self._caller(user) if user and user.removed is None else None
        if found is None:
            _deny(f"{_UNVERIFIED}: the session has ended or its key (parameter sessionkey) is wrong; log in again")
        return found

    def _caller(self, user: User) -> Caller | None:
        account = self._store.get(Account, user.account_id)
        if account is None or account.removed is not None or user.state != ENABLED or account.state != ENABLED:
            return None
        return Caller(user, account)

    def _administrator(self) -> Caller:  # noqa: RET503 - _deny never returns
        admins = self._store.select(Account, Query(equal={"type": ROOT_ADMIN, "state": ENABLED, "removed": None}))
        for account in admins:
            users = Query(equal={"account_id": account.id, "state": ENABLED, "removed": None}, limit=1)
            for user in self._store.select(User, users):
                return Caller(user, account)
        _deny("there is no enabled administrator to act as; restart the server, it makes one")


def _deny(text: str) -> NoReturn:
    raise ApiFault(UNAUTHORIZED, text)


def _bytes(text: str | None) -> bytes:
    return (text or "").encode("utf-8", "replace")
