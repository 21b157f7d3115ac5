"""Fence drill: power-cycle an empty host in maintenance through its fence devices, and take the time of each stage.

It does what a fence does, with the same proof, and finds out what only doing it can: a BMC that accepts OFF and stays
on, one that switches another machine, a host that does not come back by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError, InvalidRequest, StaleOwner, StoreError
from holdfast.hooks.store import OwnedBy, Query, Update
from holdfast.model import (
    AsyncJob,
    HAState,
    Host,
    Oobm,
    Opinion,
    Permit,
    PermitState,
    PowerAction,
    ResourceState,
    Vm,
)
from holdfast.model.states import GuestState

from holdfast_manager.fence_devices import Reading, fence_seconds
from holdfast_manager.jobs.job import Handler, Job, JobFailed
from holdfast_manager.journal import as_json, from_json

COMMAND = "runFenceDrill"
EVENT = "HOST.OOBM.FENCE.DRILL"
BOOT_SECONDS = 900.0
_LOOK_SECONDS = 0.25
_AGENT_SECONDS = 5.0
_MARGIN = 1.0
_POWER_ON_SECONDS = 120.0
"""A BMC behind an outlet that was off takes that long to answer again."""
_STRAY_BEATS = 2.0
"""Beats that were on their way when the power went."""
_GONE = frozenset({GuestState.ABSENT, GuestState.SHUT_DOWN, GuestState.CRASHED})


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that was reached, `seconds` after OFF was sent to its level."""

    level: int
    name: str
    seconds: float

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.name} {self.seconds:.2f} s"


