"""Background power readings: what listHosts shows, and what tells an operator today that a BMC is dark.

A reading here never fences: the engine asks for its own when it doubts a host. An unchanged state is not written, and a
failure is an event once, when it begins, not at each poll.
"""

import asyncio
import heapq
import logging

from holdfast.errors import AuthenticationFailed, HoldfastError
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.store import Change, Update
from holdfast.model import Host, Oobm, PowerState
from holdfast.model.views import BmcView

from holdfast_manager.desk import Desk

log = logging.getLogger("holdfast.manager.power")

_DAY = 86400.0


class PowerSync:
    """Reads each owned host's power once per interval, evenly spread, as many at once as the pool has places."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._due: list[tuple[float, int]] = []
        self._known: set[int] = set()
        self._workers = 0
        self._alerted: dict[int, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now = self._desk.clock.monotonic()
            interval = self._interval()
            self._enlist(now, interval)
            most = self._desk.pool("oobm").limit
            waiting = sum(1 for due, _ in self._due[:most] if due <= now)
            for _ in range(min(waiting, most - self._workers)):
                self._workers += 1
                self._desk.spawn(self._work())
            await asyncio.sleep(min(interval / 10, 1.0))

    async def read_now(self, host_id: int) -> None:
        """Read one host's power at once, because somebody waits to see it."""
        host, row = self._desk.inventory.hosts.get(host_id), self._desk.inventory.oobm.get(host_id)
        if host is not None and row is not None and not self._desk.inventory.oobm_problem(host):
            await self._read(host, row)

    def _interval(self) -> float:
        return self._desk.inventory.settings.number("outofbandmanagement.background.task.execution.interval")

    def _enlist(self, now: float, interval: float) -> None:
        """Hosts that are new here get their turn soon, but not all at once: after a start all of them are new."""
        new = []
        for host_id in self._desk.inventory.oobm:
            host = self._desk.inventory.hosts.get(host_id)
            if host_id not in self._known and host is not None and self._desk.membership.owns(host.uuid):
                new.append(host_id)
        spread = interval * min(1.0, 0.1 + len(new) / 1000)
        for host_id in new:
            self._known.add(host_id)
            heapq.heappush(self._due, (now + spread * self._desk.runtime.random(), host_id))

    async def _work(self) -> None:
        """Read one host after the other as long as any is due."""
        try:
            while self._due and self._due[0][0] <= self._desk.clock.monotonic():
                due, host_id = heapq.heappop(self._due)
                await self._one(host_id)
                again = max(due + self._interval(), self._desk.clock.monotonic())
                if host_id in self._known:
                    heapq.heappush(self._due, (again, host_id))
        finally:
            self._workers -= 1

    async def _one(self, host_id: int) -> None:
        host, row = self._desk.inventory.hosts.get(host_id), self._desk.inventory.oobm.get(host_id)
        if host is None or row is None or not self._desk.membership.owns(host.uuid):
            self._known.discard(host_id)
        elif not self._desk.inventory.oobm_problem(host):
            await self._read(host, row)
        elif row.power_state != PowerState.DISABLED:
            await self._store(host, row, PowerState.DISABLED, "", ())

    async def _read(self, host: Host, row: Oobm) -> None:
        bmc = self._desk.inventory.bmc_view(host)
        if bmc is not None:
            state, problem, changes = await self._look(host, bmc)
            if state != row.power_state or problem != row.problem:
                await self._store(host, row, state, problem, changes)

    async def _look(self, host: Host, bmc: BmcView) -> tuple[PowerState, str, tuple[Change, ...]]:
        seconds = self._desk.inventory.settings.number("kvm.ha.power.check.timeout", cluster=host.cluster_id)
        try:
            driver: OobmDriver = self._desk.plugins.driver("oobm", bmc.driver)
            state = await self._desk.pool("oobm").call(seconds, driver.power_state, bmc, seconds)
        except AuthenticationFailed as problem:
            return PowerState.UNKNOWN, f"AuthenticationFailed: {problem}", self._auth_alert(host)
        except HoldfastError as problem:
            return PowerState.UNKNOWN, f"{type(problem).__name__}: {problem}"[:250], ()
        except Exception as problem:
            log.exception("OOBM driver %s failed", bmc.driver)
            return PowerState.UNKNOWN, f"the driver failed with {type(problem).__name__}", ()
        return state if state in (PowerState.ON, PowerState.OFF) else PowerState.UNKNOWN, "", ()

    def _auth_alert(self, host: Host) -> tuple[Change, ...]:
        now = self._desk.clock.monotonic()
        if now - self._alerted.get(host.id, -_DAY) < _DAY:
            return ()
        self._alerted[host.id] = now
        text = f"the BMC of host {host.name} refuses the configured credentials: fencing it would fail"
        return (self._desk.journal.alert("ALERT.OOBM.AUTHERROR", text, text, host),)

    async def _store(self, host: Host, row: Oobm, state: PowerState, problem: str, changes: tuple[Change, ...]) -> None:
        values = {"power_state": state, "problem": problem, "update_time": self._desk.journal.now()}
        written: list[Change] = [Update(Oobm, row.id, values), *changes]
        if state == PowerState.UNKNOWN and row.power_state != PowerState.UNKNOWN:
            text = f"power state of host {host.name}: {row.power_state} -> Unknown: {problem or 'no plain answer'}"
            written.append(
                self._desk.journal.event("HOST.OOBM.POWERSTATE.TRANSITION", text, resource=host.uuid, level="WARN")
            )
        try:
            await self._desk.memory.commit(written)
        except HoldfastError as trouble:
            log.info("power state of host %s was not stored: %s", host.name, trouble)
