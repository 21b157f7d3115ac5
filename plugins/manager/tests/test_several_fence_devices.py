"""Hosts with a BMC and switched outlets behind it, or with two supplies: fenced, switched by order, on again."""

import json
from collections.abc import Callable

import pytest
from holdfast.errors import AuthenticationFailed, Unreachable
from holdfast.hooks.store import Delete, Query
from holdfast.model import HAState, Json, Oobm, PowerAction, PowerState, Secret
from holdfast.model.views import BmcView
from holdfast_simulator.world.outlet import Outlet
from holdfast_simulator.world.physics import Physics
from manager_bed import PASSWORD, Bed, BmcMode

UNARMED = Physics(watchdog_armed=False)


def wire(bed: Bed, host: int, level: int, outlets: int) -> None:
    """Give a host so many switched outlets as a fence level, in the world and in the tables."""
    name = bed.host(host).uuid
    bed.machine(name).wire(level, outlets)
    for index in range(outlets):
        bed.put(
            Oobm(
                host_id=host, enabled=True, driver="simulator", address=f"outlet{index}-{name}", port="161",
                username="admin", password=Secret(PASSWORD), power_state=PowerState.UNKNOWN, level=level,
                device_index=index, options=Json(f'{{"outlets": "{outlets}"}}'),
            )
        )  # fmt: skip


def unplug_bmc(bed: Bed, host: int) -> None:
    """The host has no BMC: its outlets are level 1."""
    (row,) = bed.store.select(Oobm, Query(equal={"host_id": host}))
    bed.store.commit([Delete(Oobm, row.id)])
    bed.machine(bed.host(host).uuid).bmcs.clear()


def outlets(bed: Bed, host: str) -> list[bool]:
    """Which of the host's outlets are live."""
    return [device.live for device in bed.machine(host).bmcs.values() if isinstance(device, Outlet)]


def devices(bed: Bed, host: int) -> list[Oobm]:
    """The host's rows."""
    return bed.store.select(Oobm, Query(equal={"host_id": host}, order=("level", "device_index")))


@pytest.fixture
def two_levels(make_bed: Callable[..., Bed]) -> Bed:
    """Host 1 has a BMC and two outlets behind it; no watchdog is armed, so that only power proves anything."""
    bed = make_bed(physics=UNARMED, settle=0)
    wire(bed, 1, 2, 2)
    bed.run(10)
    bed.add_vms(2)
    return bed


@pytest.fixture
def two_supplies(make_bed: Callable[..., Bed]) -> Bed:
    """Host 1 has two outlets and no BMC."""
    bed = make_bed(physics=UNARMED, settle=0)
    unplug_bmc(bed, 1)
    wire(bed, 1, 1, 2)
    bed.run(10)
    bed.add_vms(2)
    return bed


@pytest.mark.parametrize("mode", [BmcMode.LYING, BmcMode.REFUSING, BmcMode.DEAD, BmcMode.AUTH])
def test_outlets_fence_a_host_whose_bmc_does_not(two_levels: Bed, mode: BmcMode) -> None:
    """Within one attempt, and within 20 s of the hang, whatever the BMC does; then the host comes back."""
    bed = two_levels
    bed.machine("h1").bmc().set_mode(mode)
    bed.machine("h1").hang()
    took = bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    assert took <= 20
    assert [event for event in bed.transitions(1) if event[1] == "RetryFencing"] == []
    bed.check_once()
    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: outlets(bed, "h1") == [True, True] and bed.machine("h1").condition == "up", 60)


