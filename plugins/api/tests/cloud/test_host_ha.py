"""Host HA through the API, and the simulator's provider."""

import json

import pytest
from holdfast.hooks.store import Insert
from holdfast.model import Cluster, HaConfig, HaTransition, Host, HostDetail, Zone

UNKNOWN = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def host(cloud):
    return cloud.host(cloud.cluster(cloud.pod(cloud.zone())))


@pytest.mark.parametrize("name", ["simulatorhaprovider", "SimulatorHAProvider", "SIMULATORHAPROVIDER"])
def test_a_provider_is_configured_whatever_its_letter_case(cloud, host, name):
    """listHostHAProviders spells it as CloudStack's classes, the answer is lower case."""
    row = cloud.row(Host, host["id"])
    job = cloud.job("configureHAForHost", hostid=host["id"], provider=name)
    assert json.loads(job.job_cmd_info) == {"hostid": row.id, "provider": "simulatorhaprovider"}
    cloud.configure_ha(host)
    done = cloud.finish(job, {"object": "hostha", "hostid": row.id})
    assert done == {"hostid": host["id"], "haenable": False, "hastate": "Disabled", "haprovider": "simulatorhaprovider"}
    assert cloud.events("HA.RESOURCE.CONFIGURE")


def test_bad_providers_are_refused(cloud, host):
    """Unknown 530, made for another hypervisor 431, as CloudStack has it."""
    code, text = cloud.refused("configureHAForHost", hostid=host["id"], provider="randomDriverThatDoesNotExist")
    assert (code, "there are kvmhaprovider, simulatorhaprovider" in text) == (530, True)
    code, text = cloud.refused("configureHAForHost", hostid=host["id"], provider="kvmhaprovider")
    assert (code, "kvmhaprovider is made for KVM, and host ablecube31 runs Simulator" in text) == (431, True)
    assert cloud.refused("configureHAForHost", hostid="-1", provider="kvmhaprovider")[0] == 431
    assert cloud.refused("configureHAForHost", hostid=UNKNOWN, provider="kvmhaprovider")[0] == 431
    assert cloud.refused("configureHAForHost", hostid=host["id"])[0] == 431


def test_a_host_is_enabled_only_with_a_provider(cloud, host):
    """431 names the command to call first; disabling needs none."""
    code, text = cloud.refused("enableHAForHost", hostid=host["id"])
    assert (code, "call configureHAForHost first" in text) == (431, True)
    row = cloud.row(Host, host["id"])
    assert cloud.info("disableHAForHost", hostid=host["id"]) == {"hostid": row.id}
    ha = cloud.configure_ha(host)
    job = cloud.job("enableHAForHost", hostid=host["id"])
    assert (json.loads(job.job_cmd_info), job.host_id) == ({"hostid": row.id}, row.id)
    cloud.set(ha, enabled=True, ha_state="Available")
    done = cloud.finish(job, {"object": "hostha", "hostid": row.id, "status": True})
    assert (done["hostid"], done["haenable"], done["hastate"], done["status"]) == (host["id"], True, "Available", True)


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_switches_of_clusters_and_zones_are_jobs(cloud, host, word):
    """With Mold's includehost."""
    cluster, zone = cloud.rows(Cluster)[0], cloud.rows(Zone)[0]
    told = cloud.info(f"{word}HAForCluster", clusterid=cluster.uuid, includehost="true")
    assert told == {"clusterid": cluster.id, "includehost": True}
    assert cloud.info(f"{word}HAForCluster", clusterid=cluster.uuid) == {"clusterid": cluster.id, "includehost": False}
    job = cloud.job(f"{word}HAForZone", zoneid=zone.uuid)
    assert json.loads(job.job_cmd_info) == {"zoneid": zone.id}
    assert cloud.finish(job, {"success": True}) == {"success": True}
    assert cloud.refused(f"{word}HAForCluster")[0] == 431
    assert cloud.refused(f"{word}HAForZone", zoneid=UNKNOWN)[0] == 431
    assert len(cloud.events(f"HA.RESOURCE.{word.upper()}")) == 3


def test_including_hosts_needs_a_provider_for_them(cloud, host):
    """Said at once, not after the switch was turned."""
    cloud.plugins.installed["provider"] = {"kvmhaprovider": None}
    cluster = cloud.rows(Cluster)[0]
    code, text = cloud.refused("enableHAForCluster", clusterid=cluster.uuid, includehost="true")
    assert (code, "no HA provider is installed for the Simulator hosts" in text) == (530, True)


def test_providers_are_listed_by_hypervisor(cloud):
    """Exact letter case; a broken one is left out."""
    assert cloud.one("listHostHAProviders", hypervisor="KVM") == {"haprovider": "KVMHAProvider"}
    assert cloud.one("listHostHAProviders", hypervisor="Simulator") == {"haprovider": "SimulatorHAProvider"}
    assert cloud("listHostHAProviders", hypervisor="Unknown") == {}
    for name in ("kvm", "VMware", ""):
        code, text = cloud.refused("listHostHAProviders", hypervisor=name)
        assert (code, "KVM, Simulator, Unknown" in text) == (431, True)
    cloud.plugins.installed["provider"]["kvmhaprovider"] = None
    assert cloud("listHostHAProviders", hypervisor="KVM") == {}


