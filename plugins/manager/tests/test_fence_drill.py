"""A fence drill proves a fence path on an empty host, touches no other, and leaves the host on."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from holdfast.hooks.store import Query
from holdfast.model import AsyncJob, Host, Oobm, ResourceState, Secret
from holdfast.model.states import GuestState
from holdfast.model.views import VmSpec
from holdfast_simulator.world.guests import Guest
from holdfast_simulator.world.physics import Physics
from manager_bed import PASSWORD, Bed, BmcMode

COMMAND, EVENT = "runFenceDrill", "HOST.OOBM.FENCE.DRILL"
STAGES = ["OFF accepted", "OFF proven", "agent silent", "ON accepted", "ON proven", "agent back"]


@pytest.fixture
def bed() -> Iterator[Bed]:
    """Three hosts; the first one is in maintenance and empty."""
    made = Bed()
    _maintain(made)
    yield made
    made.close()


def _maintain(bed: Bed) -> None:
    assert bed.outcome(bed.job("prepareHostForMaintenance", 1, id=1)).job_status == 1


def _drill(bed: Bed, **info: Any) -> int:
    return bed.job(COMMAND, 1, hostid=1, **info)


def _error(bed: Bed, job_id: int, seconds: float = 400.0) -> str:
    ended = bed.outcome(job_id, seconds)
    assert ended.job_status == 2, ended.job_result
    return str(json.loads(ended.job_result)["errortext"])


def test_it_tells_the_time_of_each_stage_and_leaves_an_event(bed: Bed) -> None:
    """The host was really off, and is back as it was: on, in maintenance, HA not excited."""
    boots = bed.machine("h1").boots
    ended = bed.outcome(_drill(bed))
    assert ended.job_status == 1, ended.job_result

    told = json.loads(ended.job_result)
    assert [one["stage"] for one in told["stages"]] == STAGES
    seconds = [one["seconds"] for one in told["stages"]]
    assert seconds == sorted(seconds)
    assert bed.machine("h1").boots == boots + 1
    assert [order.detail for order in bed.orders("h1")] == ["OFF", "ON"]
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    assert bed.state(1) == "Ineligible"
    assert "passed: OFF accepted" in bed.events(EVENT)[-1].description
    assert bed.events("HA.FENCE") == []
    bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))
    bed.run_until(lambda: bed.state(1) == "Available", 60)


def _enabled(bed: Bed) -> None:
    bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))


def _has_a_vm(bed: Bed) -> None:
    bed.add_vm("vm1", 1)


def _has_a_guest_that_nobody_knows(bed: Bed) -> None:
    spec = VmSpec("stray", "stray", "i-stray", 1, 1000, 512, "t1", "pool1")
    bed.machine("h1").book.guests["stray"] = Guest(spec, 1, GuestState.RUNNING, starting=False)


def _agent_dead(bed: Bed) -> None:
    bed.machine("h1").kill_agent()
    bed.run(5)


def _no_oobm(bed: Bed) -> None:
    (row,) = bed.store.select(Oobm, Query(equal={"host_id": 1}))
    bed.edit(Oobm, row.id, enabled=False)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_enabled, "is Enabled, not in Maintenance"),
        (_has_a_vm, "is not empty: vm1 may run there"),
        (_has_a_guest_that_nobody_knows, "VMs that no table knows: stray"),
        (_agent_dead, "nobody can tell whether it is empty"),
        (_no_oobm, "out-of-band management is disabled"),
    ],
)
def test_a_host_that_must_not_lose_its_power_is_refused(bed: Bed, prepare: Callable[[Bed], None], words: str) -> None:
    """With the reason, and without an order to any BMC."""
    prepare(bed)

    assert words in _error(bed, _drill(bed))
    assert bed.orders("h1") == []


def test_a_fenced_host_is_refused() -> None:
    """It is in Maintenance too, but by its fence."""
    bed = Bed(settings={"ha.power.on.after.fence": "false"})
    bed.machine("h1").power_off("test")
    bed.run_until(lambda: bed.state(1) == "Fenced", 60)

    assert "is Fenced" in _error(bed, _drill(bed))
    bed.close()


def test_a_level_that_does_not_exist_is_refused(bed: Bed) -> None:
    """Before anything is sent."""
    assert "has no fence level 4" in _error(bed, _drill(bed, level=4))
    assert bed.orders("h1") == []


def test_a_bmc_that_accepts_off_and_stays_on_fails_the_drill(bed: Bed) -> None:
    """That is what the drill is for. The host never went down, and the text says what was reached."""
    boots = bed.machine("h1").boots
    bed.machine("h1").bmc().set_mode(BmcMode.LYING)

    error = _error(bed, _drill(bed))

    assert "OFF was accepted, but not read back 3 times in a row" in error
    assert "Reached: OFF accepted" in error
    assert bed.machine("h1").boots == boots
    assert [event.level for event in bed.events(COMMAND)] == ["ERROR"]


def test_a_bmc_that_refuses_fails_the_drill(bed: Bed) -> None:
    """With the BMC's words."""
    bed.machine("h1").bmc().set_mode(BmcMode.REFUSING)
    assert "OFF was not accepted" in _error(bed, _drill(bed))
    assert bed.machine("h1").powered