@pytest.mark.parametrize("supplies", [1, 2])
def test_an_order_says_which_device_is_dark(
    make_bed: Callable[..., Bed], supplies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not only that time ran out, though it takes a moment for that to get through."""
    bed = make_bed(settle=0)
    for life in bed.lives.values():

        def late(bmc: BmcView, _action: PowerAction, deadline: float) -> str:
            if bmc.index < supplies - 1:
                return "accepted"
            bed.site.time.sleep(deadline + 0.1)
            raise Unreachable("it is dark")

        monkeypatch.setattr(life.oobm, "power_action", late)
    unplug_bmc(bed, 1)
    wire(bed, 1, 1, supplies)
    bed.run(10)
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF", timeout=4))
    assert job.job_status == 2
    assert f"OFF at simulator outlet{supplies - 1}-h1: " in job.job_result


def test_what_was_read_is_not_told_of_a_device_that_was_configured_meanwhile(
    make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that is on its way goes to the old one, and its OFF says nothing of the new one."""
    bed = make_bed(settings={"outofbandmanagement.background.task.execution.interval": "3600"})
    (device,) = devices(bed, 1)
    for life in bed.lives.values():

        def slow(_bmc: BmcView, _action: PowerAction, _deadline: float) -> str:
            bed.site.time.sleep(5)
            bed.machine("h1").power_off("by order")
            return "accepted"

        monkeypatch.setattr(life.oobm, "power_action", slow)
    job = bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF", timeout=20)
    bed.run(3)
    bed.edit(Oobm, device.id, address="192.0.2.7", update_count=device.update_count + 1)
    assert '"powerstate":"Off"' in bed.outcome(job).job_result.replace(" ", "")
    assert devices(bed, 1)[0].power_state == "On"


def test_a_bmc_that_works_leaves_the_outlets_alone(two_levels: Bed) -> None:
    """They are the next level, not a second blow."""
    bed = two_levels
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 10)
    assert outlets(bed, "h1") == [True, True]
    assert len(bed.orders("h1", "OFF")) == 1
    bed.check_once()


def test_dark_outlets_do_not_slow_down_a_bmc_that_works(two_levels: Bed) -> None:
    """What the second level says is not waited for once the first one is proven off."""
    bed = two_levels
    for index in ("2", "2.1"):
        bed.machine("h1").bmc(index).set_mode(BmcMode.DEAD)
    bed.machine("h1").power_off("power loss")
    assert bed.run_until(lambda: bed.runs_elsewhere(1), 20) <= 6.5


def test_both_supplies_must_be_off(two_supplies: Bed) -> None:
    """They are cut at once, and that is proof."""
    bed = two_supplies
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 10)
    bed.check_once()
    bed.run_until(lambda: outlets(bed, "h1") == [True, True], 60)


@pytest.mark.parametrize("mode", [BmcMode.LYING, BmcMode.REFUSING, BmcMode.DEAD])
def test_one_supply_that_stays_on_proves_nothing(two_supplies: Bed, mode: BmcMode) -> None:
    """The host runs on it and writes: nothing starts elsewhere, and the device is named to whoever asks."""
    bed = two_supplies
    bed.machine("h1").bmc("1.1").set_mode(mode)
    bed.machine("h1").hang()
    bed.run(200)
    assert bed.state(1) == HAState.FENCING
    assert bed.machine("h1").powered
    assert bed.starts("vm1") == []
    assert "outlet1-h1" in bed.ha(1).waiting_for
    assert "outlet1-h1" in bed.alerts("ALERT.HA.FENCE.STUCK")[0].content
    bed.machine("h1").bmc("1.1").set_mode(BmcMode.OK)
    bed.run_until(lambda: bed.runs_elsewhere(1), 90)
    bed.check_once()


def test_outlets_of_another_host_prove_nothing(two_levels: Bed) -> None:
    """Somebody wrote down the wrong outlets: they go off, the host runs on, and its BMC, which is stuck, says so."""
    bed = two_levels
    host = bed.machine("h1")
    for key in ("2", "2.1"):
        host.bmcs[key] = bed.machine("h2").bmcs.setdefault(key, Outlet(bed.machine("h3"), key))
    host.bmc().set_mode(BmcMode.LYING)
    host.hang()
    bed.run(120)
    assert host.powered
    assert bed.starts("vm1") == []
    assert bed.state(1) == HAState.FENCING
    assert "simulator bmc-h1 is On" in bed.ha(1).waiting_for


