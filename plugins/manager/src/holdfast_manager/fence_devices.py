"""All fence devices of one host, in their levels: read together, and switched level by level. In a pool's thread only.

One that raises or hangs costs the others nothing but its own deadline.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from holdfast.engine.fence_levels import DeviceReading, host_power
from holdfast.errors import HoldfastError
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.provider import ActionOutcome
from holdfast.model import Host, Oobm, Opinion, PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast.runtime import Runtime

from holdfast_manager.claimed_twice import claimed_twice
from holdfast_manager.inventory import Inventory, is_usable

log = logging.getLogger("holdfast.manager.fence")

OPINIONS = {PowerState.OFF: Opinion.DEAD, PowerState.ON: Opinion.ALIVE}
_SHARE = 0.8
"""Of a reading's deadline, for one device of several: the rest is for the answer to get through."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one device said of the power: `state`, or in words why there is none; `error` if it raised."""

    row: Oobm
    state: PowerState
    problem: str = ""
    error: Exception | None = None

    @property
    def opinion(self) -> Opinion:
        """What that says of the host."""
        return OPINIONS.get(self.state, Opinion.UNKNOWN)

    @property
    def words(self) -> str:
        """For people: the device and its state."""
        told = f"is {self.state}" if self.state in OPINIONS else f"is not known ({self.problem or 'no plain answer'})"
        return f"{self.row.driver} {self.row.address} {told}"


def level_seconds(rows: Sequence[Oobm], total: float) -> dict[int, float]:
    """Level -> what it has to switch and to be read back, in order.

    A device's own timeout counts. Without one the last level has all of `total` (the fence timeout), and each before
    it a share, so that a dark device does not use up the time of those that would answer.
    """
    levels = sorted({row.level for row in rows})
    seconds = {}
    for level in levels:
        usual = total if level == levels[-1] else total / len(levels)
        seconds[level] = max(row.timeout or usual for row in rows if row.level == level)
    return seconds


def fence_seconds(rows: Sequence[Oobm], total: float) -> float:
    """The bound on one fence attempt through all levels; `total` is the fence timeout, which it is never below."""
    if len(rows) == 1 and not rows[0].timeout:
        return total
    return max(total, sum(level_seconds(rows, total).values()))


