"""Restarting VMs elsewhere: due work items are planned, permitted in one batch per lost host, and started.

Planning is done by the owner of the lost host, starting by the owner of the target: every effect on a host is its
owner's. The work item is the hand-over, so either may crash at any instant (S8).
"""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

from holdfast.engine.planner import Plan
from holdfast.engine.restart_order import restart_order
from holdfast.errors import Conflict, HoldfastError, InvalidRequest
from holdfast.hooks.placement import Request
from holdfast.hooks.store import Change, Insert, Query, Update
from holdfast.model import Host, Moment, ProofKind, Vm, Work, WorkReason, WorkStep

from holdfast_manager.desk import Desk
from holdfast_manager.journal import as_json, from_json
from holdfast_manager.placing import Placing
from holdfast_manager.restart_items import restart_item
from holdfast_manager.room_news import RoomNews
from holdfast_manager.runs import Placed, Runs
from holdfast_manager.starting import Starting

log = logging.getLogger("holdfast.manager.restarts")

_UNDERWAY = (WorkStep.RESTARTING, WorkStep.REVOKING)
_OPEN = Query(among={"step": (WorkStep.SCHEDULED, *_UNDERWAY)}, order=("id",))
_SCHEDULED = Query(equal={"step": WorkStep.SCHEDULED}, order=("id",))
_HOST_LIVES = (WorkReason.VM_CRASHED, WorkReason.HOST_RESTARTED)
_SHARE_OF_TIME = 10.0
_LONGEST_PAUSE = 10.0
"""Where much is underway, it is looked at so much less often that this takes 1/10 of the time: up to 10 s apart."""
_BATCH = 500
_BEGUN_TOGETHER = 2000
"""Starts take the time of the permits that are still to come, so they wait for that many; hosts are slower anyway."""
_LOOK_SECONDS = 1.0
_AFRESH_SECONDS = 0.1


