"""Rows and switches changed by hand are honoured at the next poll, also in the middle of an incident."""

from collections.abc import Callable

import pytest
from holdfast.hooks.store import Delete, Query
from holdfast.model import Alert, HaConfig, HAState, HostStatus, HostTag, ResourceState, VmState
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed, BmcMode


def _stuck_fence(make_bed: Callable[..., Bed]) -> Bed:
    """A host whose fence goes on and on, because its BMC is dead and it has no watchdog."""
    bed = make_bed(physics=Physics(watchdog_armed=False))
    bed.add_vms(1)
    bed.machine("h1").bmc().set_mode(BmcMode.DEAD)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.state(1) == HAState.FENCING, 20)
    bed.run(5)
    return bed


@pytest.mark.parametrize("raise_count", [False, True])
def test_a_state_changed_by_hand_is_honoured(bed: Bed, raise_count: bool) -> None:
    """An operator writes Suspect into the row: the manager goes on from there, with or without a raised count."""
    row = bed.ha(1)
    more = {"update_count": row.update_count + 1} if raise_count else {}
    bed.edit(HaConfig, row.id, ha_state=HAState.SUSPECT, **more)
    bed.run_until(lambda: ("Suspect", "PerformActivityCheck", "Checking") in bed.transitions(1), 10)
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 5)


def test_a_state_that_is_nonsense_does_no_harm(bed: Bed) -> None:
    """An unreadable state counts as none: the host is taken up afresh."""
    bed.edit(HaConfig, bed.ha(1).id, ha_state="Wobbly", incident="{not json")
    bed.run_until(lambda: bed.state(1) == HAState.AVAILABLE, 10)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 20)


def test_a_row_of_another_server_by_hand_is_taken_back(bed: Bed) -> None:
    """The column that names the owner follows the lease, not the other way round."""
    bed.edit(HaConfig, bed.ha(1).id, mgmt_server_id=42)
    owner = bed.managers[bed.owner("h1")].desk.msid
    bed.run_until(lambda: bed.ha(1).mgmt_server_id == owner, 10)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 20)


@pytest.mark.parametrize("anew", [False, True])
def test_a_deleted_row_ends_host_ha(bed: Bed, anew: bool) -> None:
    """Deleted: HA is off for the host. Made anew with HA on: it is watched again."""
    bed.store.commit([Delete(HaConfig, bed.ha(1).id)])
    if anew:
        bed.put(HaConfig(resource_id=1, enabled=True, provider="simulatorhaprovider"))
    expected = HAState.AVAILABLE if anew else HAState.DISABLED
    bed.run_until(lambda: bool(bed.store.select(HaConfig, Query(equal={"resource_id": 1}))), 10)
    bed.run_until(lambda: bed.state(1) == expected and bed.ha(1).owner_epoch > 0, 10)


def test_ha_switched_off_ends_a_fence_and_lifts_the_quarantine(make_bed: Callable[..., Bed]) -> None:
    """An admin's word ends the incident: the host is let go, and its VMs are where they were."""
    bed = _stuck_fence(make_bed)
    job = bed.outcome(bed.job("disableHAForHost", 1, hostid=1))
    assert job.job_status == 1, job.job_result
    bed.run(3)
    assert (bed.state(1), bed.host(1).resource_state) == (HAState.DISABLED, ResourceState.ENABLED)
    orders = len(bed.orders("h1"))
    bed.run(60)
    assert len(bed.orders("h1")) == orders
    assert bed.vm(1).state == VmState.RUNNING
    bed.check_once()


def test_ha_switched_off_for_the_cluster_and_on_again(bed: Bed) -> None:
    """A switch above the host works at the next poll, both ways."""
    bed.cluster_setting("resourceHAEnabled", "false")
    bed.run_until(lambda: {bed.state(host) for host in bed.host_ids} == {HAState.DISABLED}, 10)
    bed.machine("h1").power_off("power loss")
    bed.run(20)
    assert bed.orders("h1") == []
    job = bed.outcome(bed.job("enableHAForCluster", None, clusterid=bed.cluster))
    assert job.job_status == 1, job.job_result
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)


