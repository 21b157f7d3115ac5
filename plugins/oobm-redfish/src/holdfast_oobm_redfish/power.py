"""Carries out a power action: picks the reset, sends it, and reads back where a refusal may mean "already so"."""

from holdfast.errors import AuthenticationFailed, Refused, Unsupported
from holdfast.model.states import PowerAction, PowerState

from holdfast_oobm_redfish import systems
from holdfast_oobm_redfish.bmc import Bmc
from holdfast_oobm_redfish.deadline import Deadline
from holdfast_oobm_redfish.resets import ALREADY, NEEDS_POWER, ORDER, choose
from holdfast_oobm_redfish.systems import System
from holdfast_oobm_redfish.target import Target


def act(bmc: Bmc, target: Target, action: PowerAction, deadline: Deadline) -> str:
    """Have the BMC accept `action`; its answer, or what it need not do, in words."""
    if action not in ORDER:
        raise Unsupported(f"{target.where}: {action} is no action that a system takes")
    system = _system(bmc, target, action, deadline)
    if action in NEEDS_POWER and system.state is PowerState.OFF:
        raise Refused(f"{target.where}: system {system.name} is off, where {action} does nothing; use ON")
    reset_type = choose(action, system.allowed, system.state)
    if not reset_type:
        return _without_a_reset(bmc, target, action, deadline)
    try:
        return _post(bmc, system, reset_type, action, deadline)
    except AuthenticationFailed:
        raise
    except Refused:
        if action not in ALREADY:
            raise
        # 400 and 409 are how BMCs say "already so", among other things. Only its state tells which.
        now = systems.read(bmc, target, deadline)
        if now.state is ALREADY[action]:
            return f"system {now.name} is {now.state} already"
        if now.reset_path != system.reset_path:
            return _post(bmc, now, reset_type, action, deadline)
        raise


def _system(bmc: Bmc, target: Target, action: PowerAction, deadline: Deadline) -> System:
    # A fence should cost one round trip. Anything else depends on the state now, and so does the check of the UUID.
    if action is PowerAction.OFF and target.uuid is None:
        return systems.remembered(bmc, target, deadline)
    return systems.read(bmc, target, deadline)


def _without_a_reset(bmc: Bmc, target: Target, action: PowerAction, deadline: Deadline) -> str:
    """Some list only what is possible in their present state, so the list is read again before giving up."""
    system = systems.read(bmc, target, deadline)
    if system.state is ALREADY.get(action):
        return f"system {system.name} is {system.state} already"
    reset_type = choose(action, system.allowed, system.state)
    if not reset_type:
        offered = ", ".join(sorted(system.allowed or ())) or "nothing"
        raise Unsupported(
            f"{target.where}: system {system.name}, which is {system.state}, has no reset for {action}; it takes "
            f"{offered}, and Holdfast would use {' or '.join(ORDER[action])}"
        )
    return _post(bmc, system, reset_type, action, deadline)


def _post(bmc: Bmc, system: System, reset_type: str, action: PowerAction, deadline: Deadline) -> str:
    answer = bmc.ask(
        "POST",
        system.reset_path,
        deadline,
        repeatable=action is PowerAction.OFF,
        body={"ResetType": reset_type},
    )
    return f"system {system.name} accepted {reset_type} ({answer.status})"