class Drill:
    """One drill of one host. `rows` are all of its fence devices."""

    def __init__(self, job: Job, host: Host, rows: tuple[Oobm, ...]) -> None:
        self.job, self.desk, self.host, self.rows = job, job.desk, host, rows
        self.stages: list[Stage] = []
        self._settings = self.desk.inventory.settings
        self._level, self._began = 0, 0.0

    # --- one level ---------------------------------------------------------------------------------------------------

    async def cycle(self, level: int) -> None:
        """Off by one level, proven; on by all; the agent back. `JobFailed` tells what was not reached and how it is."""
        rows = tuple(row for row in self.rows if row.level == level)
        await self._note(level)
        self._level, self._began = level, self.desk.clock.monotonic()
        boot = self.desk.links.links[self.host.uuid].boot_id
        try:
            await self._off(rows)
            await self._agent_silent()
        except StoreError:
            raise  # the job is taken up again, and powers the host on
        except HoldfastError as problem:
            raise JobFailed(530, f"{problem}{await self._after_failure()}") from problem
        await self.power_on()
        await self._agent_back(boot)

    async def _note(self, level: int) -> None:
        """Written before anything is sent (S8), and only while nothing can be started on the host."""
        epoch = self.desk.epoch(self.host)
        fresh = await self.job.host("hostid")
        if not epoch:
            raise StaleOwner(f"this server does not own host {self.host.name} any more")
        await _refuse_unless_empty(self.job, fresh)
        values = {"alloc_version": fresh.alloc_version + 1}
        expect = {"alloc_version": fresh.alloc_version, "resource_state": ResourceState.MAINTENANCE}
        text = f"fence drill of host {self.host.name}: OFF by level {level}"
        await self.desk.memory.commit(
            [
                OwnedBy(self.host.id, epoch),
                Update(Host, self.host.id, values, expect),
                Update(AsyncJob, self.job.row.id, {"step": as_json({"cut": level})}),
                self.desk.journal.event(EVENT, text, resource=self.host.uuid, user=self.job.row.user_id),
            ]
        )

    async def _off(self, rows: tuple[Oobm, ...]) -> None:
        timeout = self._number("kvm.ha.fence.timeout")
        seconds = fence_seconds(rows, timeout)
        devices = self.desk.fence_devices(self.host, rows)
        outcome = await self.desk.pool("oobm-jobs").call(seconds + _MARGIN, devices.switch, PowerAction.OFF, timeout)
        if not outcome.accepted:
            raise JobFailed(530, f"OFF was not accepted: {outcome.detail}")
        self._reached("OFF accepted")
        needed, until, off = self._confirmations(), self.desk.clock.monotonic() + seconds, 0
        while True:
            opinion, readings = await self._read(rows)
            off = off + 1 if opinion is Opinion.DEAD else 0
            if off >= needed:
                break
            if self.desk.clock.monotonic() >= until:
                said = "; ".join(one.words for one in readings)
                raise JobFailed(530, f"OFF was accepted, but not read back {needed} times in a row: {said}")
            await self.job.manager.hosts.pause(self._number("kvm.ha.power.check.interval"))
        self._reached("OFF proven")

    async def _agent_silent(self) -> None:
        """The other witness: a machine without power has no agent that beats."""
        off_at, limit = self.desk.clock.monotonic(), self.desk.silent_after()
        grace = _STRAY_BEATS * self._settings.number("ping.interval")
        while True:
            link = self.desk.links.links.get(self.host.uuid)
            if link is None:
                raise StaleOwner(f"this server does not own host {self.host.name} any more")
            if link.heard_at > off_at + grace:
                raise JobFailed(
                    530,
                    "the chassis reads OFF, but the agent of the host goes on beating: this fence device switches "
                    "another machine. Correct its address before anything else: a fence by it would be no fence",
                )
            if self.desk.clock.monotonic() - max(link.heard_at, off_at - limit) >= limit:
                break
            await self.job.manager.hosts.pause(_LOOK_SECONDS)
        self._reached("agent silent")

    # --- on again ----------------------------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """All devices on, until that is read back. `JobFailed` says that the host is off."""
        until, sent, problem = self.desk.clock.monotonic() + _POWER_ON_SECONDS, False, "no plain answer"
        while self.desk.clock.monotonic() < until:
            if not self.desk.epoch(self.host):
                raise StaleOwner(f"this server does not own host {self.host.name} any more")
            if not sent:
                sent, problem = await self._send_on()
                if sent:
                    self._reached("ON accepted")
            if sent:
                opinion, readings = await self._read(self.rows)
                if opinion is Opinion.ALIVE:
                    self._reached("ON proven")
                    return
                problem = "; ".join(one.words for one in readings)
            await self.job.manager.hosts.pause(_LOOK_SECONDS)
        text = f"host {self.host.name} was switched off by a fence drill and could not be switched on again: {problem}"
        await self.desk.memory.commit([self.desk.journal.alert("ALERT.COMPUTE.HOST", text[:250], text, self.host)])
        raise JobFailed(530, f"{text}. Switch it on by hand")

    async def _send_on(self) -> tuple[bool, str]:
        timeout = self._number("kvm.ha.fence.timeout")
        devices, seconds = self.desk.fence_devices(self.host, self.rows), fence_seconds(self.rows, timeout)
        try:
            outcome = await self.desk.pool("oobm-jobs").call(seconds + _MARGIN, devices.switch, PowerAction.ON, timeout)
        except HoldfastError as problem:
            return False, str(problem)
        return outcome.accepted, outcome.detail

    async def _agent_back(self, boot: str) -> None:
        seconds = float(self.job.info.get("timeout") or BOOT_SECONDS)
        until = self.desk.clock.monotonic() + seconds
        while self.desk.clock.monotonic() < until:
            link = self.desk.links.links.get(self.host.uuid)
            if link is None:
                raise StaleOwner(f"this server does not own host {self.host.name} any more")
            if link.connected and link.boot_id != boot and self.desk.links.heard_within(self.host.uuid, _AGENT_SECONDS):
                self._reached("agent back")
                return
            await self.job.manager.hosts.pause(_LOOK_SECONDS)
        raise JobFailed(530, f"the host is on, but its agent is not back after {seconds:g} s: look at its console")

    async def _after_failure(self) -> str:
        """Leave the host as it was found, whatever failed."""
        try:
            await self.power_on()
        except JobFailed as worse:
            return f". {worse}"
        return ". The host is on"

    # --- looking -----------------------------------------------------------------------------------------------------

    async def _read(self, rows: Sequence[Oobm]) -> tuple[Opinion, tuple[Reading, ...]]:
        timeout = self._number("kvm.ha.power.check.timeout")
        devices = self.desk.fence_devices(self.host, tuple(rows))
        try:
            return await self.desk.pool("oobm-jobs").call(timeout + _MARGIN, devices.read)
        except HoldfastError:
            return Opinion.UNKNOWN, ()

    def _confirmations(self) -> int:
        return self._settings.whole("kvm.ha.fence.power.off.confirmations", cluster=self.host.cluster_id)

    def _number(self, name: str) -> float:
        return self._settings.number(name, cluster=self.host.cluster_id)

    def _reached(self, name: str) -> None:
        self.stages.append(Stage(self._level, name, self.desk.clock.monotonic() - self._began))

    @property
    def told(self) -> str:
        """The stages in words."""
        levels = sorted({stage.level for stage in self.stages})
        parts = {level: ", ".join(one.words for one in self.stages if one.level == level) for level in levels}
        if len(levels) == 1:
            return parts[levels[0]]
        return "; ".join(f"level {level}: {text}" for level, text in parts.items())


