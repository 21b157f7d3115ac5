"""Whether a BMC would let an OFF through: what can be seen of that without switching anything."""

from typing import Final

from holdfast.model.readiness import Readiness
from holdfast.model.states import PowerState

from holdfast_oobm_ipmi import chassis
from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.exchange import Command
from holdfast_oobm_ipmi.target import PRIVILEGES

_SESSION_INFO: Final = Command(0x06, 0x3D, "asking about the session", b"\x00")
_NEEDED: Final = PRIVILEGES["operator"]
_COUNT: Final = 0x3F
_LEVEL: Final = 0x0F
_FEW_SLOTS: Final = 1
_INTERLOCK: Final = 0x04
_MAIN_FAULT: Final = 0x08


async def examine(bmc: Connection) -> Readiness:
    """Log in afresh and look. A kept session says nothing of a password that was changed since."""
    where, target = bmc.target.where, bmc.target
    problems, warnings = [], []
    if target.privilege < _NEEDED:
        problems.append(f'{where}: privilege "user" reads only; set it to "operator" or "administrator"')
    if bmc.established:
        # First see that it answers: whoever waits behind us should not wait for the login at a BMC that went dark.
        await bmc.do(chassis.STATUS)
        bmc.hang_up()
    data = await bmc.do(chassis.STATUS)
    if chassis.read_status(data) not in (PowerState.ON, PowerState.OFF):
        problems.append(f"{where}: it tells no plain power state (power control fault?); a fence could not be proven")
    elif data[0] & chassis.CONTROL_FAULT:
        problems.append(f"{where}: power control fault: the chassis did not follow the last order; look at the machine")
    if data and data[0] & _INTERLOCK:
        warnings.append(f"{where}: an interlock (an open case?) keeps the power off: it could not be switched on again")
    if data and data[0] & _MAIN_FAULT:
        warnings.append(f"{where}: fault of the main power; look at the supplies")
    more_problems, more_warnings = await _session(bmc)
    return Readiness((*problems, *more_problems), (*warnings, *more_warnings))


async def _session(bmc: Connection) -> tuple[list[str], list[str]]:
    """The login got the level it asked for; some BMCs say so, and let the session have a lower one."""
    where = bmc.target.where
    reply = await bmc.ask(_SESSION_INFO)
    if reply.code or len(reply.data) < 5 or not reply.data[0]:
        return [], []  # optional, and not all firmware has it
    slots, taken, level = reply.data[1] & _COUNT, reply.data[2] & _COUNT, reply.data[4] & _LEVEL
    problems, warnings = [], []
    if 0 < level < _NEEDED <= bmc.target.privilege:
        problems.append(
            f"{where}: the session got privilege level {level} only; switching power needs operator ({_NEEDED}): "
            "raise the user's privilege on the BMC"
        )
    if slots > _FEW_SLOTS and taken >= slots:
        warnings.append(f"{where}: all {slots} of its sessions are taken; a new login might be turned away")
    return problems, warnings
