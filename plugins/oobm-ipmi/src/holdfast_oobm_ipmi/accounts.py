"""Changing a user's password on the BMC."""

from typing import Final

from holdfast.errors import AuthenticationFailed, Refused, Unreachable

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.exchange import Command

_APPLICATION: Final = 0x06
_THIS_CHANNEL: Final = 0x0E
_GET_USER_ACCESS: Final = 0x44
_GET_USER_NAME: Final = 0x46
_SET_USER_PASSWORD: Final = 0x47
_SET: Final = 0x02
_LONG_FORM: Final = 0x80
SHORT_BYTES: Final = 16
"""A longer password needs the long form of the command, and a BMC that keeps all of it."""

_LONG_BYTES: Final = 20
_USER_NUMBERS: Final = 0x3F


async def set_password(bmc: Connection, password: bytes) -> None:
    """Give the user we are logged in as a new password. `Refused` if the user is not found or the BMC says no.

    `Unreachable` says that it may have been changed: no answer came, and the old one is not let in any more.
    """
    number = await _own_number(bmc)
    long = len(password) > SHORT_BYTES
    head = bytes([number | (_LONG_FORM if long else 0), _SET])
    body = password.ljust(_LONG_BYTES if long else SHORT_BYTES, b"\0")
    doing = f"setting the password of user number {number}"
    try:
        await bmc.do(Command(_APPLICATION, _SET_USER_PASSWORD, doing, head + body))
    except AuthenticationFailed as error:
        # Silence looks like a lost session, so it was logged in again.
        raise Unreachable(f"{bmc.target.where}: no answer to {doing}, and then: {error}") from error


async def _own_number(bmc: Connection) -> int:
    wanted = bmc.target.username
    access = await bmc.do(
        Command(_APPLICATION, _GET_USER_ACCESS, "asking how many users there are", bytes([_THIS_CHANNEL, 1]))
    )
    most = access[0] & _USER_NUMBERS if access else 0
    for number in range(1, most + 1):
        command = Command(_APPLICATION, _GET_USER_NAME, f"asking for the name of user number {number}", bytes([number]))
        reply = await bmc.ask(command)
        # Numbers without a user answer with an error code on many BMCs.
        if not reply.code and reply.data.rstrip(b"\0") == wanted:
            return number
    name = wanted.decode(errors="replace")
    raise Refused(
        f"{bmc.target.where}: none of its {most} users is named {name!r}, though the login worked; it may keep users "
        f"elsewhere ({refusals.meaning(0x07, _SET_USER_PASSWORD, 0xCB)}): change the password there"
    )
