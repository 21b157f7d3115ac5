"""First start: the account and user `admin`, made once however many servers start at the same time."""

import logging
import os
import time
from collections.abc import Callable

from holdfast.errors import Conflict
from holdfast.hooks.store import Change, Insert, Query, Store
from holdfast.model import Account, Configuration, Moment, Secret, User

from holdfast_api import passwords
from holdfast_api.call import ROOT_ADMIN, new_uuid

logger = logging.getLogger(__name__)

ADMIN = "admin"
PASSWORD_VARIABLE = "HOLDFAST_ADMIN_PASSWORD"  # noqa: S105 - the variable's name, not a password


def ensure_admin(store: Store, show: Callable[[str], None]) -> None:
    """Make `admin` if there is no user yet. A password that was generated is shown once, by the server that made it.

    The rows of `configuration` named `holdfast.admin.*` are the latches: their names are unique, so of several servers
    exactly one gets each batch through. A server that dies in between leaves the rest to the next start.
    """
    if store.count(User, Query(limit=1)):
        return
    account = _account(store)
    given = os.environ.get(PASSWORD_VARIABLE, "")
    password = Secret(given) if given else passwords.generated()
    user = User(
        uuid=new_uuid(),
        username=ADMIN,
        password=passwords.hashed(password),
        account_id=account.id,
        firstname="Admin",
        lastname="User",
        created=_now(),
    )
    if not _latched(store, "holdfast.admin.user", Insert(user)):
        return
    if given:
        logger.info("made the user %s with the password from %s", ADMIN, PASSWORD_VARIABLE)
    else:
        show(f"Made the user {ADMIN!r} with the password {password.reveal()} (shown only now)")


def _account(store: Store) -> Account:
    query = Query(equal={"account_name": ADMIN, "removed": None})
    if not store.select(Account, query):
        made = Account(uuid=new_uuid(), account_name=ADMIN, type=ROOT_ADMIN, created=_now())
        _latched(store, "holdfast.admin.account", Insert(made))
    return store.select(Account, query)[0]


def _latched(store: Store, name: str, change: Change) -> bool:
    try:
        store.commit([Insert(Configuration(name=name, value="made", updated=_now())), change])
    except Conflict:
        return False
    return True


def _now() -> Moment:
    return Moment(time.time())
