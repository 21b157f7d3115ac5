"""Power actions and BMC passwords, ordered by an operator."""

from dataclasses import replace
from typing import Any

from holdfast.errors import AuthenticationFailed, Conflict, HoldfastError, InvalidRequest, Refused, Unsupported
from holdfast.hooks.store import Insert, OwnedBy, Update
from holdfast.model import AsyncJob, Event, Host, Oobm, Opinion, PowerAction, PowerState

from holdfast_manager.fence_devices import Reading, fence_seconds
from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.journal import as_json, from_json
from holdfast_manager.power_record import Seen

_ORDERED = {PowerAction.ON: "On", PowerAction.OFF: "Off", PowerAction.SOFT: "Off"}
_NOT_TWICE = frozenset({PowerAction.RESET, PowerAction.CYCLE, PowerAction.SOFT})
_STATES = {Opinion.DEAD: PowerState.OFF, Opinion.ALIVE: PowerState.ON}
_MARGIN = 0.5
"""Seconds in which the words of a driver that gave up at its deadline still get through."""
_READ_BACK = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF}


def _rows(job: Job, host: Host) -> tuple[Oobm, ...]:
    """The fence devices that are meant: all of the host, unless the job names one by level and index."""
    rows = job.desk.inventory.fence_devices.get(host.id, ())
    if "level" not in job.info:
        return rows
    place = (int(job.info["level"]), int(job.info.get("index", 0)))
    chosen = tuple(row for row in rows if (row.level, row.device_index) == place)
    if not chosen:
        raise JobFailed(530, f"host {host.name} has no fence device {place[1]} of level {place[0]} any more")
    return chosen


async def _usable(job: Job, host: Host) -> tuple[Oobm, ...]:
    await job.manager.refresh_inventory()
    problem = job.desk.inventory.oobm_problem(host)
    if problem:
        raise JobFailed(530, f"{problem}; enable it first")
    return _rows(job, host)


async def _power_action(job: Job) -> dict[str, Any]:
    """Order, then read back: the power state in the answer is the one just read."""
    host = await job.host()
    rows = await _usable(job, host)
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
        await _note_order(job, host, rows, action)
        description = await _order(job, host, rows, action, seconds)
    state = await _read_back(job, host, rows, action, seconds)
    return {
        "object": "outofbandmanagement", "hostid": host.id, "status": True, "action": action,
        "description": description, "powerstate": state,
    } | ({"level": rows[0].level, "index": rows[0].device_index} if "level" in job.info else {})  # fmt: skip


async def _note_order(job: Job, host: Host, rows: tuple[Oobm, ...], action: PowerAction) -> None:
    """Written before it is sent (S8); a host that an operator ordered off is not powered on again after a fence."""
    epoch = job.desk.epoch(host)
    if not epoch:
        raise Conflict(f"this server does not own host {host.name} any more")
    text = f"power action {action} on host {host.name} by order"
    event = job.desk.journal.event("HOST.OOBM.ACTION", text, resource=host.uuid, user=job.row.user_id)
    assert isinstance(event, Insert)
    assert isinstance(event.row, Event)
    started = replace(event.row, state="Started", account_id=job.row.account_id)
    ordered = [Update(Oobm, row.id, {"ordered_state": _ORDERED.get(action, row.ordered_state)}) for row in rows]
    step = Update(AsyncJob, job.row.id, {"step": as_json({"ordered": action})})
    await job.desk.memory.commit([OwnedBy(host.id, epoch), *ordered, step, Insert(started)])


