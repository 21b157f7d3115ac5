"""Background power readings: many with one call, dark BMCs out of the others' way, one event and one alert a day."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from holdfast.errors import AuthenticationFailed, HoldfastError, StoreUnavailable
from holdfast.hooks.oobm import OobmDriver
from holdfast.hooks.store import Change, Insert, Query
from holdfast.model import Alert, Oobm, PowerAction, PowerState
from holdfast.model.readiness import Readiness
from holdfast.model.views import BmcView
from manager_bed import Bed, BmcMode

INTERVAL = 10.0
DAY = 86400.0


class Watched(OobmDriver):
    """A driver that notes who was asked, when, and in which call; behind it is the real one."""

    def __init__(self, driver: Any, now: Callable[[], float]) -> None:
        self.driver, self.now = driver, now
        self.single: list[str] = []
        self.calls: list[list[str]] = []
        self.times: dict[str, list[float]] = {}
        self.failing = False

    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        self.single.append(bmc.host_uuid)
        return self._noted(bmc, self.driver.power_state(bmc, deadline))

    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        return str(self.driver.power_action(bmc, action, deadline))

    def readiness(self, bmc: BmcView, deadline: float) -> Readiness:
        """Not one of the readings that are counted here."""
        found: Readiness = self.driver.readiness(bmc, deadline)
        return found

    def _noted(self, bmc: BmcView, state: Any) -> Any:
        self.times.setdefault(bmc.key, []).append(self.now())
        return state

    def periods(self, host: str) -> list[float]:
        """Seconds between two readings of a host."""
        return [later - earlier for earlier, later in pairwise(self.times[host])]


class Sweeping(Watched):
    """The same, and it can be asked for many."""

    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> Mapping[str, PowerState | HoldfastError]:
        self.calls.append([bmc.host_uuid for bmc in bmcs])
        if self.failing:
            raise RuntimeError("the driver is broken")
        found = self.driver.power_states(bmcs, deadline)
        return {bmc.key: self._noted(bmc, found[bmc.key]) for bmc in bmcs}


@pytest.fixture
def watch(make_bed: Callable[..., Bed]) -> Callable[..., tuple[Bed, Watched]]:
    """Makes a bed with one server, and the driver through which it reads."""

    def make(kind: type[Watched], hosts: int = 40, **options: Any) -> tuple[Bed, Watched]:
        bed = make_bed(hosts=hosts, servers=1, settle=0, **options)
        hub: Any = bed.managers["ms1"].desk.plugins
        driver = kind(hub.driver("oobm", "simulator"), bed.loop.time)
        hub._drivers["oobm", "simulator"] = driver
        bed.run(30)
        return bed, driver

    return make


def test_many_are_read_with_one_call(watch: Callable[..., tuple[Bed, Sweeping]]) -> None:
    """Nobody is asked alone, each once per interval, and a round takes few calls."""
    bed, driver = watch(Sweeping)
    driver.single.clear()
    driver.calls.clear()
    bed.run(5 * INTERVAL)
    assert driver.single == []
    assert len(driver.calls) <= 5 * INTERVAL + 5
    assert max(len(call) for call in driver.calls) > 1
    assert {host for call in driver.calls for host in call} == {f"h{number}" for number in range(1, 41)}
    assert all(abs(period - INTERVAL) <= 1.2 for host in driver.times for period in driver.periods(host))


@pytest.mark.parametrize("kind", [Watched, Sweeping])
def test_dark_bmcs_delay_nobody(watch: Callable[..., tuple[Bed, Watched]], kind: type[Watched]) -> None:
    """A fifth of them is dark; the others' period stays within a fifth of the interval, whatever the driver can."""
    bed, driver = watch(kind, settings={"outofbandmanagement.sync.poolsize": "4"})
    dark = {f"h{number}" for number in range(1, 9)}
    for host in dark:
        bed.machine(host).bmc().set_mode(BmcMode.DEAD)
    bed.run(2 * INTERVAL)
    driver.times.clear()
    bed.run(10 * INTERVAL)
    bright = {f"h{number}" for number in range(1, 41)} - dark
    assert all(period <= 1.2 * INTERVAL for host in bright for period in driver.periods(host))
    assert all(len(driver.times[host]) >= 9 for host in bright)
    silent = bed.store.select(Oobm, Query(equal={"power_state": "Unknown"}))
    assert {row.problem.partition(":")[0] for row in silent} <= {"Unreachable", "DeadlineExceeded"}


