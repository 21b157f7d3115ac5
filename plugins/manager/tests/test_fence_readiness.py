"""What would fail when a host has to be fenced is told before that, once, and taken back when it is well again."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from holdfast.hooks.store import Delete, Query
from holdfast.model import Alert, Oobm, Secret
from manager_bed import Bed, BmcMode

ALERT, EVENT = "ALERT.OOBM.NOTREADY", "HOST.OOBM.READINESS"


@pytest.fixture
def bed() -> Iterator[Bed]:
    """Three hosts, looked at every minute."""
    made = Bed(settings={"outofbandmanagement.readiness.interval": "60", "outofbandmanagement.readiness.timeout": "5"})
    yield made
    made.close()


def _row(bed: Bed, host: int = 1) -> Oobm:
    return bed.store.select(Oobm, Query(equal={"host_id": host}, order=("level", "device_index")))[0]


def _open(bed: Bed) -> list[Alert]:
    return [alert for alert in bed.alerts(ALERT) if alert.resolved is None]


def test_paths_that_are_well_are_ready_and_nothing_is_said(bed: Bed) -> None:
    """Each device of each host, soon after the start; no order reaches a BMC."""
    assert [_row(bed, host).readiness for host in (1, 2, 3)] == ["Ready"] * 3
    assert bed.alerts(ALERT) == []
    assert bed.events(EVENT) == []
    assert bed.orders("h1") == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [(BmcMode.DEAD, "no answer"), (BmcMode.AUTH, "AuthenticationFailed"), (BmcMode.REFUSING, "may not switch power")],
)
def test_what_would_fail_is_told_once_and_taken_back(bed: Bed, mode: BmcMode, words: str) -> None:
    """In the row, in one alert and in one event; however long it lasts, and though readings may work."""
    bed.machine("h1").bmc().set_mode(mode)
    bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
    assert words in _row(bed).readiness_detail
    bed.run(600)

    [alert] = bed.alerts(ALERT)
    assert (alert.subject, alert.resource_id) == ("the fence path of host h1 is not ready", "h1")
    assert words in alert.content
    assert [event.level for event in bed.events(EVENT)] == ["WARN"]

    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: _row(bed).readiness == "Ready", 120)
    assert _row(bed).readiness_detail == ""
    assert _open(bed) == []
    assert [event.level for event in bed.events(EVENT)] == ["WARN", "INFO"]


def test_it_is_told_again_when_it_happens_again(bed: Bed) -> None:
    """A closed alert stays closed."""
    for _ in range(2):
        bed.machine("h1").bmc().set_mode(BmcMode.AUTH)
        bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
        bed.machine("h1").bmc().set_mode(BmcMode.OK)
        bed.run_until(lambda: _row(bed).readiness == "Ready", 120)
    assert len(bed.alerts(ALERT)) == 2
    assert _open(bed) == []


def test_one_silence_is_no_alarm(bed: Bed) -> None:
    """A BMC that restarts while it is looked at is looked at again before anything is said."""
    asked: list[float] = []
    real = bed.machine("h1").bmc().examine

    def silent_once(reply: object, password: Secret) -> None:
        asked.append(bed.loop.time())
        if len(asked) > 1:
            real(reply, password)  # type: ignore[arg-type]

    bed.machine("h1").bmc().examine = silent_once  # type: ignore[method-assign]
    bed.run_until(lambda: len(asked) >= 2, 150)
    bed.run(5)

    assert asked[1] - asked[0] < 30
    assert _row(bed).readiness == "Ready"
    assert bed.alerts(ALERT) == []


def test_a_bmc_that_stays_dark_is_asked_ever_less_and_soon_when_it_is_back(bed: Bed) -> None:
    """The background readings tell that it is back."""
    asked: list[float] = []
    bmc = bed.machine("h1").bmc()
    real = bmc.examine

    def counted(reply: object, password: Secret) -> None:
        asked.append(bed.loop.time())
        real(reply, password)  # type: ignore[arg-type]

    bmc.examine = counted  # type: ignore[method-assign]
    bmc.set_mode(BmcMode.DEAD)
    bed.run(1500)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert max(pauses) > 200
    assert len(asked) < 14

    bmc.set_mode(BmcMode.OK)
    assert bed.run_until(lambda: _row(bed).readiness == "Ready", 240) < 30


def test_what_was_configured_anew_is_looked_at_at_once(bed: Bed) -> None:
    """The operator who mends a password wants to see it now."""
    good = Secret("another-password")
    bed.machine("h1").bmc().accept_only(good)
    bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
    bed.run(30)
    row = _row(bed)
    bed.edit(Oobm, row.id, password=good, update_count=row.update_count + 1)

    assert bed.run_until(lambda: _row(bed).readiness == "Ready", 60) < 10
    assert _open(bed) == []


def test_that_a_new_device_is_well_is_told_where_the_old_one_was_not(bed: Bed) -> None:
    """Whoever heard that the path is not ready hears that it is."""
    bed.machine("h1").bmc().set_mode(BmcMode.AUTH)
    bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    row = _row(bed)
    bed.edit(Oobm, row.id, readiness="", readiness_detail="", update_count=row.update_count + 1)
    bed.run_until(lambda: _row(bed).readiness == "Ready", 60)
    assert _open(bed) == []
    assert [event.level for event in bed.events(EVENT)] == ["WARN", "INFO"]


def test_a_device_that_is_switched_off_has_no_readiness(bed: Bed) -> None:
    """Its alert is closed: nobody expects it to work."""
    bed.machine("h1").bmc().set_mode(BmcMode.AUTH)
    bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
    bed.edit(Oobm, _row(bed).id, enabled=False)

    bed.run_until(lambda: _row(bed).readiness == "", 120)
    assert _open(bed) == []


def test_each_device_has_its_own_alert(bed: Bed) -> None:
    """Two levels: the host could still be fenced by the other."""
    (second,) = bed.put(
        Oobm(
            host_id=1, enabled=True, driver="simulator", address="outlet-h1", port="161", username="admin",
            password=Secret("correct-horse-battery"), level=2,
        )
    )  # fmt: skip
    bed.machine("h1").bmc("2").set_mode(BmcMode.REFUSING)
    bed.run_until(lambda: bool(_open(bed)), 120)

    [alert] = _open(bed)
    assert alert.subject == "the fence path of host h1 (device 0 of level 2) is not ready"
    found = bed.store.get(Oobm, second)
    assert found is not None
    assert (found.readiness, _row(bed).readiness) == ("NotReady", "Ready")


def test_a_device_that_is_removed_leaves_no_open_alert(bed: Bed) -> None:
    """Nobody could close it any more."""
    (second,) = bed.put(
        Oobm(
            host_id=1, enabled=True, driver="simulator", address="outlet-h1", port="161", username="admin",
            password=Secret("correct-horse-battery"), level=2,
        )
    )  # fmt: skip
    bed.machine("h1").bmc("2").set_mode(BmcMode.REFUSING)
    bed.run_until(lambda: bool(_open(bed)), 120)
    bed.store.commit([Delete(Oobm, second)])

    bed.run_until(lambda: not _open(bed), 30)
    assert _row(bed).readiness == "Ready"


def test_a_driver_that_is_not_there_is_not_ready(bed: Bed) -> None:
    """Somebody uninstalled it, or misspelt it in the table."""
    bed.edit(Oobm, _row(bed).id, driver="ilo", update_count=7)

    bed.run_until(lambda: _row(bed).readiness == "NotReady", 60)
    assert "'ilo'" in _row(bed).readiness_detail


def test_a_host_in_doubt_is_left_alone(bed: Bed) -> None:
    """A look never stands before a reading that the engine waits for."""
    asked: list[str] = []
    bmc = bed.machine("h1").bmc()
    real = bmc.examine

    def noted(reply: object, password: Secret) -> None:
        asked.append(str(bed.state(1)))
        real(reply, password)  # type: ignore[arg-type]

    bmc.examine = noted  # type: ignore[method-assign]
    bed.setting("outofbandmanagement.readiness.interval", "10")
    for _ in range(8):
        bed.machine("h1").kill_agent()
        bed.run(20)
        bed.machine("h1").start_agent()
        bed.run(20)

    assert asked
    assert set(asked) <= {"Available", "Ineligible"}


def test_another_server_goes_on_with_it(bed: Bed) -> None:
    """The alert that the first one gave is not given twice, and is closed by the second."""
    bed.machine("h1").bmc().set_mode(BmcMode.AUTH)
    bed.run_until(lambda: _row(bed).readiness == "NotReady", 120)
    bed.crash(bed.owner("h1"))
    bed.run(300)
    assert len(bed.alerts(ALERT)) == 1

    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: _row(bed).readiness == "Ready", 180)
    assert _open(bed) == []


def test_an_explanation_tells_when_it_was_looked_at(bed: Bed) -> None:
    """By the server that looks."""
    told = bed.managers[bed.owner("h1")].explain_host("h1")
    [path] = told["fencepaths"]
    assert (path["level"], path["index"], path["driver"], path["readiness"]) == (1, 0, "simulator", "Ready")
    assert 0 <= path["age"] <= 70