def test_a_bmc_of_another_machine_is_found_out(bed: Bed) -> None:
    """It reads OFF as it should, but the host's agent goes on beating. The other machine gets its power back."""
    other = bed.machine("h2").bmc()
    bed.machine("h1").bmcs["1"] = other
    bed.edit(Host, 2, resource_state=ResourceState.MAINTENANCE)  # so that its silence is nobody's concern
    bed.run(5)

    error = _error(bed, _drill(bed))

    assert "this fence device switches another machine" in error
    assert bed.machine("h1").boots == 1
    assert bed.machine("h2").boots == 2
    assert bed.machine("h2").powered


def test_an_agent_that_does_not_come_back_fails_the_drill() -> None:
    """The power is fine; the machine wants somebody at its console."""
    bed = Bed(physics=Physics(host_boot=10_000.0))
    _maintain(bed)

    error = _error(bed, _drill(bed, timeout=60))

    assert "its agent is not back after 60 s" in error
    assert "ON proven" in error
    bed.close()


def test_a_host_that_cannot_be_switched_on_again_is_an_alert(bed: Bed) -> None:
    """Nobody should find it dark by chance."""
    job = _drill(bed)
    bed.run_until(lambda: not bed.machine("h1").powered, 30, step=0.01)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)

    error = _error(bed, job)

    assert "could not be switched on again" in error
    assert any("could not be switched on again" in alert.content for alert in bed.alerts("ALERT.COMPUTE.HOST"))


def test_each_level_is_tried_or_the_one_that_is_named(bed: Bed) -> None:
    """A fence that falls through to the second level should not be its first use."""
    bed.put(
        Oobm(
            host_id=1, enabled=True, driver="simulator", address="outlet-h1", port="161", username="admin",
            password=Secret(PASSWORD), level=2,
        )
    )  # fmt: skip
    bed.run(5)
    both = json.loads(bed.outcome(_drill(bed), 200).job_result)
    assert [one["level"] for one in both["stages"]] == [1] * 6 + [2] * 6
    assert "level 2: OFF accepted" in both["description"]

    one = json.loads(bed.outcome(_drill(bed, level=2), 200).job_result)
    assert {stage["level"] for stage in one["stages"]} == {2}


def test_maintenance_cannot_be_cancelled_while_it_runs(bed: Bed) -> None:
    """A VM that is started meanwhile would lose its power. Nor does a second drill begin."""
    job = _drill(bed)
    bed.run_until(lambda: not bed.machine("h1").powered, 30, step=0.01)

    assert "fence drill of host h1 is under way" in _error(bed, bed.job("cancelHostMaintenance", 1, id=1))
    assert "another fence drill of host h1 is under way" in _error(bed, _drill(bed))
    assert bed.outcome(job).job_status == 1


def test_a_drill_that_is_interrupted_at_any_step_leaves_the_host_on() -> None:
    """Its server dies, and comes back: the host is on again, and the job says what happened."""
    probe = Bed(servers=1)
    _maintain(probe)
    before = probe.lives["ms1"].process.steps
    probe.outcome(_drill(probe))
    steps = probe.lives["ms1"].process.steps - before
    probe.close()

    for step in range(1, steps, max(1, steps // 25)):
        bed = Bed(servers=1)
        _maintain(bed)
        job = _drill(bed)
        bed.crash_at("ms1", step)
        ended = bed.outcome(job, 600)
        bed.run(60)
        assert ended.job_status == 1 or "the host is on again" in str(ended.job_result), (step, ended.job_result)
        assert bed.machine("h1").condition == "up", step
        assert len(bed.orders("h1", "OFF")) <= 1
        bed.close()


def test_another_server_powers_the_host_on_when_the_first_one_dies(bed: Bed) -> None:
    """Whoever owns the host next finds the job."""
    job = _drill(bed)
    bed.run_until(lambda: not bed.machine("h1").powered, 30, step=0.01)
    bed.crash(bed.owner("h1"))

    assert "was interrupted while level 1 was being tried; the host is on again" in _error(bed, job)
    assert bed.machine("h1").powered
    assert [row.job_status for row in bed.store.select(AsyncJob, Query(equal={"job_cmd": COMMAND}))] == [2]


def test_of_two_drills_that_are_ordered_at_once_the_first_is_carried_out(bed: Bed) -> None:
    """They do not refuse each other."""
    first, second = _drill(bed), _drill(bed)
    assert "another fence drill of host h1 is under way" in _error(bed, second)
    ended = bed.outcome(first, 400.0)
    assert ended.job_status == 1, ended.job_result
    assert [order.detail for order in bed.orders("h1")] == ["OFF", "ON"]
