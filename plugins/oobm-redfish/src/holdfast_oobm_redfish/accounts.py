"""Changes a user's password on the BMC itself, through its AccountService."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from holdfast.errors import AuthenticationFailed, DriverError, Refused, Unreachable, Unsupported

from holdfast_oobm_redfish.answers import members_of, path_in
from holdfast_oobm_redfish.bmc import ROOT, Bmc
from holdfast_oobm_redfish.deadline import Deadline

MOST_ACCOUNTS = 64
NO_PRECONDITION = ("answered 412", "answered 428")
ANY_TAG = "*"
PENDING = 202
SLOW_SECONDS = 10.0
"""How long a BMC that said yes may take until the new password counts, where it does not say that it takes long."""
LOOK_SECONDS = 0.5


def change_password(bmc: Bmc, new_password: str, deadline: Deadline) -> bool:
    """Have the BMC take `new_password` for the user that `bmc` logs in as. Nothing is concluded from success alone.

    Whether the BMC said that it will do so later.
    """
    where, user = bmc.target.where, bmc.target.username
    account = account_of(bmc, user, deadline)[0]
    for last in (False, True):
        tag = bmc.get_with_tag(account, deadline)[1]
        try:
            answer = bmc.ask(
                "PATCH",
                account,
                deadline,
                repeatable=False,
                body={"Password": new_password},
                headers={"If-Match": tag or ANY_TAG} if tag or last else {},
                hide=(new_password,),
            )
            return bool(answer.status == PENDING)
        except Refused as error:
            # Somebody changed the account between reading and writing, or it is to be named and has no tag: once more.
            if last or not any(words in str(error) for words in NO_PRECONDITION):
                raise
    raise AssertionError(f"{where}: unreachable")


def await_change(make: Callable[[], Bmc], deadline: Deadline) -> bool:
    """Until the old password, which the BMCs that `make` gives log in with, is refused; whether that came in time.

    Asked with the old one, since each wrong password brings the account closer to its lock.
    """
    while True:
        bmc = make()
        try:
            bmc.get(_service(bmc, deadline), deadline)
        except AuthenticationFailed:
            return True
        except DriverError:
            pass
        finally:
            bmc.close(min(1.0, max(0.0, deadline.remaining())))
        if deadline.remaining() <= LOOK_SECONDS * 2:
            return False
        time.sleep(LOOK_SECONDS)


def confirm_password(bmc: Bmc, accepted: DriverError | None, deadline: Deadline) -> None:
    """Log in as `bmc`, which has the new password, to see whether it counts; `NotTaken` if it is refused.

    `accepted` is what went wrong on the way when it was set, None if the BMC said yes.
    """
    try:
        bmc.get(_service(bmc, deadline), deadline)
    except AuthenticationFailed:
        if accepted is not None:
            raise accepted from None
        raise NotTaken(
            f"{bmc.target.where}: it accepted a new password for {bmc.target.username} and does not let it in; "
            "log in by hand to see which one counts (some BMCs cut off long passwords)"
        ) from None
    except DriverError:
        if accepted is not None:
            raise accepted from None


class NotTaken(Refused):
    """The BMC said yes to a password and refuses it."""


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