async def _order(job: Job, host: Host, rows: tuple[Oobm, ...], action: PowerAction, seconds: float) -> str:
    """What the devices said; trouble names action, host and the drivers' words."""
    devices, what = job.desk.fence_devices(host, rows), f"{action} on host {host.name}"
    try:
        limit = fence_seconds(rows, seconds) + _MARGIN
        outcome = await job.desk.pool("oobm-jobs").call(limit, devices.switch, action, seconds)
    except HoldfastError as problem:
        raise JobFailed(530, f"{what}: {type(problem).__name__}: {problem}") from problem
    if outcome.accepted:
        return outcome.detail
    if any(isinstance(problem, AuthenticationFailed) for _, problem in devices.refusals):
        await job.manager.power.record.alert_of_refused_credentials(host)
        raise JobFailed(530, f"{what}: the BMC refuses the credentials: {outcome.detail}")
    raise JobFailed(530, f"{what}: {outcome.detail}")


async def _read_back(job: Job, host: Host, rows: tuple[Oobm, ...], action: PowerAction, seconds: float) -> PowerState:
    """The state now; after ON and OFF, wait for it within the deadline, for "accepted" proves nothing (S3)."""
    settings, wanted = job.desk.inventory.settings, _READ_BACK.get(action)
    timeout = settings.number("kvm.ha.power.check.timeout", cluster=host.cluster_id)
    pause = settings.number("kvm.ha.power.check.interval", cluster=host.cluster_id)
    until = job.desk.clock.monotonic() + seconds
    while True:
        devices = job.desk.fence_devices(host, rows)
        readings: tuple[Reading, ...] = ()
        try:
            opinion, readings = await job.desk.pool("oobm-jobs").call(timeout + _MARGIN, devices.read)
        except HoldfastError as problem:
            opinion, why = Opinion.UNKNOWN, f"{type(problem).__name__}: {problem}"
        else:
            why = "; ".join(one.problem for one in readings if one.problem)
        state = _STATES.get(opinion, PowerState.UNKNOWN)
        if wanted is None or state is wanted or job.desk.clock.monotonic() >= until:
            break
        await job.manager.hosts.pause(pause)
    told = [one for one in readings if one.problem or one.opinion is not Opinion.UNKNOWN]
    await job.manager.power.record.write([Seen(host, one.row, one.state, one.problem, one.error) for one in told])
    await job.manager.refresh_inventory()
    if action is PowerAction.STATUS and state is PowerState.UNKNOWN and why:
        raise JobFailed(530, f"STATUS of host {host.name}: {why}")
    return state


async def _change_password(job: Job) -> dict[str, Any]:
    host = await job.host()
    row = (await _usable(job, host))[0]
    fresh = await job.desk.memory.get(Oobm, row.id)
    if fresh is not None and fresh.new_password:  # else it was done before a crash
        try:
            await _put_into_bmc(job, host, fresh)
        except AuthenticationFailed as problem:
            await job.manager.power.record.alert_of_refused_credentials(host)
            text = f"the password of host {host.name} was not changed: the BMC refuses the credentials: {problem}"
            raise JobFailed(530, text) from problem
        except (Refused, Unsupported) as problem:
            raise JobFailed(530, f"the password of host {host.name} was not changed: {problem}") from problem
        except HoldfastError as problem:
            left = await job.desk.memory.get(Oobm, row.id)
            unsettled = left is not None and left.new_password
            text = "may have been changed; that is found out once the BMC answers" if unsettled else "was not changed"
            raise JobFailed(530, f"the password of host {host.name} {text}: {problem}") from problem
    return {"object": "outofbandmanagement", "hostid": host.id, "status": True}


async def _put_into_bmc(job: Job, host: Host, row: Oobm) -> None:
    """Until it is there and in the inventory, whoever asks with the old one is refused, which says nothing."""
    seconds = job.desk.inventory.settings.number("outofbandmanagement.action.timeout", cluster=host.cluster_id)
    job.desk.changing_passwords.add(row.id)
    try:
        await job.manager.power.passwords.change(host, row, seconds)
        await job.manager.refresh_inventory()
    finally:
        job.desk.changing_passwords.discard(row.id)


HANDLERS: dict[str, Handler] = {
    "issueOutOfBandManagementPowerAction": _power_action,
    "changeOutOfBandManagementPassword": _change_password,
}
