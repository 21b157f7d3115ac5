"""Users, accounts, domains and keys. Password hashes appear nowhere; a secret key only where it was just made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.hooks.store import Query
from holdfast.model import Account, User

from holdfast_api.domains import ROOT_NAME, ROOT_UUID
from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

_USER_FIELDS = (
    Field("id", "string", "the UUID of the user"),
    Field("username", "string", "name of the user"),
    Field("firstname", "string", "first name"),
    Field("lastname", "string", "last name"),
    Field("email", "string", "address for mail"),
    Field("created", "date", "when the user was made"),
    Field("state", "string", "enabled or disabled"),
    Field("account", "string", "name of the account"),
    Field("accountid", "string", "the UUID of the account"),
    Field("accounttype", "integer", "1 is root administrator, 0 a plain user"),
    Field("roletype", "string", "Admin or User"),
    Field("rolename", "string", "name of the role"),
    Field("domain", "string", "name of the domain"),
    Field("domainid", "string", "the UUID of the domain"),
    Field("timezone", "string", "time zone"),
    Field("apikey", "string", "the key that names the user in signed calls"),
    Field("is2faenabled", "boolean", "whether a second factor is asked for"),
    Field("iscallerchilddomain", "boolean", "whether the user is in a domain below the caller's"),
    Field("isdefault", "boolean", "whether the user came with the installation"),
)


def _build_users(call: "Call", users: Sequence[User]) -> list[Answer]:
    ids = tuple({user.account_id for user in users})
    accounts = {row.id: row for row in call.store.select(Account, Query(among={"id": ids}))} if ids else {}
    return [_user(user, accounts.get(user.account_id)) for user in users]


def _user(user: User, account: Account | None) -> Answer:
    return {
        "id": user.uuid,
        "username": user.username,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "email": user.email or None,
        "created": moment_text(user.created),
        "state": user.state,
        "account": account.account_name if account else None,
        "accountid": account.uuid if account else None,
        "accounttype": account.type if account else None,
        "roletype": _role(account),
        "rolename": _role(account),
        "domain": ROOT_NAME,
        "domainid": ROOT_UUID,
        "timezone": user.timezone or None,
        "apikey": user.api_key,
        "is2faenabled": False,
        "iscallerchilddomain": False,
        "isdefault": user.username == "admin",
    }


def _role(account: Account | None) -> str:
    return "Admin" if account is not None and account.type == 1 else "User"


USER = ResponseObject(name="user", fields=_USER_FIELDS, build=_build_users, record=User)


def _build_accounts(call: "Call", accounts: Sequence[Account]) -> list[Answer]:
    ids = tuple(account.id for account in accounts)
    users = call.store.select(User, Query(among={"account_id": ids}, equal={"removed": None})) if ids else []
    return [_account(account, [user for user in users if user.account_id == account.id]) for account in accounts]


def _account(account: Account, users: Sequence[User]) -> Answer:
    return {
        "id": account.uuid,
        "name": account.account_name,
        "accounttype": account.type,
        "roletype": _role(account),
        "rolename": _role(account),
        "domain": ROOT_NAME,
        "domainid": ROOT_UUID,
        "domainpath": ROOT_NAME,
        "state": account.state,
        "created": moment_text(account.created),
        "isdefault": account.account_name == "admin",
        "user": [_user(user, account) for user in users],
    }


ACCOUNT = ResponseObject(
    name="account",
    fields=(
        Field("id", "string", "the UUID of the account"),
        Field("name", "string", "name of the account"),
        Field("accounttype", "integer", "1 is root administrator, 0 a plain user"),
        Field("roletype", "string", "Admin or User"),
        Field("rolename", "string", "name of the role"),
        Field("domain", "string", "name of the domain"),
        Field("domainid", "string", "the UUID of the domain"),
        Field("domainpath", "string", "path of the domain"),
        Field("state", "string", "enabled, disabled or locked"),
        Field("created", "date", "when the account was made"),
        Field("isdefault", "boolean", "whether the account came with the installation"),
        Field("user", "list", "users of the account", _USER_FIELDS),
    ),
    build=_build_accounts,
    record=Account,
)

DOMAIN = ResponseObject(
    name="domain",
    fields=(
        Field("id", "string", "the UUID of the domain"),
        Field("name", "string", "name of the domain"),
        Field("path", "string", "path of the domain"),
        Field("level", "integer", "depth of the domain, 0 for the root"),
        Field("haschild", "boolean", "whether there are domains below it"),
        Field("state", "string", "Active"),
    ),
    build=as_given,
)

USER_KEYS = ResponseObject(
    name="userkeys",
    fields=(
        Field("apikey", "string", "the key that names the user in signed calls"),
        Field("secretkey", "string", "the key that signs; shown once, by registerUserKeys alone"),
    ),
    build=as_given,
)