def test_a_setting_changed_in_the_tables_takes_effect(bed: Bed) -> None:
    """Policies follow the settings at the next poll, every time."""
    for number, attempts in enumerate(("3", "7", "5", "9")):
        bed.setting("kvm.ha.activity.check.max.attempts", attempts)
        bed.run(2.5)
        for manager in bed.managers.values():
            for actor in manager.hosts.actors.values():
                assert actor.policy().dead_needed == int(attempts) // 2 + 1, number


def test_a_dedicated_tag_that_no_host_carries_is_said_once(bed: Bed) -> None:
    """`ha.tag` without tagged hosts: an alert today; VMs wait visibly tonight, until a host is tagged."""
    bed.setting("ha.tag", "ha-only")
    bed.run(10)
    assert len(bed.alerts("ALERT.HA.TAG.UNUSED")) == 1
    vm = bed.add_vm("vm1", 1)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.alerts("ALERT.HA.RESTART.WAITING") != [], 20)
    bed.put(HostTag(host_id=3, tag="ha-only"))
    bed.run_until(lambda: bed.runs_elsewhere(1, vm), 30)
    assert bed.vm(vm).host_id == 3


def test_tagged_hosts_take_the_restarts(make_bed: Callable[..., Bed]) -> None:
    """With `ha.tag` and a host that carries it, restarted VMs go there."""
    bed = make_bed(hosts=4, settings={"ha.tag": "ha-only"})
    bed.put(HostTag(host_id=4, tag="ha-only"))
    bed.run(3)
    ids = bed.add_vms(3)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)
    assert {bed.vm(vm).host_id for vm in ids} == {4}


def test_a_host_added_while_all_runs_is_watched_and_beats(bed: Bed) -> None:
    """A new host is claimed, connects, beats on its pools, and is recovered when it hangs."""
    new = bed.add_host("h9", cpus=0, speed=0, ram=0)
    bed.host_ids.append(new)
    bed.machine("h9").unmount("pool1")
    bed.run_until(lambda: bed.state(new) == HAState.AVAILABLE and bed.machine("h9").pools == ["pool1"], 20)
    assert bed.host(new).ram > 0
    bed.run(5)
    vm = bed.add_vm("vm9", new)
    bed.machine("h9").hang()
    bed.run_until(lambda: bed.runs_elsewhere(new, vm), 30)


def test_a_removed_host_is_given_up(bed: Bed) -> None:
    """The row's `removed` ends all watching."""
    bed.edit(type(bed.host(3)), 3, removed=bed.managers["ms1"].desk.journal.now())
    bed.run(5)
    assert all("h3" not in manager.hosts.actors for manager in bed.managers.values())
    assert all("h3" not in manager.desk.membership.epochs for manager in bed.managers.values())


def test_no_alert_is_raised_for_a_calm_site(bed: Bed) -> None:
    """Ten quiet minutes: no alert, no transition."""
    before = [len(bed.transitions(host)) for host in bed.host_ids]
    bed.run(600)
    assert bed.store.select(Alert, Query()) == []
    assert [len(bed.transitions(host)) for host in bed.host_ids] == before


# --- rows that vanish, epochs that go back ---------------------------------------------------------------------------


def test_a_row_deleted_in_the_middle_of_a_fence_releases_the_host(make_bed: Callable[..., Bed]) -> None:
    """It means what switching HA off means: the incident ends, visibly, and the quarantine is lifted."""
    bed = _stuck_fence(make_bed)
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    bed.store.commit([Delete(HaConfig, bed.ha(1).id)])
    bed.run_until(lambda: bed.host(1).resource_state == ResourceState.ENABLED, 10)
    assert bed.state(1) == HAState.DISABLED
    assert any("is released" in event.description for event in bed.events("HA.FENCE"))
    assert bed.vm(1).state == VmState.RUNNING
    bed.check_once()