def test_every_device_is_read_in_the_background(two_levels: Bed) -> None:
    """Each row has its own state and its own problem; only the device that fell silent makes an event."""
    bed = two_levels
    assert [row.power_state for row in devices(bed, 1)] == ["On", "On", "On"]
    bed.machine("h1").bmc("2.1").set_mode(BmcMode.DEAD)
    bed.run(30)
    assert [row.power_state for row in devices(bed, 1)] == ["On", "On", "Unknown"]
    assert "Unreachable" in devices(bed, 1)[2].problem
    (event,) = bed.events("HOST.OOBM.POWERSTATE.TRANSITION")
    assert "device 1 of level 2" in event.description


def test_off_by_order_is_for_the_host_or_for_one_device(two_levels: Bed) -> None:
    """One outlet alone leaves the host on; the host as a whole goes by its levels. The answer is what was read."""
    bed = two_levels
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF", level=2, index=1))
    result = json.loads(job.job_result)
    assert (result["powerstate"], result["level"], result["index"]) == ("Off", 2, 1)
    assert bed.machine("h1").powered
    assert [row.ordered_state for row in devices(bed, 1)] == ["", "", "Off"]
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="ON"))
    assert json.loads(job.job_result)["powerstate"] == "On"
    bed.run_until(lambda: outlets(bed, "h1") == [True, True], 5)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="OFF", timeout=20))
    result = json.loads(job.job_result)
    assert (job.job_status, result["powerstate"]) == (1, "Off"), job.job_result
    assert not bed.machine("h1").powered
    assert [row.power_state for row in devices(bed, 1)] == ["Unknown", "Off", "Off"]


def test_status_of_a_host_fails_only_when_nothing_is_known(two_levels: Bed) -> None:
    """A dark BMC beside live outlets: the host's power is what they say."""
    bed = two_levels
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="STATUS"))
    assert json.loads(job.job_result)["powerstate"] == "On"
    for index in ("2", "2.1"):
        bed.machine("h1").bmc(index).set_mode(BmcMode.DEAD)
    job = bed.outcome(bed.job("issueOutOfBandManagementPowerAction", 1, hostid=1, action="STATUS"))
    assert (job.job_status, job.job_result_code) == (2, 530)
    assert [row.power_state for row in devices(bed, 1)] == ["Unknown"] * 3


def test_a_password_is_changed_on_the_device_that_was_meant(two_levels: Bed) -> None:
    """The other outlet, and the BMC, keep theirs."""
    bed = two_levels
    row = devices(bed, 1)[2]
    bed.machine("h1").bmc("2.1").accept_only(Secret(PASSWORD))
    bed.edit(Oobm, row.id, new_password=Secret("new-word"))
    job = bed.outcome(bed.job("changeOutOfBandManagementPassword", 1, hostid=1, level=2, index=1))
    assert job.job_status == 1, job.job_result
    assert [one.password for one in devices(bed, 1)] == [Secret(PASSWORD), Secret(PASSWORD), Secret("new-word")]
    assert isinstance(bed.machine("h1").bmc("2.1")._trouble(Secret(PASSWORD)), AuthenticationFailed)


def test_a_host_without_a_whole_level_is_ineligible_and_says_why(two_supplies: Bed) -> None:
    """One of its two supplies was disabled by hand: no level could be proven off."""
    bed = two_supplies
    bed.edit(Oobm, devices(bed, 1)[1].id, enabled=False)
    bed.run_until(lambda: bed.state(1) == HAState.INELIGIBLE, 10)
    assert "device 1 of level 1 is disabled" in bed.ha(1).reason
    bed.edit(Oobm, devices(bed, 1)[1].id, enabled=True)
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 10)


def test_switching_out_of_band_management_is_for_all_devices(two_levels: Bed) -> None:
    """Disabled and enabled together."""
    bed = two_levels
    assert bed.outcome(bed.job("disableOutOfBandManagementForHost", 1, hostid=1)).job_status == 1
    assert [(row.enabled, row.power_state) for row in devices(bed, 1)] == [(False, "Disabled")] * 3
    assert bed.outcome(bed.job("enableOutOfBandManagementForHost", 1, hostid=1)).job_status == 1
    assert [(row.enabled, row.power_state) for row in devices(bed, 1)] == [(True, "On")] * 3
