"""Which `ResetType` carries out an action, chosen from what the system says it allows."""

from typing import Final

from holdfast.model.states import PowerAction, PowerState

ORDER: Final[dict[PowerAction, tuple[str, ...]]] = {
    PowerAction.ON: ("On", "ForceOn", "PushPowerButton"),
    PowerAction.OFF: ("ForceOff", "PowerOff"),
    PowerAction.CYCLE: ("PowerCycle", "ForcePowerCycle", "ForceRestart"),
    PowerAction.RESET: ("ForceRestart", "PowerCycle", "ForcePowerCycle"),
    PowerAction.SOFT: ("GracefulShutdown", "PushPowerButton"),
}
"""First choice first. Nothing graceful stands in for OFF: an operating system that hangs would decide about it."""

BUTTON_NEEDS: Final = {PowerAction.ON: PowerState.OFF, PowerAction.SOFT: PowerState.ON}
"""A button switches over, so it is pressed only in the state that it is to leave."""

ALREADY: Final = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF, PowerAction.SOFT: PowerState.OFF}
"""The state in which an action that the BMC refuses has nothing left to do."""

NEEDS_POWER: Final = frozenset({PowerAction.CYCLE, PowerAction.RESET})
"""A system that is off stays off through these, whatever the BMC answers."""


def choose(action: PowerAction, allowed: frozenset[str] | None, state: PowerState) -> str:
    """The first type in order that is allowed, or "". `allowed` is None where the system does not say: try the best."""
    for reset_type in ORDER[action]:
        if allowed is not None and reset_type not in allowed:
            continue
        if reset_type == "PushPowerButton" and state is not BUTTON_NEEDS.get(action):
            continue
        return reset_type
    return ""


def read_state(word: object) -> PowerState:
    """Only the plain words count. PoweringOn, PoweringOff, Paused, null and whatever comes next are unknown."""
    if word == "On":
        return PowerState.ON
    return PowerState.OFF if word == "Off" else PowerState.UNKNOWN