def test_a_row_replaced_in_the_middle_of_a_fence_carries_the_fence_on(make_bed: Callable[..., Bed]) -> None:
    """A new row with HA on: the fence goes on in it, and its VMs restart once the BMC answers."""
    bed = _stuck_fence(make_bed)
    bed.store.commit([Delete(HaConfig, bed.ha(1).id)])
    bed.put(HaConfig(resource_id=1, enabled=True, provider="simulatorhaprovider"))
    bed.run(5)
    assert (bed.state(1), bed.host(1).resource_state) == (HAState.FENCING, ResourceState.MAINTENANCE)
    bed.machine("h1").bmc().set_mode(BmcMode.OK)
    bed.run_until(lambda: bed.runs_elsewhere(1, 1), 90)
    bed.check_once()


def test_a_row_deleted_while_no_server_ran_is_told_with_the_way_out(make_bed: Callable[..., Bed]) -> None:
    """Nobody knows any more where the quarantine came from: an alert and the host's reason say what to do."""
    bed = _stuck_fence(make_bed)
    for name in list(bed.managers):
        bed.crash(name)
    bed.store.commit([Delete(HaConfig, bed.ha(1).id)])
    bed.machine("h1").unhang()
    bed.start("ms3")
    bed.run_until(lambda: bed.alerts("ALERT.HA.QUARANTINE") != [], 30)
    assert "cancelHostMaintenance" in bed.ha(1).reason
    assert bed.host(1).resource_state == ResourceState.MAINTENANCE
    job = bed.outcome(bed.job("cancelHostMaintenance", 1, id=1))
    assert job.job_status == 1, job.job_result
    assert bed.host(1).resource_state == ResourceState.ENABLED
    assert len(bed.alerts("ALERT.HA.QUARANTINE")) == 1
    bed.check_once()


def test_an_owner_epoch_raised_by_hand_is_told_once_and_has_a_way_out(bed: Bed) -> None:
    """The host is left alone (S5), an alert names it and what to do; owner_epoch 0 is honoured at the next look."""
    bed.edit(HaConfig, bed.ha(1).id, owner_epoch=999_999)
    bed.run(12)
    assert bed.alerts("ALERT.HA.OWNER.EPOCH") == []  # it could be a hand-over so far
    bed.run(60)
    (alert,) = bed.alerts("ALERT.HA.OWNER.EPOCH")
    assert "h1" in alert.content
    assert "owner_epoch" in alert.content
    told = [manager.explain_host("h1") for manager in bed.managers.values()]
    assert any("owner epoch 999999" in one.get("reason", "") for one in told)
    bed.machine("h1").power_off("power loss")
    bed.run(20)
    assert bed.orders("h1") == []
    bed.edit(HaConfig, bed.ha(1).id, owner_epoch=0)
    bed.run_until(lambda: bed.state(1) == HAState.FENCED, 30)
    bed.run(30)
    assert len(bed.alerts("ALERT.HA.OWNER.EPOCH")) == 1


def test_a_word_that_is_not_allowed_is_alerted_and_the_default_counts(bed: Bed) -> None:
    """A text setting edited by hand; nobody has to read it for the alert to come."""
    bed.setting("ha.self.fence.action", "explode")
    bed.run(10)
    (alert,) = bed.alerts("ALERT.HA.SETTINGS")
    assert "row ha.self.fence.action of table configuration" in alert.content
    assert "none or stop or reboot" in alert.content
    for manager in bed.managers.values():
        assert manager.desk.inventory.settings.text("ha.self.fence.action") == "reboot"


def test_a_host_whose_fence_was_called_off_while_it_was_silent_takes_no_vms(make_bed: Callable[..., Bed]) -> None:
    """HA is switched off in the middle of its fence. It hangs still: it is not called Up, and nothing starts there."""
    bed = _stuck_fence(make_bed)
    vm = bed.add_vm("vm2", 2)
    bed.add_vm("heavy", 3, cpu=20)
    assert bed.outcome(bed.job("disableHAForHost", 1, hostid=1)).job_status == 1
    bed.run(5)
    assert (bed.host(1).status, bed.host(1).resource_state) == (HostStatus.DISCONNECTED, ResourceState.ENABLED)
    bed.machine("h2").power_off("power loss")
    bed.run_until(lambda: bed.vm(vm).host_id == 3 and bed.world.serving("vm2"), 20)
    bed.machine("h1").unhang()
    bed.run_until(lambda: bed.host(1).status == HostStatus.UP, 10)
