"""Rows and switches changed by hand are honoured at the next poll, also in the middle of an incident."""

from collections.abc import Callable

import pytest
from holdfast.hooks.store import Delete, Query
from holdfast.model import Alert, HaConfig, HAState, HostTag, ResourceState, VmState
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
