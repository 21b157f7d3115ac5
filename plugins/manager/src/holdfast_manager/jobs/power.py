"""Power actions and BMC passwords, ordered by an operator."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from holdfast.errors import AuthenticationFailed, Conflict, HoldfastError, InvalidRequest, Refused
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.store import Insert, OwnedBy, Query, Update
from holdfast.model import AsyncJob, Event, Host, Oobm, PowerAction, PowerState
from holdfast.model.views import BmcView

from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.journal import as_json, from_json

_ORDERED = {PowerAction.ON: "On", PowerAction.OFF: "Off", PowerAction.SOFT: "Off"}
_NOT_TWICE = frozenset({PowerAction.RESET, PowerAction.CYCLE, PowerAction.SOFT})
_READ_BACK = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF}


async def _usable(job: Job, host: Host) -> tuple[Oobm, BmcView, OobmDriver]:
    await job.manager.refresh_inventory()
    problem = job.desk.inventory.oobm_problem(host)
    bmc = job.desk.inventory.bmc_view(host)
    if problem or bmc is None:
        raise JobFailed(530, f"{problem}; enable it first")
    return job.desk.inventory.oobm[host.id], bmc, job.desk.plugins.driver("oobm", bmc.driver)


async def _power_action(job: Job) -> dict[str, Any]:
    """Order, then read back: the power state in the answer is the one just read."""
    host = await job.host()
    row, bmc, driver = await _usable(job, host)
    try:
        action = PowerAction(str(job.info["action"]))
    except ValueError:
        known = ", ".join(PowerAction)
        raise InvalidRequest(f"power action {job.info['action']!r} is none of {known}") from None
    setting = "outofbandmanagement.action.timeout"
    seconds = float(job.info.get("timeout") or job.desk.inventory.settings.number(setting, cluster=host.cluster_id))
    description = "the power state was read"
    if action in _NOT_TWICE and from_json(job.row.step).get("ordered") == action:
        # Sent, or about to be, when the server that had this job died: a second reset could hit a host that boots.
        description = "ordered before the management server was restarted; not sent again"
    elif action is not PowerAction.STATUS:
        await _note_order(job, host, row, action)
        description = await _call(job, host, action, seconds, driver.power_action, bmc, action)
    state = await _read_back(job, host, driver, bmc, _READ_BACK.get(action), seconds)
    await job.desk.memory.commit(
        [Update(Oobm, row.id, {"power_state": state, "problem": "", "update_time": job.desk.journal.now()})]
    )
    await job.manager.refresh_inventory()
    return {
        "object": "outofbandmanagement", "hostid": host.id, "status": True, "action": action,
        "description": description,
    }  # fmt: skip


async def _note_order(job: Job, host: Host, row: Oobm, action: PowerAction) -> None:
    """Written before it is sent (S8); a host that an operator ordered off is not powered on again after a fence."""
    epoch = job.desk.epoch(host)
    if not epoch:
        raise Conflict(f"this server does not own host {host.name} any more")
    ordered = _ORDERED.get(action, row.ordered_state)
    text = f"power action {action} on host {host.name} by order"
    event = job.desk.journal.event("HOST.OOBM.ACTION", text, resource=host.uuid, user=job.row.user_id)
    assert isinstance(event, Insert)
    assert isinstance(event.row, Event)
    started = replace(event.row, state="Started", account_id=job.row.account_id)
    await job.desk.memory.commit(
        [
            OwnedBy(host.id, epoch),
            Update(Oobm, row.id, {"ordered_state": ordered}),
            Update(AsyncJob, job.row.id, {"step": as_json({"ordered": action})}),
            Insert(started),
        ]
    )


async def _call(job: Job, host: Host, action: str, seconds: float, method: Callable[..., Any], *args: Any) -> str:
    """One driver call; trouble names action, host and the driver's words."""
    try:
        return str(await job.desk.pool("oobm-jobs").call(seconds, method, *args, seconds))
    except AuthenticationFailed as problem:
        raise JobFailed(530, f"{action} on host {host.name}: the BMC refuses the credentials: {problem}") from problem
    except HoldfastError as problem:
        raise JobFailed(530, f"{action} on host {host.name}: {type(problem).__name__}: {problem}") from problem
    except Exception as problem:
        raise JobFailed(530, f"{action} on host {host.name}: the driver failed ({type(problem).__name__})") from problem


async def _read_back(
    job: Job, host: Host, driver: OobmDriver, bmc: BmcView, wanted: PowerState | None, seconds: float
) -> PowerState:
    """The state now; after ON and OFF, wait for it within the deadline, for "accepted" proves nothing (S3)."""
    settings = job.desk.inventory.settings
    timeout = settings.number("kvm.ha.power.check.timeout", cluster=host.cluster_id)
    pause = settings.number("kvm.ha.power.check.interval", cluster=host.cluster_id)
    until = job.desk.clock.monotonic() + seconds
    while True:
        try:
            state = await job.desk.pool("oobm-jobs").call(timeout, driver.power_state, bmc, timeout)
        except HoldfastError as problem:
            if wanted is None:
                raise JobFailed(530, f"STATUS of host {host.name}: {type(problem).__name__}: {problem}") from problem
            state = PowerState.UNKNOWN
        if wanted is None or state is wanted or job.desk.clock.monotonic() >= until:
            return PowerState(state)
        await job.manager.hosts.pause(pause)


async def _change_password(job: Job) -> dict[str, Any]:
    host = await job.host()
    row, bmc, driver = await _usable(job, host)
    fresh = (await job.desk.memory.select(Oobm, Query(equal={"host_id": host.id}, limit=1)))[0]
    new = fresh.new_password
    if not new:
        return {"object": "outofbandmanagement", "hostid": host.id, "status": True}  # done before a crash
    seconds = job.desk.inventory.settings.number("outofbandmanagement.action.timeout", cluster=host.cluster_id)
    try:
        await job.desk.pool("oobm-jobs").call(
            seconds, driver.power_state, replace(bmc, password=new), min(seconds, 5.0)
        )
        already = True
    except HoldfastError:
        already = False
    try:
        if not already:
            await job.desk.pool("oobm-jobs").call(seconds, driver.set_password, bmc, new.reveal(), seconds)
    except Refused as problem:
        await job.desk.memory.commit([Update(Oobm, row.id, {"new_password": None})])
        raise JobFailed(530, f"the password of host {host.name} was not changed: {problem}") from problem
    await job.desk.memory.commit([Update(Oobm, row.id, {"password": new, "new_password": None})])
    await job.manager.refresh_inventory()
    return {"object": "outofbandmanagement", "hostid": host.id, "status": True}


HANDLERS: dict[str, Handler] = {
    "issueOutOfBandManagementPowerAction": _power_action,
    "changeOutOfBandManagementPassword": _change_password,
}