async def _drill(job: Job) -> dict[str, Any]:
    host = await job.host("hostid")
    await job.manager.refresh_inventory()
    problem = job.desk.inventory.oobm_problem(host)
    if problem:
        raise JobFailed(530, f"{problem}; enable it first")
    drill = Drill(job, host, job.desk.inventory.fence_devices[host.id])
    cut = from_json(job.row.step).get("cut")
    if cut is not None:
        # The server that had this job died with the power off, or may have.
        await drill.power_on()
        raise JobFailed(
            530,
            f"the drill of host {host.name} was interrupted while level {cut} was being tried; the host is on again. "
            "Run it once more",
        )
    wanted = job.info.get("level")
    levels = sorted({row.level for row in drill.rows if wanted in (None, row.level)})
    if not levels:
        raise InvalidRequest(f"host {host.name} has no fence level {wanted}")
    try:
        for level in levels:
            await drill.cycle(level)
    except JobFailed as failure:
        reached = f" Reached: {drill.told}." if drill.stages else ""
        raise JobFailed(failure.code, f"fence drill of host {host.name} failed: {failure}.{reached}") from failure
    text = f"fence drill of host {host.name} passed: {drill.told}"
    await job.desk.memory.commit([job.desk.journal.event(EVENT, text, resource=host.uuid, user=job.row.user_id)])
    return {
        "object": "fencedrill", "hostid": host.id, "description": drill.told,
        "stages": [
            {"level": one.level, "stage": one.name, "seconds": round(one.seconds, 3)} for one in drill.stages
        ],
    }  # fmt: skip


async def _refuse_unless_empty(job: Job, host: Host) -> None:
    """Raises `InvalidRequest` unless the host may lose its power: in maintenance, empty by the tables and by itself."""
    name, desk = f"host {host.name}", job.desk
    actor = job.manager.hosts.actors.get(host.uuid)
    if actor is None:
        raise InvalidRequest(f"{name} is not watched by this server now; try again")
    if actor.record.state in (HAState.FENCING, HAState.FENCED):
        raise InvalidRequest(f"{name} is {actor.record.state}: cancel its maintenance once it is back, then drill")
    if host.resource_state != ResourceState.MAINTENANCE:
        raise InvalidRequest(
            f"{name} is {host.resource_state}, not in Maintenance: a drill switches it off. Call "
            "prepareHostForMaintenance first"
        )
    if await pending_drill(job, host, before=job.row.id):
        raise InvalidRequest(f"another fence drill of {name} is under way")
    live = await desk.memory.select(Permit, Query(equal={"host_id": host.id}, unequal={"state": PermitState.ENDED}))
    if live:
        vms = await desk.memory.select(Vm, Query(among={"id": sorted({permit.vm_id for permit in live})}))
        raise InvalidRequest(f"{name} is not empty: {', '.join(vm.name for vm in vms)} may run there")
    if not desk.links.heard_within(host.uuid, desk.silent_after()):
        raise InvalidRequest(f"the agent of {name} is not heard: nobody can tell whether it is empty")
    view = desk.inventory.host_view(host)
    reports = await desk.pool("agent").call(
        _AGENT_SECONDS + _MARGIN, desk.hypervisor(host).list_vms, view, _AGENT_SECONDS
    )
    running = [report.vm_uuid for report in reports if report.state not in _GONE]
    if running:
        raise InvalidRequest(f"{name} is not empty: its agent reports VMs that no table knows: {', '.join(running)}")


async def pending_drill(job: Job, host: Host, before: int = 0) -> bool:
    """Whether a drill of the host is ordered or under way: its maintenance must not end meanwhile.

    `before` is the job of a drill, which only those that were ordered before it stand in the way of.
    """
    return any(not before or row.id < before for row in await job.pending(COMMAND, host_id=host.id))


HANDLERS: dict[str, Handler] = {COMMAND: _drill}
