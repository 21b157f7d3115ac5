"""Standing readiness: every fence device is looked at from time to time as a fence would meet it, harmlessly.

What would fail at 3 a.m. is told today. A look never fences and never decides; hosts in doubt are left alone, so that a
look never stands before the reading or the cut that the engine waits for.
"""

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Any

from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast.hooks.oobm import OobmDriver
from holdfast.model import Host, Oobm
from holdfast.model.readiness import Readiness

from holdfast_manager.claimed_twice import claimed_twice
from holdfast_manager.desk import Desk
from holdfast_manager.fence_devices import words
from holdfast_manager.inventory import is_usable
from holdfast_manager.readiness_record import ReadinessRecord

log = logging.getLogger("holdfast.manager.readiness")

POOL = "oobm-readiness"
_TICK_SECONDS = 2.0
_CONFIRM_SECONDS = 15.0
"""One silence may be a lost packet or a BMC that restarts; it counts when the next look meets it too."""
_LONGEST_BACK_OFF = 4
"""A BMC that stays dark is looked at so many times less often. The background readings tell when it is back."""
_NEW_PER_SECOND = 50.0
_DARK_SHARE = 4
"""Looks at dark BMCs, which last as long as they may, take no more than this part of the places."""
_MARGIN = 1.0


@dataclass(slots=True)
class _Watch:
    """One device. `version` is what was configured when it was last planned; `dark` counts silences in a row."""

    host: Host
    row: Oobm
    due: float
    version: tuple[Any, ...]
    dark: int = 0
    read_dark: bool = False
    checked_at: float | None = None
    busy: bool = False