def test_resources_show_every_configured_host_that_is_there(cloud, host):
    """A state that is NULL shows as Disabled; rows of removed hosts do not show."""
    other = cloud.host(cloud.one("listClusters"), "gone")
    cloud.configure_ha(host, enabled=True, ha_state=None, reason="why", waiting_for='["a neighbour"]')
    cloud.configure_ha(other)
    assert len(cloud("listHostHAResources")["hostha"]) == 2
    cloud.set(cloud.row(Host, other["id"]), removed=1.0)
    found = {"hostid": host["id"], "haenable": True, "hastate": "Disabled", "haprovider": "simulatorhaprovider"}
    shown = cloud.one("listHostHAResources")
    assert shown == found | {"reason": "why", "waitingfor": ["a neighbour"]}
    assert cloud.one("listHostHAResources", hostid=host["id"]) == shown
    nested = cloud.one("listHosts", id=host["id"])["hostha"]
    assert nested == {name: value for name, value in shown.items() if name != "hostid"}
    assert cloud.refused("listHostHAResources", hostid="someinvalidvalue")[0] == 431


def transition(host_id, event, state, before, **more):
    return HaTransition(host_id=host_id, event=event, state=state, prev_state=before, **more)


def test_a_script_replaces_the_answers_and_hides_what_was_recorded(cloud, host):
    """As configureSimulatorHAProviderState of CloudStack clears its list."""
    row = cloud.row(Host, host["id"])
    answers = {"health": "true", "activity": "false", "recover": "true", "fence": "false"}
    assert cloud("configureSimulatorHAProviderState", hostid=host["id"], **answers) == {"success": True}
    details = {one.name: one.value for one in cloud.rows(HostDetail, host_id=row.id)}
    assert details == {f"simulator.ha.{name}": value for name, value in answers.items()} | {
        "simulator.ha.revision": "1"
    }
    cloud.store.commit([Insert(transition(row.id, "Enabled", "Available", "Disabled"))])
    assert len(cloud("listSimulatorHAStateTransitions", hostid=host["id"])["hastatetransition"]) == 1
    cloud("configureSimulatorHAProviderState", hostid=host["id"], **(answers | {"health": "false"}))
    assert cloud("listSimulatorHAStateTransitions", hostid=host["id"]) == {}
    assert len(cloud.rows(HaTransition)) == 1
    details = {one.name: one.value for one in cloud.rows(HostDetail, host_id=row.id)}
    assert (details["simulator.ha.health"], details["simulator.ha.revision"]) == ("false", "2")


def test_transitions_are_the_last_hundred_oldest_first_in_lower_case(cloud, host):
    """With the counters as they were."""
    row = cloud.row(Host, host["id"])
    many = [transition(row.id, "HealthCheckFailed", "Suspect", "Available", activity_counter=n) for n in range(120)]
    cloud.store.commit([Insert(one) for one in many])
    found = cloud("listSimulatorHAStateTransitions", hostid=host["id"])["hastatetransition"]
    assert [one["activitycounter"] for one in found] == list(range(20, 120))
    assert found[0] == {
        "event": "healthcheckfailed",
        "hastate": "suspect",
        "prevhastate": "available",
        "activitycounter": 20,
        "recoverycounter": 0,
    }


def test_only_simulated_hosts_take_a_script(cloud, host):
    """And all four answers."""
    kvm = cloud.host(cloud.cluster(cloud.one("listPods"), "k", "KVM"), "node1")
    answers = {"health": "true", "activity": "true", "recover": "true", "fence": "true"}
    assert "runs KVM" in cloud.refused("configureSimulatorHAProviderState", hostid=kvm["id"], **answers)[1]
    del answers["fence"]
    assert "fence is missing" in cloud.refused("configureSimulatorHAProviderState", hostid=host["id"], **answers)[1]
    assert cloud.rows(HaConfig) == []


def test_what_a_host_in_doubt_waits_for_is_told_as_it_is_now(cloud, host):
    """Seconds that were stored have gone by since: the manager that watches the host knows better, if it is here."""
    stored = ["fence attempt 2 in 5.0 s"]
    cloud.set(cloud.configure_ha(host), enabled=True, ha_state="Fencing", waiting_for=json.dumps(stored))
    live = cloud.api.context.live

    def told():
        of_host = cloud.one("listHosts", id=host["id"])["hostha"]
        listed = cloud.one("listHostHAResources", hostid=host["id"])
        explained = cloud.one("explainHostHA", id=host["id"])
        assert of_host.get("waitingfor") == listed.get("waitingfor") == explained.get("waitingfor")
        return of_host.get("waitingfor")

    assert told() == stored
    live["manager.explain_host"] = lambda _uuid: {"state": "Fencing", "waitingfor": ["fence attempt 2 in 1.2 s"]}
    assert told() == ["fence attempt 2 in 1.2 s"]
    live["manager.explain_host"] = lambda _uuid: {"state": "Available", "waitingfor": []}
    assert told() is None
    live["manager.explain_host"] = lambda _uuid: {}
    assert told() == stored
    live["manager.explain_host"] = lambda _uuid: 1 / 0
    assert told() == stored
