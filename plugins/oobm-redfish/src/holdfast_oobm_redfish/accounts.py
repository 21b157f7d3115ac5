"""Changes a user's password on the BMC itself, through its AccountService."""

from collections.abc import Iterator
from typing import Any

from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable, Unsupported

from holdfast_oobm_redfish.answers import members_of, path_in
from holdfast_oobm_redfish.bmc import ROOT, Bmc
from holdfast_oobm_redfish.deadline import Deadline

MOST_ACCOUNTS = 64
PRECONDITION_FAILED = "answered 412"


def change_password(bmc: Bmc, new_password: str, deadline: Deadline) -> None:
    """Have the BMC take `new_password` for the user that `bmc` logs in as. Nothing is concluded from success alone."""
    where, user = bmc.target.where, bmc.target.username
    account = account_of(bmc, user, deadline)[0]
    for last in (False, True):
        tag = bmc.get_with_tag(account, deadline)[1]
        try:
            bmc.ask(
                "PATCH",
                account,
                deadline,
                repeatable=False,
                body={"Password": new_password},
                headers={"If-Match": tag} if tag else {},
                hide=(new_password,),
            )
            return
        except Refused as error:
            # Somebody changed the account between reading and writing: read its tag again, once.
            if last or PRECONDITION_FAILED not in str(error):
                raise
    raise AssertionError(f"{where}: unreachable")


def confirm_password(bmc: Bmc, accepted: DriverError | None, deadline: Deadline) -> None:
    """Log in as `bmc`, which has the new password, to see whether it counts.

    `accepted` is what went wrong on the way when it was set, None if the BMC said yes.
    """
    try:
        bmc.get(_service(bmc, deadline), deadline)
    except AuthenticationFailed:
        if accepted is not None:
            raise accepted from None
        raise Refused(
            f"{bmc.target.where}: it accepted a new password for {bmc.target.username} and does not let it in; "
            "log in by hand to see which one counts (some BMCs cut off long passwords)"
        ) from None
    except DriverError:
        if accepted is not None:
            raise accepted from None


def account_of(bmc: Bmc, user: str, deadline: Deadline) -> tuple[str, dict[str, Any]]:
    """Path and content of the account of `user`. `Unsupported` without such a service, `Refused` if it is not shown."""
    where = bmc.target.where
    service = bmc.get(_service(bmc, deadline), deadline)
    if not service.get("Accounts"):
        raise Unsupported(f"{where}: its AccountService has no accounts; change the password on the BMC by hand")
    for path, account in _accounts(bmc, path_in(service["Accounts"], where), deadline):
        if account.get("UserName") == user:
            return path, account
    raise Refused(f"{where}: it shows no account of the user {user!r}; change the password on the BMC by hand")


def _accounts(bmc: Bmc, collection: str, deadline: Deadline) -> Iterator[tuple[str, dict[str, Any]]]:
    for member in members_of(bmc.get(collection, deadline))[:MOST_ACCOUNTS]:
        path = path_in(member, bmc.target.where)
        try:
            yield path, bmc.get(path, deadline)
        except Unreachable:
            raise
        except Refused:
            continue  # other users' accounts may be hidden from this one


def _service(bmc: Bmc, deadline: Deadline) -> str:
    root = bmc.get(ROOT, deadline)
    if not root.get("AccountService"):
        raise Unsupported(f"{bmc.target.where}: it has no AccountService; change the password on the BMC by hand")
    return path_in(root["AccountService"], bmc.target.where)
