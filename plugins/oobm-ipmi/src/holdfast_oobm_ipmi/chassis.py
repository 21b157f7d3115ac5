"""The chassis commands of IPMI: reading and switching the power."""

from typing import Final

from holdfast.errors import Unsupported
from holdfast.model.states import PowerAction, PowerState

from holdfast_oobm_ipmi import refusals
from holdfast_oobm_ipmi.connection import Connection
from holdfast_oobm_ipmi.exchange import Command

STATUS: Final = Command(0x00, 0x01, "asking for the chassis status")
_SHORTEST_STATUS: Final = 3
IS_ON: Final = 0x01
CONTROL_FAULT: Final = 0x10
"""The chassis did not reach the state that it was told to reach: what it reads then is not plain."""

_RESERVED: Final = 0x80
_CONTROL: Final = {
    PowerAction.OFF: 0x00,
    PowerAction.ON: 0x01,
    PowerAction.CYCLE: 0x02,
    PowerAction.RESET: 0x03,
    PowerAction.SOFT: 0x05,
}
_REPEATABLE: Final = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF}
"""Actions that set a state: doing them twice does nothing more, and being there already is success."""


async def power_state(bmc: Connection) -> PowerState:
    """What the chassis reads now."""
    return read_status(await bmc.do(STATUS))


def read_status(data: bytes) -> PowerState:
    """The power state in the answer to Get Chassis Status. Only a plain "off" is `OFF`."""
    if len(data) < _SHORTEST_STATUS:
        return PowerState.UNKNOWN
    current = data[0]
    if current & IS_ON:
        return PowerState.ON
    return PowerState.UNKNOWN if current & (CONTROL_FAULT | _RESERVED) else PowerState.OFF


async def power_action(bmc: Connection, action: PowerAction) -> str:
    """Ask for `action`; returns what the BMC said."""
    if action not in _CONTROL:
        raise Unsupported(
            f"{bmc.target.where}: {action} is not an action of a chassis; ask for the power state instead"
        )
    wanted = _REPEATABLE.get(action)
    command = Command(0x00, 0x02, f"asking for {action}", bytes([_CONTROL[action]]), repeatable=wanted is not None)
    if wanted is None:
        # It goes out only once, so make sure first that the session is still there to hear it. Any answer will do.
        await bmc.ask(STATUS)
    reply = await bmc.ask(command)
    if reply.code == refusals.NOT_NOW and wanted is not None and await power_state(bmc) is wanted:
        return f"chassis control {action}: already so"
    if reply.code:
        raise refusals.command_refused(bmc.target, command.doing, command.netfn, command.number, reply.code)
    return f"chassis control {action}: accepted"