def test_a_driver_that_fails_as_a_whole_leaves_all_unknown(watch: Callable[..., tuple[Bed, Sweeping]]) -> None:
    """With one event each, and not at each poll; when it works again all are known again."""
    bed, driver = watch(Sweeping, hosts=5)
    driver.failing = True
    bed.run(4 * INTERVAL)
    rows = bed.store.select(Oobm, Query())
    assert {row.power_state for row in rows} == {"Unknown"}
    assert {row.problem for row in rows} == {"the driver failed with RuntimeError"}
    assert len(bed.events("HOST.OOBM.POWERSTATE.TRANSITION")) == 5
    driver.failing = False
    bed.run(2 * INTERVAL)
    assert {row.power_state for row in bed.store.select(Oobm, Query())} == {"On"}


def _refuse(bed: Bed, host: str) -> None:
    bed.machine(host).bmc().set_mode(BmcMode.AUTH)


def test_refused_credentials_are_told_once_a_day(bed: Bed) -> None:
    """Also by the server that takes the host over, or is started again; the row says it all the time."""
    _refuse(bed, "h1")
    bed.run(60)
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
    row = bed.store.select(Oobm, Query(equal={"host_id": 1}))[0]
    assert (row.power_state, row.problem.partition(":")[0]) == ("Unknown", AuthenticationFailed.__name__)
    owner = bed.owner("h1")
    bed.crash(owner)
    bed.run(90)
    assert bed.owner("h1") != owner
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1


def test_refused_credentials_are_told_again_the_next_day(make_bed: Callable[..., Bed]) -> None:
    """As long as nobody has put them right, by the clock that people read."""
    bed = make_bed(servers=1)
    _refuse(bed, "h1")
    bed.run(30)
    bed.lives["ms1"].clock.skew += 0.9 * DAY
    bed.run(30)
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
    bed.lives["ms1"].clock.skew += 0.2 * DAY
    bed.run(30)
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 2


@pytest.mark.parametrize("away", ["reading", "writing"])
def test_refused_credentials_are_told_although_the_store_was_away_at_first(
    make_bed: Callable[..., Bed], caplog: pytest.LogCaptureFixture, away: str
) -> None:
    """What was not stored was not told, and is not put off until tomorrow; nor is it an error of the program."""
    bed = make_bed(servers=1)
    store = bed.lives["ms1"].store
    refused: list[object] = []

    def once(record: object) -> None:
        if record is Alert and not refused:
            refused.append(record)
            raise StoreUnavailable("no answer from the database")

    if away == "writing":

        def written(_number: int, changes: Sequence[Change]) -> None:
            for change in changes:
                once(type(change.row) if isinstance(change, Insert) else None)

        store.before_commit = written
    else:
        select = bed.managers["ms1"].desk.memory.select

        async def asked(record: Any, query: Query) -> Any:
            once(record)
            return await select(record, query)

        bed.managers["ms1"].desk.memory.select = asked  # type: ignore[method-assign]
    _refuse(bed, "h1")
    bed.run(60)
    assert refused
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
    assert "a task of the manager failed" not in caplog.text


def test_switching_it_lets_the_alert_be_told_again(bed: Bed) -> None:
    """Whoever enables it anew wants to know whether it works now."""
    _refuse(bed, "h1")
    bed.run(30)
    assert bed.outcome(bed.job("disableOutOfBandManagementForHost", 1, hostid=1)).job_status == 1
    assert bed.outcome(bed.job("enableOutOfBandManagementForHost", 1, hostid=1)).job_status == 1
    bed.run(30)
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 2


def test_an_order_that_is_refused_for_its_credentials_alerts_as_well(bed: Bed) -> None:
    """With its own text; and no second alert when the background finds out."""
    _refuse(bed, "h1")
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF"))
    assert (job.job_status, job.job_result_code) == (2, 530)
    assert "the BMC refuses the credentials: OFF at simulator bmc-h1: AuthenticationFailed" in job.job_result
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
    bed.run(30)
    assert len(bed.alerts("ALERT.OOBM.AUTHERROR")) == 1
