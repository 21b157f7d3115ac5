"""Starting permitted VMs on the hosts that this server owns, and finding out what became of each start."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from holdfast.errors import Conflict, HoldfastError, StorageAway, StoreError
from holdfast.hooks.store import Change, Update
from holdfast.model import Host, Json, Moment, Permit, PermitState, Vm, Work, WorkStep

from holdfast_manager.desk import Desk
from holdfast_manager.journal import as_json
from holdfast_manager.runs import Runs, host_report, refused
from holdfast_manager.slots import Slots

log = logging.getLogger("holdfast.manager.starting")

_ASK_AGAIN_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.1


class Starting:
    """Work items in step Restarting or Revoking whose target this server owns."""

    def __init__(self, desk: Desk, runs: Runs) -> None:
        self._desk = desk
        self._runs = runs
        self._underway: set[int] = set()
        self._unfinished: set[int] = set()
        self._done_since: set[int] = set()
        self._queued: set[int] = set()
        """Of those, the ones that wait for their host's turn."""
        self._slots = Slots(lambda: desk.inventory.settings.whole("ha.starts.per.host"))
        self.kick: Callable[[], None] = lambda: None

    def begin_look(self) -> list[int]:
        """The store is about to be read: ids of work that was begun here and came to no end, each told once."""
        told, self._unfinished, self._done_since = sorted(self._unfinished), set(), set()
        return told

    def begin(self, works: Iterable[Work]) -> None:
        """Begin those of these that fall to this server and are not underway yet, nor done since they were read."""
        self._slots.fill()
        known = self._underway | self._done_since
        for work in works:
            target = self._desk.inventory.hosts.get(work.target_host_id or 0)
            if target is None or work.id in known or not self._desk.membership.owns(target.uuid):
                continue
            self._underway.add(work.id)
            self._desk.spawn(self._carry_on(work, target))

    def waits_for_a_turn(self, work: Work) -> bool:
        """Whether its start waits because the host is at its bound. May be asked from any thread."""
        return work.id in self._queued

    async def _carry_on(self, work: Work, target: Host) -> None:
        finished = False
        self._queued.add(work.id)
        try:
            async with self._slots.one(target.id):
                self._queued.discard(work.id)
                finished = await self._one(work, target)
        except Conflict as problem:
            log.info("VM work %d: somebody else was first: %s", work.id, problem)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except HoldfastError as problem:
            log.warning("VM work %d is held up: %s", work.id, problem)
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        finally:
            self._queued.discard(work.id)
            self._underway.discard(work.id)
            if finished:
                self._done_since.add(work.id)
            else:
                self._unfinished.add(work.id)
                self.kick()

    async def _one(self, work: Work, target: Host) -> bool:
        """One step of a work item; whether it was the last."""
        vm, permit = await self._runs.newest(work.instance_id)
        if permit is None or permit.state == PermitState.ENDED or permit.host_id != target.id:
            # Its target was lost meanwhile, and that host's proof has ended the run: back to planning.
            await self._desk.memory.commit([self._back(work, work.tried, work.excluded, 0.0)])
            return False
        if permit.state == PermitState.RUNNING:
            await self._desk.memory.commit([self._done(work)])
            return True
        if work.step == WorkStep.REVOKING:
            await self._find_out(work, vm, permit, target)
            return False
        try:
            await self._runs.start(vm, target, permit.run_epoch)
        except StoreError:
            raise  # it was not sent
        except HoldfastError as problem:
            await self._failed(work, vm, permit, target, problem)
            return False
        await self._running(work, vm, permit, target)
        return True

    async def _running(self, work: Work, vm: Vm, permit: Permit, target: Host) -> None:
        text = f"VM {vm.name} runs on host {target.name}, run {permit.run_epoch}"
        event = self._desk.journal.event("VM.HA.RUNNING", text, resource=vm.uuid, of="VirtualMachine")
        has_waited = work.investigations > 0 or work.tried > 0
        over = await self._runs.alerts.over(vm) if has_waited else []
        await self._runs.now_running(vm, permit, target, self._done(work), event, *over)
        log.info(text)

    def _done(self, work: Work) -> Update:
        values = {"step": WorkStep.DONE, "finished": self._desk.journal.now()}
        return Update(Work, work.id, values, {"step": work.step})

    async def _failed(self, work: Work, vm: Vm, permit: Permit, target: Host, problem: HoldfastError) -> None:
        text = f"the start on host {target.name} failed: {problem}"
        if isinstance(problem, StorageAway):
            await self._await_storage(work, vm, permit, target, text)
            return
        if refused(problem):
            await self._give_back(work, vm, permit, target, text, host_report(target, text, permit.run_epoch))
            return
        # It may run, or may yet: nothing starts elsewhere until that host, or a proof of its death, ends this run.
        await self._desk.memory.commit([Update(Work, work.id, {"step": WorkStep.REVOKING}, {"step": work.step})])
        log.warning("VM %s: %s; its fate is being found out", vm.name, text)

    async def _await_storage(self, work: Work, vm: Vm, permit: Permit, target: Host, text: str) -> None:
        """The VM's storage does not answer that host: others are asked at once, then all of them again and again.

        That is no failed start, however long it lasts (M5): once the storage is back, the VM has to start.
        """
        longest = self._desk.inventory.settings.number("restart.retry.interval")
        asked = {*json.loads(work.excluded or "[]"), target.id}
        wait = 0.0 if work.investigations == 0 else min(2.0 ** (work.investigations - 1), longest)
        proof = host_report(target, text, permit.run_epoch)
        waiting = replace(work, investigations=work.investigations + 1)
        changes: list[Change] = [self._back(waiting, work.tried, as_json(sorted(asked)), wait, proof)]
        if work.investigations > 0:
            changes += await self._runs.alerts.waits(vm, f"VM {vm.name} waits for its storage", text)
        await self._runs.now_ended(vm, permit, target, f"waiting for its storage: {text}"[:1000], proof, *changes)

    async def _find_out(self, work: Work, vm: Vm, permit: Permit, target: Host) -> None:
        if await self._runs.is_running(vm, target, permit.run_epoch):
            await self._running(work, vm, permit, target)
            return
        await self._runs.stop(vm, target, permit.run_epoch)
        text = f"run {permit.run_epoch} was revoked on host {target.name}, which had not confirmed its start"
        await self._give_back(work, vm, permit, target, text, host_report(target, text, permit.run_epoch))

    async def _give_back(self, work: Work, vm: Vm, permit: Permit, target: Host, why: str, proof: Json) -> None:
        """The run is over without having lived: try elsewhere, or end in Error with an alert (S10)."""
        settings = self._desk.inventory.settings
        tried = work.tried + 1
        event = self._desk.journal.event("VM.HA.FAILED", why, resource=vm.uuid, of="VirtualMachine", level="WARN")
        if tried >= settings.whole("vm.ha.migration.max.retries"):
            values = {"step": WorkStep.ERROR, "tried": tried, "finished": self._desk.journal.now()}
            text = f"{tried} starts failed, the last one: {why}. Mend the cause, then start the VM by hand"
            alert = self._desk.journal.alert(
                "ALERT.HA.RESTART.FAILED", f"VM {vm.name} could not be restarted", text, vm=vm
            )
            last = Update(Work, work.id, values, {"step": work.step})
            over = await self._runs.alerts.over(vm)
            await self._runs.now_ended(vm, permit, target, text, proof, last, event, *over, alert)
            return
        excluded = sorted({*json.loads(work.excluded or "[]"), target.id})
        wait = 0.0 if tried == 1 else settings.number("restart.retry.interval") * min(2 ** (tried - 2), 10)
        again = self._back(work, tried, as_json(excluded), wait, proof)
        await self._runs.now_ended(vm, permit, target, why, proof, again, event)

    def _back(self, work: Work, tried: int, excluded: Json, wait: float, proof: Json | None = None) -> Update:
        values: dict[str, object] = {
            "step": WorkStep.SCHEDULED, "tried": tried, "excluded": excluded, "target_host_id": None,
            "investigations": work.investigations, "time_to_try": Moment(self._desk.clock.wall() + wait),
        }  # fmt: skip
        if proof is not None:
            values["proof"] = proof
        return Update(Work, work.id, values, {"step": work.step})
