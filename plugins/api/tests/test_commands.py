"""Commands that need no part of the cloud: discovery, users and keys, settings, events and alerts, servers."""

import json
from dataclasses import replace

import pytest
from holdfast.hooks.store import Insert, Query
from holdfast.model import (
    Alert,
    Cluster,
    ClusterDetail,
    Configuration,
    Event,
    Host,
    Json,
    ManagementServer,
    ManagementServerPeer,
    Moment,
    User,
    Zone,
)
from holdfast.settings import CATALOGUE
from holdfast_api.call import new_uuid
from holdfast_api.registry import Registry


def add(store, row):
    """Insert a row and read it back."""
    [number] = store.commit([Insert(row)])
    return store.get(type(row), number)


def test_list_apis_is_what_is_declared(api):
    """Every command but login, with real booleans and every parameter."""
    listed = {one["name"]: one for one in api.admin("listApis", listall="true")["api"]}
    declared = Registry.collect().commands
    assert set(listed) == set(declared) - {"login"}
    for name, one in listed.items():
        assert one["isasync"] is declared[name].is_async
        assert [part["name"] for part in one["params"]] == [part.name for part in declared[name].parameters]
        assert all(isinstance(part["required"], bool) for part in one["params"])
        assert one["response"], f"{name} declares no answer"
        assert one["description"].endswith(".")


def test_list_apis_shows_one_by_name(api):
    """And refuses a name that does not exist."""
    assert api.admin("listApis", name="listUsers")["count"] == 1
    assert api.refused("listApis", name="listusers")[0] == 431


def test_related_commands_come_from_the_declarations(api):
    """Commands with the same answer, and those that show the ids a parameter takes."""
    [one] = api.admin("listApis", name="updateConfiguration")["api"]
    assert one["related"] == "listConfigurations"
    [keys] = api.admin("listApis", name="getUserKeys")["api"]
    assert keys["params"][0]["related"] == "listUsers"


def test_capabilities_tell_the_version_of_the_conventions(api):
    """What cmk and Ansible read."""
    assert api.admin("listCapabilities")["capability"]["cloudstackversion"] == "4.22.0.0"


def test_users_and_accounts_are_listed_without_secrets(api, store):
    """Neither password hash nor secret key, in any answer."""
    api.keys()
    [row] = store.select(User, Query())
    user = api.admin("listUsers", account="admin", accounttype=1)["user"][0]
    account = api.admin("listAccounts", name="admin")["account"][0]
    assert user["apikey"] == row.api_key
    assert account["user"][0]["id"] == user["id"] == row.uuid
    said = json.dumps([user, account, api.admin("getUserKeys", id=user["id"])])
    assert row.password not in said
    assert row.secret_key.reveal() not in said


def test_user_filters(api):
    """Those that match nothing give an empty list."""
    for sent in (
        {"username": "x"},
        {"state": "disabled"},
        {"account": "x"},
        {"domainid": new_uuid()},
        {"keyword": "x"},
    ):
        assert api.admin("listUsers", **sent) == {}
    assert api.admin("listUsers", keyword="DMI")["count"] == 1
    assert api.admin("listAccounts", accounttype=0) == {}


def test_the_root_is_the_only_domain(api):
    """Under one id on every server."""
    [root] = api.admin("listDomains")["domain"]
    assert root["name"] == "ROOT"
    assert api.admin("listDomains", id=root["id"])["count"] == 1
    assert api.admin("listDomains", id=new_uuid()) == {}


def setting(api, name, **where):
    [found] = api.admin("listConfigurations", name=name, **where)["configuration"]
    return found


def test_every_setting_is_listed_with_both_defaults(api):
    """Ours and upstream's; a setting that upstream lacks has no upstream default."""
    listed = {one["name"]: one for one in api.admin("listConfigurations")["configuration"]}
    assert set(listed) == set(CATALOGUE)
    assert listed["kvm.ha.health.check.timeout"]["defaultvalue"] == "3"
    assert listed["kvm.ha.health.check.timeout"]["upstreamdefault"] == "10"
    assert "upstreamdefault" not in listed["ha.brake.fraction"]
    del listed["integration.api.port"]
    assert all(one["value"] == one["defaultvalue"] for one in listed.values())


