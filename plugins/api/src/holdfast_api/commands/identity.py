"""Users, accounts, the domain, and the keys that sign calls."""

import secrets
from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Insert, Query, Update
from holdfast.model import Account, Secret, User

from holdfast_api.call import Call, Listing
from holdfast_api.domains import ROOT_NAME, ROOT_UUID, is_root
from holdfast_api.fields import Answer
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command

_DOMAIN = Parameter("domainid", "uuid", "the UUID of the domain; there is the root alone")


@command(
    "listUsers",
    "Lists users. Plain users see those of their account.",
    kind="list",
    responds="user",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of a user", of="user"),
        Parameter("username", "string", "name of a user"),
        Parameter("account", "string", "name of an account"),
        Parameter("accounttype", "long", "type of the account: 1 is root administrator, 0 a plain user"),
        Parameter("state", "string", "enabled or disabled"),
        _DOMAIN,
    ),
)
def list_users(call: Call) -> Listing:
    """Users that are not removed."""
    if _elsewhere(call):
        return Listing((), 0)
    equal = {"removed": None, **given(call, id="id", username="username", state="state")}
    among: dict[str, Any] = {}
    if call.has("account") or call.has("accounttype") or not call.caller.is_admin:
        among["account_id"] = tuple(account.id for account in _accounts(call, name="account", type_="accounttype"))
    return select_page(call, User, equal=equal, among=among, search=("username",), order=("username",))


@command(
    "listAccounts",
    "Lists accounts. Plain users see their own.",
    kind="list",
    responds="account",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of an account", of="account"),
        Parameter("name", "string", "name of an account"),
        Parameter("accounttype", "integer", "type of the account: 1 is root administrator, 0 a plain user"),
        Parameter("state", "string", "enabled, disabled or locked"),
        _DOMAIN,
    ),
)
def list_accounts(call: Call) -> Listing:
    """Accounts that are not removed."""
    if _elsewhere(call):
        return Listing((), 0)
    equal = {"removed": None, **given(call, id="id", account_name="name", type="accounttype", state="state")}
    among = {} if call.caller.is_admin else {"id": (call.caller.account.id,)}
    return select_page(call, Account, equal=equal, among=among, search=("account_name",), order=("account_name",))


@command(
    "listDomains",
    "Lists domains: there is the root alone.",
    kind="list",
    responds="domain",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of a domain"),
        Parameter("name", "string", "name of a domain"),
    ),
)
def list_domains(call: Call) -> Listing:
    """The root, unless another is asked for."""
    root = {"id": ROOT_UUID, "name": ROOT_NAME, "path": ROOT_NAME, "level": 0, "haschild": False, "state": "Active"}
    asked = call.text("id", ROOT_UUID) == ROOT_UUID and (not call.has("name") or is_root(call.text("name")))
    return Listing.of([root] if asked and call.keyword.upper() in ROOT_NAME else [], call.page)


@command(
    "getUserKeys",
    "Shows the API key of a user. The secret key is shown only when it is made.",
    kind="sync",
    responds="userkeys",
    access="user",
    changes=False,
    since="4.10.0",
    parameters=(Parameter("id", "uuid", "the UUID of the user", required=True, of="user"),),
)
def get_user_keys(call: Call) -> Answer:
    """The key that names the user, if there is one."""
    return {"apikey": _permitted(call).api_key}


@command(
    "registerUserKeys",
    "Makes a new pair of keys for a user. The pair before it is good no more.",
    kind="sync",
    responds="userkeys",
    access="user",
    parameters=(Parameter("id", "uuid", "the UUID of the user", required=True, of="user"),),
)
def register_user_keys(call: Call) -> Answer:
    """The only answer that ever shows the secret key."""
    user = _permitted(call)
    api_key, secret_key = secrets.token_urlsafe(64), secrets.token_urlsafe(64)
    told = call.event("REGISTER.USER.KEY", f"made new keys for the user {user.username}", resource=("User", user.uuid))
    call.store.commit([Update(User, user.id, {"api_key": api_key, "secret_key": Secret(secret_key)}), Insert(told)])
    return {"apikey": api_key, "secretkey": secret_key}


def _permitted(call: Call) -> User:
    user = call.row("id", User)
    if not call.caller.is_admin and user.id != call.caller.user.id:
        raise InvalidRequest(f"parameter id: there is no user {user.uuid} that you may ask about")
    return user


def _accounts(call: Call, *, name: str, type_: str) -> list[Account]:
    own = {} if call.caller.is_admin else {"id": call.caller.account.id}
    equal = {"removed": None, **own, **given(call, account_name=name, type=type_)}
    return call.store.select(Account, Query(equal=equal))


def _elsewhere(call: Call) -> bool:
    return call.text("domainid", ROOT_UUID) != ROOT_UUID