class Restarts:
    """The restart loop of one server."""

    def __init__(self, desk: Desk, placing: Placing, runs: Runs, starting: Starting) -> None:
        self._desk = desk
        self._placing = placing
        self._runs = runs
        self._starting = starting
        self._news = asyncio.Event()
        self._all_again_at = 0.0
        self.room_news = RoomNews(desk)
        self.room_news.kick = self.kick

    def kick(self) -> None:
        """There may be something to do."""
        self._news.set()

    async def run(self) -> None:
        """Work items as they fall due, until cancelled."""
        while True:
            self._news.clear()
            if self._desk.membership.holds():
                try:
                    await self._look()
                except HoldfastError as problem:
                    log.warning("restarts are held up: %s", problem)
            waker = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._news.set)
            await self._news.wait()
            waker.cancel()

    async def _look(self) -> None:
        """Begin what others have planned, or what was not finished, and plan what is due."""
        began = self._desk.clock.monotonic()
        unfinished = self._starting.begin_look()
        if began >= self._all_again_at:
            works = await self._desk.memory.select(Work, _OPEN)
            now = self._desk.clock.monotonic()
            self._all_again_at = now + min((now - began) * (_SHARE_OF_TIME - 1), _LONGEST_PAUSE)
        else:
            works = await self._desk.memory.select(Work, _SCHEDULED)
            if unfinished:
                works += await self._desk.memory.select(Work, Query(among={"id": unfinished, "step": _UNDERWAY}))
        self._starting.begin(work for work in works if work.step != WorkStep.SCHEDULED)
        await self._plan_due([work for work in works if work.step == WorkStep.SCHEDULED])

    # --- planning ----------------------------------------------------------------------------------------------

    async def _plan_due(self, scheduled: list[Work]) -> None:
        began, mine = self._desk.clock.monotonic(), [work for work in scheduled if self._is_mine(work)]
        early = self.room_news.early(mine)
        due = [work for work in mine if work.id in early or self._is_due(work)]
        if not due:
            return
        await self._try(due)
        if early:
            self.room_news.heeded(self._desk.clock.monotonic() - began)

    async def _try(self, due: list[Work]) -> None:
        ids = sorted({work.instance_id for work in due})
        vms = {vm.id: vm for vm in await self._desk.memory.select(Vm, Query(among={"id": ids}))}
        blocked = await self._runs.open_permits(ids)
        ready = []
        for work in due:
            vm = vms.get(work.instance_id)
            if vm is None or vm.removed is not None:
                over = await self._runs.alerts.over(vm) if vm is not None else []
                await self._desk.memory.commit([self._finish(work, WorkStep.CANCELLED), *over])
            elif blocked.get(vm.id):
                await self._await_other_run(work, blocked[vm.id][0].host_id)
            else:
                ready.append((work, vm))
        if ready:
            await self._place(ready)

    def _is_due(self, work: Work) -> bool:
        """Whether its moment has come. One that lies further off than any wait was written by a clock that is wrong."""
        ahead = work.time_to_try - self._desk.clock.wall()
        return ahead <= 0.001 or ahead > 10 * self._desk.inventory.settings.number("restart.retry.interval")

    def _is_mine(self, work: Work) -> bool:
        host = self._desk.inventory.hosts.get(work.host_id)
        return host is not None and self._desk.membership.owns(host.uuid)

    def _finish(self, work: Work, step: WorkStep) -> Update:
        return Update(Work, work.id, {"step": step, "finished": self._desk.journal.now()}, {"step": work.step})

    async def _await_other_run(self, work: Work, host_id: int) -> None:
        """Another run may be live (a migration's other side): its host's owner finds out; this is no failed start."""
        values: dict[str, Any] = {
            "step": WorkStep.REVOKING, "target_host_id": host_id, "investigations": work.investigations + 1,
        }  # fmt: skip
        await self._desk.memory.commit([Update(Work, work.id, values, {"step": work.step})])
        self._starting.begin([replace(work, **values)])

    async def _place(self, ready: list[tuple[Work, Vm]]) -> None:
        """Plan and start in restart order; write the permits of those first that have waited longest.

        `ready` is in the order in which the restarts were scheduled. The difference shows only beyond one batch.
        """
        order = restart_order(restart_item(vm) for _, vm in ready)
        rank = {uuid: number for number, uuid in enumerate(order.vm_uuids)}
        ranks = {work.id: rank[vm.uuid] for work, vm in ready}
        requests = [self._request(work, vm) for work, vm in sorted(ready, key=lambda pair: ranks[pair[0].id])]
        homes = {vm.uuid: home for work, vm in ready if (home := self._home(work))}
        rooms = await self._placing.rooms(vm.data_center_id for _, vm in ready)
        plan = await self._placing.plan(requests, rooms, homes)
        permitted: list[Work] = []
        for start in range(0, len(ready), _BATCH):
            batch = sorted(ready[start : start + _BATCH], key=lambda pair: ranks[pair[0].id])
            permitted += await self._permit(batch, plan)
            if len(permitted) >= _BEGUN_TOGETHER or start + _BATCH >= len(ready):
                self._starting.begin(sorted(permitted, key=lambda work: ranks[work.id]))
                permitted = []

    def _request(self, work: Work, vm: Vm) -> Request:
        lost = self._desk.inventory.hosts.get(work.host_id)
        return self._placing.request(vm, "ha", self._excluded(work, lost), near=lost)

    def _home(self, work: Work) -> str:
        """Where the VM was, if that host is alive: there is its room, and other hosts keep theirs. Else ""."""
        host = self._desk.inventory.hosts.get(work.host_id)
        again_there = work.reason in _HOST_LIVES and work.tried == 0 and work.host_id not in _ids(work.excluded)
        return host.uuid if again_there and host is not None and self._takes_starts(host) else ""

    def _is_back(self, lost: Host) -> bool:
        """Whether it is in service again: where there was no room elsewhere, its VMs have waited for just that."""
        return self._takes_starts(lost) and self._desk.is_undoubted(lost)

    def _takes_starts(self, host: Host) -> bool:
        room = self._desk.inventory.room(host)
        return room.up and room.enabled

    def _excluded(self, work: Work, lost: Host | None) -> dict[str, str]:
        found: dict[str, str] = {}
        hosts = self._desk.inventory.hosts
        if lost is not None and work.reason not in _HOST_LIVES and not self._is_back(lost):
            found[lost.uuid] = "is the host that was lost"
        for host_id in _ids(work.excluded):
            if host_id in hosts:
                found[hosts[host_id].uuid] = "failed to start this VM before"
        return found

    async def _permit(self, batch: list[tuple[Work, Vm]], plan: Plan) -> list[Work]:
        """Permits for what found a place, explanations for what did not. A conflict means: plan afresh, soon.

        Returns what may be started now.
        """
        placed: list[Placed] = []
        changes: list[Change] = []
        permitted: list[Work] = []
        nowhere = []
        for work, vm in batch:
            chosen = plan.decisions[vm.uuid].host
            target = self._desk.inventory.hosts_by_uuid.get(chosen or "")
            guard = self._desk.inventory.hosts.get(work.host_id)
            if target is None or guard is None:
                if self._is_due(work):  # one that is tried before its time waits on as it did
                    nowhere.append(self._nowhere(work, vm, plan))
                continue
            kind = str(from_json(work.proof).get("kind", ProofKind.AGENT_REPORT))
            placed.append(Placed(vm, target, kind, work.proof, guard))
            taken = self._taken(work, vm, target, plan)
            changes += [taken, self._restart_event(vm, target)]
            permitted.append(replace(work, **taken.values))
        await asyncio.gather(*nowhere)
        if not placed:
            return []
        try:
            await self._runs.permit(placed, *changes)
        except (Conflict, InvalidRequest) as problem:
            log.info("restarts are planned afresh: %s", problem)
            self.room_news.lost_race(permitted)
            self._desk.ring_inventory()  # a host may have been closed since the tables were read
            asyncio.get_running_loop().call_later(_AFRESH_SECONDS, self.kick)
            return []
        return permitted

    def _taken(self, work: Work, vm: Vm, target: Host, plan: Plan) -> Update:
        values = {
            "step": WorkStep.RESTARTING, "target_host_id": target.id, "taken": self._desk.journal.now(),
            "mgmt_server_id": self._desk.msid, "explanation": as_json(plan.brief(vm.uuid)),
        }  # fmt: skip
        return Update(Work, work.id, values, {"step": work.step, "tried": work.tried})

    def _restart_event(self, vm: Vm, target: Host) -> Insert:
        text = f"VM {vm.name} restarts on host {target.name}"
        return self._desk.journal.event("VM.HA.RESTART", text, resource=vm.uuid, of="VirtualMachine")

    async def _nowhere(self, work: Work, vm: Vm, plan: Plan) -> None:
        """No host takes it now. That is no failed start: it waits, visibly, until one does (S10)."""
        summary = plan.summary(vm.uuid, vm.name)
        excluded = _ids(work.excluded)
        wait = self._desk.inventory.settings.number("restart.retry.interval") * min(2**work.investigations, 10)
        if excluded:
            wait = 1.0  # those that failed before are candidates again once there is nobody else
        values = {
            "investigations": work.investigations + 1, "explanation": as_json(plan.explanation(vm.uuid, 20)),
            "time_to_try": Moment(self._desk.clock.wall() + wait), "excluded": as_json([]),
        }  # fmt: skip
        changes: list[Change] = [
            Update(Work, work.id, values, {"step": work.step}),
            Update(Vm, vm.id, {"reason": f"waiting for a host: {summary}"[:1000]}),
        ]
        if not excluded:
            subject = f"VM {vm.name} waits for a host to restart on"
            changes += await self._runs.alerts.waits(vm, subject, summary)
        await self._desk.memory.commit(changes)


def _ids(text: str) -> list[int]:
    try:
        found: Any = json.loads(text or "[]")
    except ValueError:
        return []
    return [value for value in found if isinstance(value, int)] if isinstance(found, list) else []