def test_the_integration_port_is_shown_as_it_is(api):
    """The configuration file decides it; the setting only shows it."""
    assert f":{setting(api, 'integration.api.port')['value']}/" in api.integration_url


def test_settings_are_found_by_category_and_keyword_and_paged(api):
    """count is the total, not the page's length."""
    page = api.admin("listConfigurations", category="vm-ha", page=1, pagesize=2)
    assert len(page["configuration"]) == 2
    assert page["count"] == sum(one.category == "vm-ha" for one in CATALOGUE.values())
    assert api.admin("listConfigurations", category="vm-ha", page=99, pagesize=2) == {"count": page["count"]}
    assert all("watchdog" in str(one) for one in api.admin("listConfigurations", keyword="WATCHDOG")["configuration"])


def test_a_changed_setting_is_in_effect_told_and_rung(api, store):
    """Stored, with an event that names before and after."""
    assert api.admin("updateConfiguration", name="ha.tag", value="ha_host")["configuration"]["value"] == "ha_host"
    assert setting(api, "ha.tag")["value"] == "ha_host"
    [event] = store.select(Event, Query(equal={"type": "CONFIGURATION.VALUE.EDIT"}))
    assert event.description == "changed the setting ha.tag from its default to 'ha_host'"
    assert "settings" in api.bell.rung
    assert api.admin("updateConfiguration", name="ha.tag", value="")["configuration"]["value"] == ""


def test_a_setting_of_one_cluster_is_in_effect_there_alone(api, store):
    """Stored in cluster_details, as operators expect."""
    cluster = add(store, Cluster(uuid=new_uuid(), name="c1", pod_id=1, data_center_id=1, hypervisor_type="KVM"))
    name = "kvm.ha.degraded.max.period"
    api.admin("updateConfiguration", name=name, value="60", clusterid=cluster.uuid)
    api.admin("updateConfiguration", name=name, value="90", clusterid=cluster.uuid)
    assert setting(api, name)["value"] == "300"
    there = setting(api, name, clusterid=cluster.uuid)
    assert there["value"] == "90"
    assert there["id"] == cluster.uuid
    [row] = store.select(ClusterDetail, Query())
    assert (row.name, row.value) == (name, "90")
    assert "vm.ha.enabled" not in json.dumps(api.admin("listConfigurations", clusterid=cluster.uuid))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("no.such.setting", "1", "no setting"),
        ("kvm.ha.fence.timeout", "soon", "not a number"),
        ("kvm.ha.fence.timeout", "0.5", "below the lowest allowed value 1"),
        ("kvm.ha.fence.timeout", "inf", "not a finite number"),
        ("vm.ha.enabled", "yes", "true or false"),
        ("ha.self.fence.action", "explode", "none or stop or reboot"),
        ("kvm.ha.fence.on.storage.heartbeat.failure", "true", "allowed is false"),
        ("integration.api.port", "8096", "integration_port"),
        ("ha.storage.beat.stale", "2.5", "ha.storage.beat.stale > ha.storage.beat.interval + 2 does not hold"),
        ("ping.interval", "5", "ha.storage.lease / 2 > ping.interval + cluster.heartbeat.interval / 1000 + 2 does not"),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(api, store, name, value, said):
    """431 naming the setting and the rule; settings that contradict each other name the inequality."""
    code, text = api.refused("updateConfiguration", name=name, value=value)
    assert code == 431
    assert said in text
    assert store.count(Configuration, Query(equal={"name": name})) == 0
    assert store.count(Event, Query(equal={"type": "CONFIGURATION.VALUE.EDIT"})) == 0


