"""Logins that any management server honours: kept in the store, as hashes."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from holdfast.errors import Conflict
from holdfast.hooks.store import Change, Delete, Insert, Query, Store, Update
from holdfast.model import ApiSession, Moment

_OLDEST_REMOVED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the client of a new session is given: the cookie JSESSIONID and the session key."""

    session: str
    key: str

    def __repr__(self) -> str:
        return "Ticket(****)"


class Sessions:
    """Opens, finds and closes sessions. `idle` arguments are seconds (setting `api.session.timeout`). Blocks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, user_id: int, idle: float, *also: Change) -> Ticket:
        """A new session, stored together with `also`; sessions that ended by themselves are cleared away on the way."""
        ticket = Ticket(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        now = Moment(time.time())
        over = Query(below={"last_used": now - 2 * idle}, limit=_OLDEST_REMOVED_AT_ONCE)
        ended = [Delete(ApiSession, row.id) for row in self._store.select(ApiSession, over)]
        session = ApiSession(
            session_hash=_hash(ticket.session), key_hash=_hash(ticket.key), user_id=user_id, created=now, last_used=now
        )
        self._store.commit([*ended, Insert(session), *also])
        return ticket

    def find(self, session: str, key: str, idle: float) -> ApiSession | None:
        """The live session that both tokens belong to, or None. Marks it as used, though not on every call."""
        row = self._row(session)
        if row is None or not hmac.compare_digest(row.key_hash, _hash(key)):
            return None
        now = time.time()
        unused = now - row.last_used
        grain = min(60.0, idle / 10)
        if unused > idle + grain:
            return None
        if unused > grain:
            try:
                self._store.commit([Update(ApiSession, row.id, {"last_used": Moment(now)})])
            except Conflict:  # a logout on another server came first
                return None
        return row

    def close(self, session: str) -> None:
        """End a session. Idempotent."""
        row = self._row(session)
        if row is not None:
            self._store.commit([Delete(ApiSession, row.id)])

    def _row(self, session: str) -> ApiSession | None:
        if not session:
            return None
        rows = self._store.select(ApiSession, Query(equal={"session_hash": _hash(session)}))
        return rows[0] if rows else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
