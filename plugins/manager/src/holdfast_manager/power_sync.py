"""Background power readings: what listHosts shows, and what tells an operator today that a BMC is dark.

A reading here never fences: the engine asks for its own when it doubts a host. An unchanged state is not written, and a
failure is an event once, when it begins, not at each poll.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Mapping, Sequence

from holdfast.adapter import offers
from holdfast.errors import AuthenticationFailed, DeadlineExceeded, HoldfastError, Unreachable
from holdfast.hooks.oobm import OobmDriver
from holdfast.model import Host, Oobm, PowerState
from holdfast.model.views import BmcView

from holdfast_manager.bmc_passwords import BmcPasswords
from holdfast_manager.claimed_twice import claimed_twice
from holdfast_manager.desk import Desk
from holdfast_manager.fence_devices import OPINIONS, words
from holdfast_manager.inventory import is_usable
from holdfast_manager.power_record import PowerRecord, Seen

log = logging.getLogger("holdfast.manager.power")

Device = tuple[int, int]
"""Host id and `oobm` row id."""

_SWEEPS = 4
"""Calls for many devices at once, of one driver; each may last as long as its darkest one."""


_MARGIN = 1.0
"""Seconds in which the answer of a driver that kept its deadline still gets through."""


class Lane:
    """Devices of one driver that are due. Those that were dark last time have a lane of their own, and delay nobody."""

    def __init__(self, driver: str, dark: bool) -> None:
        self.driver = driver
        self.dark = dark
        self.waiting: deque[tuple[float, Device]] = deque()
        self.workers = 0


class PowerSync:
    """Reads each owned host's fence devices once per interval, evenly spread.

    Drivers that can are asked for all that are due in one call; of the others as many at once as the pool has places.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.record = PowerRecord(desk)
        self.passwords = BmcPasswords(desk)
        self._due: list[tuple[float, Device]] = []
        self._known: set[Device] = set()
        self._dark: set[Device] = set()
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._enlisted: tuple[object, dict[str, int]] = (None, {})
        """The fence devices and the claims whose devices are all known here."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now, interval = self._desk.clock.monotonic(), self._interval()
            self._enlist(now, interval)
            await self._dispatch(now)
            await asyncio.sleep(min(interval / 10, 1.0))

    async def read_now(self, host_id: int) -> None:
        """Read one host's devices at once, because somebody waits to see it."""
        host = self._desk.inventory.hosts.get(host_id)
        if host is not None and not self._desk.inventory.oobm_problem(host):
            rows = [row for row in self._desk.inventory.fence_devices.get(host_id, ()) if is_usable(row)]
            await self.record.write(await asyncio.gather(*(self._ask_one(host, row) for row in rows)))

    def _interval(self) -> float:
        return self._desk.inventory.settings.number("outofbandmanagement.background.task.execution.interval")

    # --- who is due ------------------------------------------------------------------------------------------------

    def _enlist(self, now: float, interval: float) -> None:
        """Devices that are new here get their turn soon, but not all at once: after a start all of them are new."""
        devices, membership = self._desk.inventory.fence_devices, self._desk.membership
        if devices is self._enlisted[0] and membership.epochs == self._enlisted[1]:
            return
        self._enlisted = (devices, dict(membership.epochs)) if membership.holds() else (None, {})
        new: list[Device] = []
        for host_id, rows in devices.items():
            host = self._desk.inventory.hosts.get(host_id)
            fresh = [(host_id, row.id) for row in rows if (host_id, row.id) not in self._known]
            if fresh and host is not None and membership.owns(host.uuid):
                new += fresh
        spread = interval * min(1.0, 0.1 + len(new) / 1000)
        for device in new:
            self._known.add(device)
            heapq.heappush(self._due, (now + spread * self._desk.runtime.random(), device))

    def _find(self, device: Device) -> tuple[Host, Oobm] | None:
        """The device as the tables have it now; None if it is gone, or another server's."""
        host = self._desk.inventory.hosts.get(device[0])
        rows = self._desk.inventory.fence_devices.get(device[0], ())
        row = next((row for row in rows if row.id == device[1]), None)
        if host is None or row is None or not self._desk.membership.owns(host.uuid):
            return None
        return host, row

    async def _dispatch(self, now: float) -> None:
        """Put what is due into its lane, and see that each lane has somebody who works on it."""
        disabled = []
        while self._due and self._due[0][0] <= now:
            due, device = heapq.heappop(self._due)
            found = self._find(device)
            if found is None:
                self._forget(device)
            elif self._desk.inventory.oobm_problem(found[0]) or not is_usable(found[1]):
                disabled.append(Seen(*found, PowerState.DISABLED))
                self._again(due, device)
            else:
                key = (found[1].driver, device in self._dark)
                self._lanes.setdefault(key, Lane(*key)).waiting.append((due, device))
        if disabled:
            await self.record.write(disabled)
        for lane in self._lanes.values():
            if not lane.waiting:
                continue
            for _ in range(min(len(lane.waiting), self._most(lane) - lane.workers)):
                lane.workers += 1
                self._desk.spawn(self._work(lane))

    def _most(self, lane: Lane) -> int:
        if self._sweeps(lane.driver):
            return _SWEEPS
        most = self._desk.pool("oobm").limit
        return max(1, most // 2) if lane.dark else most

    def _sweeps(self, name: str) -> OobmDriver | None:
        """The driver, if it can be asked for many at once."""
        try:
            driver: OobmDriver = self._desk.plugins.driver("oobm", name)
        except HoldfastError:
            return None
        return driver if offers(OobmDriver, driver, "power_states") else None

    def _again(self, due: float, device: Device) -> None:
        if device in self._known:
            heapq.heappush(self._due, (max(due + self._interval(), self._desk.clock.monotonic()), device))

    def _forget(self, device: Device) -> None:
        self._known.discard(device)
        self._enlisted = (None, {})
        self._dark.discard(device)

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _work(self, lane: Lane) -> None:
        """Read what waits in the lane: all of it with one call, or one after the other."""
        try:
            while lane.waiting:
                sweeper = self._sweeps(lane.driver)
                count = len(lane.waiting) if sweeper else 1
                batch = [lane.waiting.popleft() for _ in range(count)]
                try:
                    await self._read(sweeper, batch)
                finally:
                    for due, device in batch:
                        self._again(due, device)
        finally:
            lane.workers -= 1

    async def _read(self, sweeper: OobmDriver | None, batch: Sequence[tuple[float, Device]]) -> None:
        there = {device: found for _, device in batch if (found := self._find(device)) is not None}
        if sweeper is not None:
            await self.record.write(self._claimed_twice(there))
        if not there:
            return
        if sweeper is not None:
            readings = await self._ask_all(sweeper, list(there.values()))
        else:
            readings = [await self._ask_one(*found) for found in there.values()]
        for device, seen in zip(there, readings, strict=True):
            is_dark = isinstance(seen.error, (Unreachable, DeadlineExceeded))
            (self._dark.add if is_dark else self._dark.discard)(device)
        await self.record.write(readings)
        for seen in readings:
            if seen.row.new_password is not None:
                await self._look_again(seen)

    def _claimed_twice(self, there: dict[Device, tuple[Host, Oobm]]) -> list[Seen]:
        """Take out of `there` what another host claims too: it is not asked."""
        found = []
        for device, (host, row) in list(there.items()):
            rival = claimed_twice(self._desk.inventory, host, row, self._desk.plugins.driver)
            if rival:
                found.append(Seen(host, row, PowerState.UNKNOWN, rival))
                del there[device]
        return found

    async def _look_again(self, seen: Seen) -> None:
        """A password waits beside the one that was just tried."""
        refused = isinstance(seen.error, AuthenticationFailed)
        if refused or seen.error is None:
            try:
                await self.passwords.look_again(seen.host, seen.row, refused)
            except HoldfastError as problem:
                log.info("which password host %s takes was not settled: %s", seen.host.name, problem)

    async def _ask_one(self, host: Host, row: Oobm) -> Seen:
        seconds = self._patience(host)
        rival = claimed_twice(self._desk.inventory, host, row, self._desk.plugins.driver)
        if rival:
            return Seen(host, row, PowerState.UNKNOWN, rival)
        try:
            bmc = self._desk.inventory.bmc_view(host, row)
            driver: OobmDriver = self._desk.plugins.driver("oobm", row.driver)
            return _seen(host, row, await self._desk.pool("oobm").call(seconds, driver.power_state, bmc, seconds))
        except Exception as problem:
            return _seen(host, row, problem)

    def _patience(self, host: Host) -> float:
        return self._desk.inventory.settings.number("kvm.ha.power.check.timeout", cluster=host.cluster_id)

    async def _ask_all(self, driver: OobmDriver, devices: Sequence[tuple[Host, Oobm]]) -> list[Seen]:
        """One call; a driver that fails as a whole leaves every device unknown."""
        asked: list[BmcView] = []
        unasked: dict[int, Exception] = {}
        for host, row in devices:
            try:
                asked.append(self._desk.inventory.bmc_view(host, row))
            except HoldfastError as problem:
                unasked[row.id] = problem
        seconds = max(self._interval(), *(self._patience(host) for host, _ in devices))
        answers: Mapping[str, object] = {}
        failure: Exception = HoldfastError("the driver gave no answer for this BMC")
        try:
            pool = self._desk.pool(f"oobm-sweep-{devices[0][1].driver}")
            answers = await pool.call(seconds + _MARGIN, driver.power_states, asked, seconds)
        except Exception as problem:
            failure = problem
        views = {(view.host_uuid, view.level, view.index): view.key for view in asked}
        return [
            _seen(
                host, row,
                unasked.get(row.id) or answers.get(views[host.uuid, row.level, row.device_index], failure),
            )
            for host, row in devices
        ]  # fmt: skip


def _seen(host: Host, row: Oobm, answer: object) -> Seen:
    """Only a plain on or off is a state (S2)."""
    if isinstance(answer, Exception):
        return Seen(host, row, PowerState.UNKNOWN, words(answer), answer)
    plain = isinstance(answer, PowerState) and answer in OPINIONS
    return Seen(host, row, answer if plain else PowerState.UNKNOWN)  # type: ignore[arg-type]