def test_a_setting_is_refused_where_its_scope_does_not_reach(api, store):
    """And where two places are named at once."""
    zone = add(store, Zone(uuid=new_uuid(), name="z1"))
    cluster = add(store, Cluster(uuid=new_uuid(), name="c1", pod_id=1, data_center_id=1, hypervisor_type="KVM"))
    code, text = api.refused("updateConfiguration", name="ha.tag", value="x", zoneid=zone.uuid)
    assert code == 431
    assert "scope Global" in text
    assert api.refused("listConfigurations", zoneid=zone.uuid, clusterid=cluster.uuid)[0] == 431


def test_a_cluster_cannot_contradict_the_global_values(api, store):
    """The inequality is checked with what is in effect there."""
    cluster = add(store, Cluster(uuid=new_uuid(), name="c1", pod_id=1, data_center_id=1, hypervisor_type="KVM"))
    code, text = api.refused("updateConfiguration", name="kvm.ha.fence.timeout", value="1", clusterid=cluster.uuid)
    assert code == 431
    assert "kvm.ha.fence.timeout > " in text


def test_two_changes_that_contradict_each_other_do_not_both_get_through(api, store, monkeypatch):
    """The second is checked again with what the first has stored in between."""
    commit = store.commit

    def overtaken(changes):
        monkeypatch.setattr(store, "commit", commit)
        api.admin("updateConfiguration", name="ha.storage.beat.interval", value="1.9")
        return commit(changes)

    monkeypatch.setattr(store, "commit", overtaken)
    code, text = api.refused("updateConfiguration", name="ha.storage.beat.stale", value="3.5")
    assert code == 431
    assert "does not hold" in text
    assert setting(api, "ha.storage.beat.stale")["value"] == "4"


def event(number, **more):
    return Event(
        uuid=new_uuid(), type="VM.HA.RESTART", description=f"event {number}", created=Moment(1000.0 + number), **more
    )


def test_events_are_listed_newest_first_with_their_evidence(api, store):
    """Evidence is data, not text."""
    store.commit([Insert(event(number)) for number in range(3)])
    store.commit([Insert(event(9, level="WARN", evidence=Json('[{"kind": "chassis-power", "opinion": "dead"}]')))])
    listed = api.admin("listEvents", type="VM.HA.RESTART")["event"]
    assert [one["description"] for one in listed] == ["event 9", "event 2", "event 1", "event 0"]
    assert listed[0]["evidence"] == [{"kind": "chassis-power", "opinion": "dead"}]
    assert listed[0]["username"] == "system"
    assert api.admin("listEvents", level="WARN")["count"] == api.admin("listEvents", level="warn")["count"] == 1
    assert api.admin("listEvents", startdate="1970-01-01 00:16:41", enddate="1970-01-01 00:16:42")["count"] == 2
    assert api.admin("listEvents", id=listed[1]["id"])["count"] == 1
    assert api.admin("listEvents", keyword="EVENT 2")["count"] == 1


def test_an_end_that_was_copied_from_an_answer_takes_in_its_whole_second(api, store):
    """Answers show whole seconds; an event of 1.4 is shown at 1, and is there until 1."""
    store.commit([Insert(replace(event(number), created=Moment(1000.4 + number))) for number in range(3)])
    shown = [one["created"] for one in api.admin("listEvents", type="VM.HA.RESTART")["event"]]
    for time in shown:
        assert api.admin("listEvents", type="VM.HA.RESTART", startdate=time, enddate=time)["count"] == 1
    assert api.admin("listEvents", type="VM.HA.RESTART", enddate=shown[1])["count"] == 2