class FenceDevices:
    """The fence devices of a host. `pause` is the time between two readings, `reading` the deadline of one."""

    def __init__(
        self,
        host: Host,
        inventory: Inventory,
        runtime: Runtime,
        driver: Callable[[str, str], Any],
        *,
        reading: float,
        pause: float,
        may_act: Callable[[], bool] = lambda: True,
        rows: tuple[Oobm, ...] | None = None,
    ) -> None:
        """`rows` are those of them that are meant; all if it is None."""
        self._host = host
        self._inventory = inventory
        self._rows = inventory.fence_devices.get(host.id, ()) if rows is None else rows
        self._runtime = runtime
        self._driver = driver
        self._reading = reading
        self._pause = pause
        self._may_act = may_act
        self.refusals: list[tuple[Oobm, Exception]] = []
        """Devices that did not take an order, with what they raised."""

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, rows: Sequence[Oobm] | None = None) -> tuple[Opinion, tuple[Reading, ...]]:
        """Ask them all side by side. What the host's power is, and what each said; stops once that much is certain."""
        asked = self._rows if rows is None else tuple(rows)
        seconds = self._reading if len(self._rows) == 1 else self._reading * _SHARE
        calls = [partial(self._look, row, seconds) for row in asked]
        outcomes = self._together(seconds, calls, lambda found: _power(asked, found) is not None)
        certain = _power(asked, outcomes)
        missing = "the others were enough" if certain is not None else f"no answer within {seconds:g} s"
        readings = tuple(
            found if isinstance(found, Reading) else Reading(row, PowerState.UNKNOWN, missing)
            for row, found in zip(asked, outcomes, strict=True)
        )
        return certain or _power(asked, readings) or Opinion.UNKNOWN, readings

    def _look(self, row: Oobm, seconds: float) -> Reading:
        if not is_usable(row):
            return Reading(row, PowerState.UNKNOWN, "it is disabled" if row.driver else "it is not configured")
        rival = claimed_twice(self._inventory, self._host, row, self._driver)
        if rival:
            return Reading(row, PowerState.UNKNOWN, rival)
        try:
            bmc = self._view(row)
            driver: OobmDriver = self._driver("oobm", row.driver)
            state = driver.power_state(bmc, seconds)
        except Exception as trouble:
            return Reading(row, PowerState.UNKNOWN, words(trouble), trouble)
        return Reading(row, state if state in OPINIONS else PowerState.UNKNOWN, "")

    def _view(self, row: Oobm) -> BmcView:
        return self._inventory.bmc_view(self._host, row)

    def _together(
        self, seconds: float, calls: Sequence[Callable[[], Any]], enough: Callable[[Any], bool] | None = None
    ) -> list[Any]:
        if len(self._rows) == 1:
            # Nobody else would be kept waiting, and the caller has a deadline of its own.
            return [call() for call in calls]
        return self._runtime.together(seconds, calls, enough)

    # --- switching -----------------------------------------------------------------------------------------------

    def switch(self, action: PowerAction, total: float) -> ActionOutcome:
        """Send `action` to the host as a whole. Accepted proves nothing (S3).

        OFF goes to the first level, and to the next one where that fails, or does not read off in its time. ON goes to
        every device. The others go to the first level that takes them.
        """
        levels = [tuple(of_level) for _, of_level in groupby(self._rows, lambda row: row.level)]
        seconds = level_seconds(self._rows, total)
        if action is PowerAction.ON:
            return self._all_on(levels[::-1], seconds)
        problems: list[str] = []
        for rows in levels:
            last = rows is levels[-1]
            outcome = self._switch_level(rows, action, seconds[rows[0].level], settle=not last)
            if outcome.accepted:
                return ActionOutcome(True, "; ".join((*problems, outcome.detail)))
            problems.append(outcome.detail if len(levels) == 1 else f"level {rows[0].level}: {outcome.detail}")
        return ActionOutcome(False, "; ".join(problems))

    def _all_on(self, levels: Sequence[tuple[Oobm, ...]], seconds: dict[int, float]) -> ActionOutcome:
        """The last level first: a BMC behind an outlet that is off answers nobody."""
        outcomes = [self._send(rows, PowerAction.ON, seconds[rows[0].level]) for rows in levels]
        return ActionOutcome(
            all(outcome.accepted for outcome in outcomes), "; ".join(outcome.detail for outcome in outcomes[::-1])
        )

    def _switch_level(
        self, rows: tuple[Oobm, ...], action: PowerAction, seconds: float, *, settle: bool
    ) -> ActionOutcome:
        began = self._runtime.clock.monotonic()
        if len(rows) > 1 and action in (PowerAction.RESET, PowerAction.CYCLE):
            # Two supplies that are reset one by one never leave the host without power.
            off = self._switch_level(rows, PowerAction.OFF, seconds, settle=True)
            return self._send(rows, PowerAction.ON, seconds) if off.accepted else off
        outcome = self._send(rows, action, seconds)
        if action is not PowerAction.OFF or not settle or not outcome.accepted:
            return outcome
        problem = self._await_off(rows, began + seconds)
        return ActionOutcome(False, f"OFF was accepted, but {problem}") if problem else outcome

    def _await_off(self, rows: tuple[Oobm, ...], until: float) -> str:
        """Until all of a level read off; what they read instead, if they do not in time."""
        while True:
            _, readings = self.read(rows)
            if all(reading.opinion is Opinion.DEAD for reading in readings):
                return ""
            if self._runtime.clock.monotonic() + self._pause >= until:
                return "; ".join(reading.words for reading in readings if reading.opinion is not Opinion.DEAD)
            self._runtime.rest(self._pause)

    def _send(self, rows: Sequence[Oobm], action: PowerAction, seconds: float) -> ActionOutcome:
        calls = [partial(self._order, row, action, seconds) for row in rows]
        outcomes = self._together(seconds, calls)
        told = [
            found if isinstance(found, ActionOutcome) else ActionOutcome(False, self._silent(row, action, seconds))
            for row, found in zip(rows, outcomes, strict=True)
        ]
        good = all(outcome.accepted for outcome in told)
        return ActionOutcome(good, "; ".join(one.detail for one in told if one.accepted is good))

    def _order(self, row: Oobm, action: PowerAction, seconds: float) -> ActionOutcome:
        where = f"{action} at {row.driver} {row.address}"
        if not is_usable(row):
            return ActionOutcome(False, f"{where}: the device is disabled")
        rival = claimed_twice(self._inventory, self._host, row, self._driver)
        if rival:
            return ActionOutcome(False, f"{where}: {rival}")
        if not self._may_act():
            # Asked here and not only where the call was made: it may have waited for its turn until the lease was over.
            return ActionOutcome(False, f"{where}: not sent: the host, or the attempt, is no longer this server's")
        try:
            driver: OobmDriver = self._driver("oobm", row.driver)
            return ActionOutcome(True, str(driver.power_action(self._view(row), action, row.timeout or seconds)))
        except Exception as trouble:
            self.refusals.append((row, trouble))
            return ActionOutcome(False, f"{where}: {words(trouble)}")

    def _silent(self, row: Oobm, action: PowerAction, seconds: float) -> str:
        return f"{action} at {row.driver} {row.address}: no answer within {seconds:g} s"


def _power(rows: Sequence[Oobm], found: Sequence[Any]) -> Opinion | None:
    return host_power(
        [DeviceReading(row.level, None if one is None else _opinion(one)) for row, one in zip(rows, found, strict=True)]
    )


def _opinion(found: Any) -> Opinion:
    return found.opinion if isinstance(found, Reading) else Opinion.UNKNOWN


def words(problem: Exception) -> str:
    """What an exception says, if it is one of ours; only its kind if it is not, for it may carry anything."""
    if isinstance(problem, HoldfastError):
        return f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    log.warning("a driver broke its contract", exc_info=problem)
    return f"the driver failed with {type(problem).__name__}"