class FenceReadiness:
    """Looks at the fence devices of the hosts that this server owns. Event loop only."""

    def __init__(self, desk: Desk, record: ReadinessRecord) -> None:
        self._desk = desk
        self._record = record
        self._watches: dict[int, _Watch] = {}
        """By `oobm` row id."""
        self._swept: tuple[object, dict[str, int]] = (None, {})
        """Devices and claims of the last sweep: while they stay the same, nothing is due before `_next_due`."""
        self._next_due = -math.inf

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._sweep(self._desk.clock.monotonic())
            await asyncio.sleep(_TICK_SECONDS)

    def told(self, host: Host) -> list[dict[str, Any]]:
        """The host's fence paths for an explanation: what was found, and how many seconds ago it was looked at."""
        now, found = self._desk.clock.monotonic(), []
        for row in self._desk.inventory.fence_devices.get(host.id, ()):
            watch = self._watches.get(row.id)
            checked = watch.checked_at if watch else None
            path: dict[str, Any] = {
                "level": row.level, "index": row.device_index, "driver": row.driver, "address": row.address,
                "readiness": row.readiness, "detail": row.readiness_detail,
            }  # fmt: skip
            found.append(path if checked is None else path | {"age": round(now - checked, 1)})
        return found

    # --- whose turn it is ------------------------------------------------------------------------------------------

    def _sweep(self, now: float) -> None:
        inventory, membership = self._desk.inventory, self._desk.membership
        claims = membership.epochs if membership.holds() else {}
        same = inventory.fence_devices is self._swept[0] and claims == self._swept[1]
        if same and now < self._next_due:
            return
        self._swept = (inventory.fence_devices, dict(claims))
        seen: set[int] = set()
        fresh: list[_Watch] = []
        due: list[tuple[float, Host, Oobm, _Watch]] = []
        for host_id, rows in inventory.fence_devices.items():
            host = inventory.hosts.get(host_id)
            if host is None or host.uuid not in claims:
                continue
            for row in rows:
                seen.add(row.id)
                watch = self._watch(host, row, now, fresh)
                if not watch.busy and watch.due <= now and not self._in_doubt(host):
                    due.append((watch.due, host, row, watch))
        self._spread(fresh, now)
        self._let_go(seen)
        self._take(sorted(due, key=lambda one: one[0]))
        self._next_due = min((watch.due for watch in self._watches.values() if not watch.busy), default=math.inf)

    def _let_go(self, seen: set[int]) -> None:
        """Of devices that are another server's now, and of those that were removed: what was said is over."""
        for row_id in [one for one, watch in self._watches.items() if one not in seen and not watch.busy]:
            watch = self._watches.pop(row_id)
            if watch.host.id not in self._desk.inventory.hosts or self._desk.membership.owns(watch.host.uuid):
                self._desk.spawn(self._record.forget(watch.host, watch.row))

    def _watch(self, host: Host, row: Oobm, now: float, fresh: list[_Watch]) -> _Watch:
        version = (row.update_count, row.enabled, row.driver, row.address, row.port, row.username)
        watch = self._watches.get(row.id)
        if watch is None:
            watch = self._watches[row.id] = _Watch(host, row, float("inf"), version)
            fresh.append(watch)
        elif watch.version != version:
            watch.version, watch.due, watch.dark, watch.read_dark = version, now, 0, False
        elif watch.dark and row.problem:
            watch.read_dark = True
        elif watch.dark and watch.read_dark:
            # The background readings get through again: say soon that the path is well.
            watch.due, watch.read_dark = min(watch.due, now), False
        watch.host, watch.row = host, row
        return watch

    def _spread(self, fresh: list[_Watch], now: float) -> None:
        """After a start all devices are new: evenly, and within one interval."""
        seconds = min(len(fresh) / _NEW_PER_SECOND, self._interval())
        for place, watch in enumerate(fresh):
            watch.due = now + seconds * place / len(fresh)

    def _interval(self) -> float:
        return self._desk.inventory.settings.number("outofbandmanagement.readiness.interval")

    def _in_doubt(self, host: Host) -> bool:
        return not self._desk.is_undoubted(host)

    def _take(self, due: list[tuple[float, Host, Oobm, _Watch]]) -> None:
        limit = self._desk.pool(POOL).limit
        busy = [watch for watch in self._watches.values() if watch.busy]
        places, dark_places = limit - len(busy), max(1, limit // _DARK_SHARE) - sum(watch.dark > 0 for watch in busy)
        for _, host, row, watch in due:
            if places <= 0:
                return
            if watch.dark and dark_places <= 0:
                continue
            places, dark_places = places - 1, dark_places - (watch.dark > 0)
            watch.busy = True
            self._desk.spawn(self._look(host, row, watch))

    # --- looking -----------------------------------------------------------------------------------------------------

    async def _look(self, host: Host, row: Oobm, watch: _Watch) -> None:
        interval = self._interval()
        try:
            if self._desk.inventory.oobm_problem(host) or not is_usable(row):
                watch.due, watch.dark = self._desk.clock.monotonic() + interval, 0
                await self._record.clear(host, row)
                return
            changing = self._desk.changing_passwords
            found, silent = (None, False) if row.id in changing else await self._examine(host, row)
            if found is None or row.id in changing:
                watch.due = self._desk.clock.monotonic() + _CONFIRM_SECONDS
                return
            watch.checked_at = self._desk.clock.monotonic()
            watch.dark = watch.dark + 1 if silent else 0
            watch.due = watch.checked_at + self._pause(watch, interval)
            if watch.dark != 1:
                await self._record.write(host, row, found)
        finally:
            watch.busy = False
            self._swept = (None, {})  # the next sweep compares what was found with the background readings

    def _pause(self, watch: _Watch, interval: float) -> float:
        if watch.dark == 1:
            return min(_CONFIRM_SECONDS, interval)
        return interval * min(2.0 ** max(0, watch.dark - 2), _LONGEST_BACK_OFF)

    async def _examine(self, host: Host, row: Oobm) -> tuple[Readiness, bool]:
        """What was found, and whether that is silence."""
        seconds = self._desk.inventory.settings.number("outofbandmanagement.readiness.timeout")
        rival = claimed_twice(self._desk.inventory, host, row, self._desk.plugins.driver)
        if rival:
            return Readiness(problems=(rival,)), False
        try:
            driver: OobmDriver = self._desk.plugins.driver("oobm", row.driver)
            bmc = self._desk.inventory.bmc_view(host, row)
            found: object = await self._desk.pool(POOL).call(seconds + _MARGIN, driver.readiness, bmc, seconds)
        except Exception as problem:
            return Readiness(problems=(words(problem),)), isinstance(problem, (Unreachable, DeadlineExceeded))
        if not isinstance(found, Readiness):
            log.error("OOBM driver %s: readiness gave %s", row.driver, type(found).__name__)
            return Readiness(problems=(f"driver {row.driver} gave no readiness; its log has more",)), False
        return found, False