def test_archived_events_are_listed_only_when_asked_for(api, store):
    """Chosen by id or by time; nothing chosen is refused."""
    store.commit([Insert(event(number)) for number in range(600)])
    [newest] = api.admin("listEvents", page=1, pagesize=1)["event"]
    assert api.admin("archiveEvents", ids=newest["id"]) == {"success": True}
    assert api.admin("listEvents", type="VM.HA.RESTART", page=1, pagesize=1)["count"] == 599
    assert api.admin("listEvents", type="VM.HA.RESTART", archived="true", page=1, pagesize=1)["count"] == 600
    api.admin("archiveEvents", type="VM.HA.RESTART", enddate="2000-01-01")
    assert api.admin("listEvents", type="VM.HA.RESTART") == {}
    assert api.refused("archiveEvents")[0] == 431
    assert api.refused("archiveEvents", startdate="2000-01-02", enddate="2000-01-01")[0] == 431


def alert(number, type_=30):
    return Alert(
        uuid=new_uuid(), type=type_, name=f"ALERT.{type_}", subject=f"alert {number}", created=Moment(1000.0 + number)
    )


def test_alerts_are_listed_archived_and_deleted(api, store):
    """By id, and by number or name of the type."""
    zone = add(store, Zone(uuid=new_uuid(), name="z1"))
    store.commit([Insert(alert(number)) for number in range(3)])
    stuck = add(
        store, Alert(uuid=new_uuid(), type=901, name="ALERT.HA.FENCE.STUCK", subject="h1", data_center_id=zone.id)
    )
    assert api.admin("listAlerts")["count"] == 4
    assert api.admin("listAlerts", type=30)["count"] == 3
    assert api.admin("listAlerts", id=stuck.uuid)["alert"][0]["zoneid"] == zone.uuid
    assert api.admin("archiveAlerts", ids=stuck.uuid) == {"success": True}
    assert api.admin("listAlerts")["count"] == 3
    api.admin("deleteAlerts", type="30", startdate="1970-01-01 00:16:41")
    assert [one["description"] for one in api.admin("listAlerts")["alert"]] == ["alert 0"]
    assert api.admin("archiveAlerts", type="ALERT.HA.ACTION") == {"success": True}
    assert api.admin("listAlerts") == {}
    assert store.count(Alert, Query()) == 2
    assert "ALERT.HA.BRAKE" in api.refused("deleteAlerts", type="no.such")[1]


def test_management_servers_show_their_agents_and_peers(api, store):
    """A peer row of an earlier run of the peer is not shown."""
    first = add(store, ManagementServer(uuid=new_uuid(), msid=1, runid=10, name="ms1", service_ip="10.0.0.1"))
    second = add(store, ManagementServer(uuid=new_uuid(), msid=2, runid=20, name="ms2", state="Down"))
    for runid, state in ((19, "Up"), (20, "Down")):
        add(
            store,
            ManagementServerPeer(owner_mshost=first.id, peer_mshost=second.id, peer_runid=runid, peer_state=state),
        )
    places = {"data_center_id": 1, "pod_id": 1, "cluster_id": 1, "hypervisor_type": "KVM"}
    add(store, Host(uuid=new_uuid(), name="h1", mgmt_server_id=first.id, **places))
    shown = {one["name"]: one for one in api.admin("listManagementServers", peers="true")["managementserver"]}
    assert shown["ms1"]["agentscount"] == 1
    assert [(peer["name"], peer["state"]) for peer in shown["ms1"]["peers"]] == [("ms2", "Down")]
    assert api.admin("listManagementServers", id=second.uuid)["managementserver"][0]["state"] == "Down"
    assert "peers" not in api.admin("listManagementServers", name="ms1")["managementserver"][0]


def test_hypervisors_are_those_with_a_driver(api):
    """In CloudStack's spelling."""
    assert api.admin("listHypervisors")["hypervisor"] == [{"name": "KVM"}, {"name": "Simulator"}]


def test_event_types_are_listed(api):
    """Those that HA raises among them."""
    names = {one["name"] for one in api.admin("listEventTypes")["eventtype"]}
    assert {"HA.STATE.TRANSITION", "HOST.OOBM.ACTION", "CONFIGURATION.VALUE.EDIT"} <= names
