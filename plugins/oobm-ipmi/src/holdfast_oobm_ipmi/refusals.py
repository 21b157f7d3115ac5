"""What a BMC's "no" means: status codes of the login and completion codes of commands, each with its own text."""

from typing import Final

from holdfast.errors import AuthenticationFailed, DriverError, Refused
from pyghmi.ipmi.private import constants, util  # type: ignore[import-untyped]

from holdfast_oobm_ipmi.target import PRIVILEGES, Target

NODE_BUSY: Final = 0xC0
NOT_NOW: Final = 0xD5
"""Command not supported in present state: what some BMCs say to OFF when the chassis is off already."""

INVALID_SESSION: Final = 0x02
BAD_INTEGRITY: Final = 0x0F
_NO_ROOM = frozenset({0x01, 0x0B})
_PRIVILEGE = frozenset({0x09, 0x0A})
_NAME = frozenset({0x0C, 0x0D})
_CIPHER = frozenset({0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11})
_TOO_MUCH_PRIVILEGE = frozenset({0x80, 0x81, 0xD4})


def is_no_room(status: int) -> bool:
    """Whether a login was turned away because all sessions of the BMC are taken."""
    return status in _NO_ROOM


def login_refused(target: Target, status: int, step: str) -> DriverError:
    """The error for an RMCP+ or RAKP status code other than 0. `step` names the message that carried it."""
    said = f'the BMC said "{constants.rmcp_codes.get(status, "status unknown")}" (0x{status:02x}) in {step}'
    if status in _NO_ROOM:
        return Refused(f"{target.where}: no free session: {said}; close sessions of other programs or wait a minute")
    if status in _PRIVILEGE:
        return privilege_refused(target, said)
    if status in _NAME:
        return AuthenticationFailed(f"{target.where}: the user {_user(target)} is not known there: {said}")
    if status in _CIPHER:
        suites = "suite " if len(target.suites) == 1 else "suites "
        suites += " and ".join(map(str, target.suites))
        return AuthenticationFailed(
            f"{target.where}: cipher {suites} not accepted: {said}; allow it on the BMC or set cipher_suite"
        )
    if status == BAD_INTEGRITY:
        return AuthenticationFailed(f"{target.where}: the BMC does not accept our proof of the password: {said}")
    return Refused(f"{target.where}: no login: {said}")


def privilege_refused(target: Target, said: str) -> AuthenticationFailed:
    """The error for a user who may not have the privilege level that was asked for."""
    level = next(name for name, number in PRIVILEGES.items() if number == target.privilege)
    return AuthenticationFailed(
        f"{target.where}: the user {_user(target)} may not have the privilege level {level}: {said}; raise it on the "
        'BMC or set privilege (power control needs "operator")'
    )


def wrong_password(target: Target) -> AuthenticationFailed:
    """The BMC's proof does not fit our password."""
    return AuthenticationFailed(f"{target.where}: the password of user {_user(target)} is wrong")


def wrong_kg(target: Target) -> AuthenticationFailed:
    """The password was good, but the session keys differ: only Kg is left."""
    hint = "the key Kg is wrong" if target.kg else "the BMC wants a key Kg, and none is set"
    return AuthenticationFailed(f"{target.where}: {hint} (the user name and password are good); set kg as on the BMC")


def privilege_step_refused(target: Target, code: int) -> DriverError:
    """The error for a completion code of Set Session Privilege Level."""
    said = f'the BMC said "{meaning(0x07, 0x3B, code)}" (0x{code:02x})'
    if code in _TOO_MUCH_PRIVILEGE:
        return privilege_refused(target, said)
    return Refused(f"{target.where}: the session got no privilege: {said}")


def command_refused(target: Target, doing: str, netfn: int, command: int, code: int) -> Refused:
    """The error for a command's completion code other than 0."""
    text = f'{target.where}: {doing} was refused: "{meaning(netfn + 1, command, code)}" (0x{code:02x})'
    if code == 0xD4:
        text += '; the session\'s privilege level is too low: set privilege to "operator" or "administrator"'
    return Refused(text)


def meaning(answer_netfn: int, command: int, code: int) -> str:
    """The words of the IPMI standard for a completion code. `answer_netfn` is the odd one of the answer."""
    return str(util.get_ipmi_error({"netfn": answer_netfn, "command": command, "code": code}) or "Success")


def _user(target: Target) -> str:
    return repr(target.username.decode(errors="replace")) if target.username else "(anonymous)"
