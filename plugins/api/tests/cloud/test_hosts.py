"""Hosts: added, listed by every filter, changed, removed."""

import json

import pytest
from holdfast.hooks.store import Insert
from holdfast.model import AsyncJob, HaConfig, Host, HostDetail, HostTag, ManagementServer, Oobm, Permit, Vm, Work

UNKNOWN = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def cluster(cloud):
    return cloud.cluster(cloud.pod(cloud.zone()))


def add(cluster, url, **more):
    place = {"zoneid": cluster["zoneid"], "podid": cluster["podid"], "clusterid": cluster["id"]}
    return {**place, "hypervisor": cluster["hypervisortype"], "url": url, "username": "root", "password": "x", **more}


def test_a_simulated_host_is_added_by_url(cloud, cluster):
    """A list of one; the name is the URL's last part; it is Connecting until a manager has attached it."""
    answer = cloud("addHost", **add(cluster, "http://sim/ablecube31", hosttags="ssd, ha"))
    assert answer["count"] == 1
    [host] = answer["host"]
    assert (host["name"], host["state"], host["resourcestate"]) == ("ablecube31", "Connecting", "Enabled")
    assert (host["type"], host["hypervisor"], host["ipaddress"]) == ("Routing", "Simulator", "ablecube31")
    assert (host["hosttags"], host["hahost"], host["clustername"]) == ("ha,ssd", False, "c1")
    assert host["hostha"] == {"haenable": False, "hastate": "Disabled"}
    assert host["outofbandmanagement"] == {"powerstate": "Disabled", "enabled": False}
    assert cloud.events("HOST.ADD") == ["added host ablecube31 to cluster c1"]


def test_a_kvm_host_is_named_by_its_address(cloud, cluster):
    """Letter case kept, port aside."""
    kvm = cloud.cluster(cloud.one("listPods"), "k1", "KVM")
    host = cloud.one("addHost", **add(kvm, "http://Node1.example:22/"))
    assert (host["name"], host["ipaddress"]) == ("Node1.example", "Node1.example")


def test_the_only_fitting_cluster_is_taken(cloud, cluster):
    """As CloudStack's clients may leave clusterid out, or name the cluster."""
    cloud.cluster(cloud.one("listPods"), "k1", "KVM")
    order = add(cluster, "http://sim/a")
    del order["clusterid"]
    assert cloud.one("addHost", **order)["clustername"] == "c1"
    named = order | {"url": "http://n1", "hypervisor": "KVM", "clustername": "k1"}
    assert cloud.one("addHost", **named)["clustername"] == "k1"


def test_bad_hosts_are_refused(cloud, cluster):
    """Each says what is wrong; nothing is added."""
    other = cloud.cluster(cloud.pod(cloud.zone("z2")), "c2")
    kvm = cloud.cluster(cloud.one("listPods", zoneid=cluster["zoneid"]), "k1", "KVM")
    cloud.host(cluster, "taken")
    for change, said in (
        ({"url": "http://sim/taken"}, "host taken ("),
        ({"url": "sim/new"}, "has to begin with one of http://, https://"),
        ({"url": "http:///new"}, "names no host"),
        ({"url": "http://sim/a/b"}, "a simulated host is http://sim/NAME"),
        ({"url": "http://sim/a%00b"}, "has blanks or control characters in it"),
        ({"url": "http://sim/a b"}, "has blanks or control characters in it"),
        ({"url": "http://s%0aim/ab"}, "names no host"),
        ({"url": "http://sim/a?b=c"}, "may have neither ? nor #"),
        ({"url": "http://root:pw@sim/a"}, "user and password do not belong in the URL"),
        ({"hypervisor": "KVM"}, "cluster c1 has hosts of Simulator, not KVM"),
        ({"hypervisor": "XenServer"}, "has no driver installed"),
        ({"clusterid": kvm["id"]}, "cluster k1 has hosts of KVM, not Simulator"),
        ({"clusterid": other["id"]}, "cluster c2 does not lie in pod p1"),
        ({"podid": other["podid"]}, "pod p1 does not lie in zone z1"),
        ({"clusterid": UNKNOWN}, "there is no cluster with this id; listClusters shows the ids there are"),
        ({"clusterid": "c1"}, "a UUID is needed"),
        ({"allocationstate": "Maybe"}, "allowed is Enabled or Disabled"),
        ({"hosttags": "t" * 101}, "a tag may have 100 characters"),
    ):
        code, text = cloud.refused("addHost", **(add(cluster, "http://sim/new") | change))
        assert code == 431
        assert said in text
    assert cloud.names("listHosts") == ["taken"]


def test_a_host_never_takes_vms_before_its_tags_are_there(cloud, cluster):
    """Were it open first, a dedicated HA host would fill up with ordinary VMs."""
    states = []
    commit = cloud.store.commit

    def watching(changes):
        ids = commit(changes)
        states.append([(row.resource_state, len(cloud.rows(HostTag))) for row in cloud.rows(Host)])
        return ids

    cloud.store.commit = watching
    cloud.one("addHost", **add(cluster, "http://sim/a", hosttags="ha"))
    assert [found for [*found] in states if found] == [[("Disabled", 0)], [("Enabled", 1)]]


def test_passwords_of_hosts_are_shown_nowhere(cloud, cluster):
    """Not by listHosts, nor in an event."""
    cloud.host(cluster)
    assert cloud.rows(Host)[0].password.reveal() == "pw-of-the-host"
    assert "pw-of-the-host" not in json.dumps([cloud("listHosts"), cloud("listEvents")])


@pytest.fixture(params=["cloud", "sql_cloud"])
def many(request):
    """Four hosts that differ in everything a filter looks at, over the plain store and over SQL."""
    cloud = request.getfixturevalue(request.param)
    zone = cloud.zone()
    pod = cloud.pod(zone)
    c1, k1 = cloud.cluster(pod, "c1"), cloud.cluster(cloud.pod(zone, "p2"), "k1", "KVM")
    hosts = {name: cloud.host(c1, name) for name in ("h1", "h2", "h3")} | {"k9": cloud.host(k1, "k9", up=False)}
    cloud("updateConfiguration", name="ha.tag", value="ha")
    cloud("updateHost", id=hosts["h2"]["id"], hosttags="ha,ssd")
    cloud("updateHost", id=hosts["h3"]["id"], allocationstate="Disable")
    for name in ("h1", "h2"):
        cloud.configure_oobm(hosts[name])
    cloud.enable_oobm(hosts["h1"])
    server = ManagementServer(uuid="0b1d2f3a-0000-4000-8000-000000000001", msid=1, runid=1, name="ms1")
    [server_id] = cloud.store.commit([Insert(server)])
    cloud.set(cloud.row(Host, hosts["h1"]["id"]), mgmt_server_id=server_id)
    cloud.hosts, cloud.zone_, cloud.c1 = hosts, zone, c1
    return cloud


FILTERS = [
    ({}, ["h1", "h2", "h3", "k9"]),
    ({"id": "h2"}, ["h2"]),
    ({"ids": "h2,k9"}, ["h2", "k9"]),
    ({"name": "h3"}, ["h3"]),
    ({"name": "h"}, []),
    ({"keyword": "H"}, ["h1", "h2", "h3"]),
    ({"zoneid": "zone"}, ["h1", "h2", "h3", "k9"]),
    ({"clusterid": "c1"}, ["h1", "h2", "h3"]),
    ({"podid": "c1"}, ["h1", "h2", "h3"]),
    ({"type": "Routing"}, ["h1", "h2", "h3", "k9"]),
    ({"type": "SecondaryStorage"}, []),
    ({"state": "Up"}, ["h1", "h2", "h3"]),
    ({"state": "Connecting"}, ["k9"]),
    ({"resourcestate": "Disabled"}, ["h3"]),
    ({"hypervisor": "KVM"}, ["k9"]),
    ({"hahost": "true"}, ["h2"]),
    ({"hahost": "false"}, ["h1", "h3", "k9"]),
    ({"outofbandmanagementenabled": "true"}, ["h1"]),
    ({"outofbandmanagementenabled": "false"}, ["h2", "h3", "k9"]),
    ({"outofbandmanagementpowerstate": "On"}, ["h1"]),
    ({"outofbandmanagementpowerstate": "Disabled"}, ["h2", "h3", "k9"]),
    ({"outofbandmanagementpowerstate": "Off"}, []),
    ({"managementserverid": "0b1d2f3a-0000-4000-8000-000000000001"}, ["h1"]),
    ({"hahost": "false", "state": "Up", "resourcestate": "Enabled", "keyword": "h"}, ["h1"]),
    ({"page": 2, "pagesize": 3}, ["k9"]),
]


def test_hosts_are_found_by_every_filter(many):
    """Alone and together, over both stores."""
    known = {name: host["id"] for name, host in many.hosts.items()}
    known |= {"zone": many.zone_["id"]}
    place = {"clusterid": many.c1["id"], "podid": many.c1["podid"]}
    for wanted, names in FILTERS:
        sent = {}
        for key, value in wanted.items():
            found = ",".join(known.get(part, part) for part in str(value).split(","))
            sent[key] = value if key in ("name", "keyword") else place.get(key, found)
        assert many.names("listHosts", **sent) == names, wanted
    declared = {one.name for one in many.registry.commands["listHosts"].parameters}
    assert declared - {key for wanted, _ in FILTERS for key in wanted} == {"details", "virtualmachineid"}


def test_the_fields_of_a_host_are_those_clients_read(many):
    """Types as CloudStack's: percentages and overcommitted amounts are text."""
    host = many.one("listHosts", id=many.hosts["h1"]["id"])
    assert (host["cpunumber"], host["cpuspeed"], host["memorytotal"]) == (4, 2000, 8 << 30)
    assert (host["cpuallocated"], host["memoryallocated"], host["cpuwithoverprovisioning"]) == ("0.00%", 0, "8000.0")
    assert host["managementservername"] == "ms1"
    assert host["outofbandmanagement"]["powerstate"] == "On"
    assert host["outofbandmanagement"]["password"] == "****"
    assert host["hahost"] is False


def test_less_is_shown_when_less_is_asked_for(many):
    """details=min leaves out what costs reads; an unknown word is refused."""
    assert "memoryallocated" not in many.one("listHosts", id=many.hosts["h1"]["id"], details="min")
    assert "memoryallocated" in many.one("listHosts", id=many.hosts["h1"]["id"], details="min,capacity")
    code, text = many.refused("listHosts", details="most")
    assert (code, "allowed are all, capacity, core, events, min, stats" in text) == (431, True)


def test_bad_filters_are_refused(cloud):
    """Malformed and unknown ids, a power state that is none, half a page."""
    assert cloud.refused("listHosts", id="-1")[0] == 431
    assert cloud.refused("listHosts", id=UNKNOWN)[0] == 431
    assert cloud.refused("listHosts", outofbandmanagementpowerstate="on")[0] == 431
    assert cloud.refused("listHosts", hahost="yes")[0] == 431
    assert "pagesize" in cloud.refused("listHosts", pagesize=5)[1]


def test_an_unused_ha_tag_is_warned_of_on_every_host_of_the_zone(cloud, cluster):
    """M4.2: before the crash, not after it."""
    host = cloud.host(cluster)
    assert cloud.one("listHosts", id=host["id"])["hawarnings"] == []
    cloud("updateConfiguration", name="ha.tag", value="ha")
    [warning] = cloud.one("listHosts", id=host["id"])["hawarnings"]
    assert "will NOT be restarted" in warning
    assert cloud.one("listZones")["hawarnings"] == [warning]
    cloud("updateHost", id=host["id"], hosttags="ha")
    shown = cloud.one("listHosts", id=host["id"])
    assert (shown["hahost"], shown["hawarnings"]) == (True, [])


def test_secret_details_are_not_shown(cloud, cluster):
    """Whatever somebody keeps in host_details by hand."""
    host = cloud.host(cluster)
    row = cloud.row(Host, host["id"])
    cloud.store.commit([Insert(HostDetail(host_id=row.id, name=n, value="v")) for n in ("iqn", "chap.Password")])
    assert cloud.one("listHosts", id=host["id"])["details"] == {"iqn": "v"}


def test_a_host_is_changed(cloud, cluster):
    """Disabling raises alloc_version, so that no start slips in behind it; tags are replaced as a whole."""
    host = cloud.host(cluster, hosttags="a,b")
    before = cloud.row(Host, host["id"]).alloc_version
    changed = cloud.one("updateHost", id=host["id"], allocationstate="Disable", hosttags="b,c")
    assert (changed["resourcestate"], changed["hosttags"]) == ("Disabled", "b,c")
    assert cloud.row(Host, host["id"]).alloc_version == before + 1
    assert "hosttags" not in cloud.one("updateHost", id=host["id"], hosttags="")
    assert cloud.one("updateHost", id=host["id"], allocationstate="Enable")["resourcestate"] == "Enabled"
    assert cloud.one("updateHost", id=host["id"], name="new")["name"] == "new"


def test_bad_changes_of_a_host_are_refused(cloud, cluster):
    """A state that is none, a taken name, enabling what is in maintenance."""
    host, _ = cloud.host(cluster, "h1"), cloud.host(cluster, "h2")
    assert "allowed is Enable or Disable" in cloud.refused("updateHost", id=host["id"], allocationstate="Off")[1]
    assert "there is a host 'h2' already" in cloud.refused("updateHost", id=host["id"], name="h2")[1]
    cloud.set(cloud.row(Host, host["id"]), resource_state="Maintenance")
    assert "cancelHostMaintenance" in cloud.refused("updateHost", id=host["id"], allocationstate="Enable")[1]


def test_a_host_with_a_live_run_is_never_removed(site):
    """Not by force, not in maintenance: its VMs could run twice (S1)."""
    cloud = site.cloud
    vm = cloud.run(site.deploy(), site.first)
    for state in ("Enabled", "Disabled", "Maintenance"):
        cloud.set(cloud.row(Host, site.first["id"]), resource_state=state)
        code, text = cloud.refused("deleteHost", id=site.first["id"], forced="true")
        assert code == 536
        assert "1 VM runs that nobody has proved to be over" in text
    [permit] = cloud.rows(Permit)
    cloud.set(permit, state="ended")
    assert "VM HA-TEST-VM1 is Running on host" in cloud.refused("deleteHost", id=site.first["id"], forced="true")[1]
    cloud.set(cloud.row(Vm, vm.uuid), state="Stopped", host_id=None)
    row = cloud.row(Host, site.first["id"])
    cloud.store.commit([Insert(Work(instance_id=vm.id, reason="HostFenced", host_id=row.id))])
    assert "still wait for their restart" in cloud.refused("deleteHost", id=site.first["id"], forced="true")[1]
    [work] = cloud.rows(Work)
    cloud.set(work, step="Done")
    assert cloud("deleteHost", id=site.first["id"], forced="true") == {"success": True}
    assert cloud.names("listHosts") == ["ablecube33"]


def test_removing_a_host_takes_its_belongings_along(cloud, cluster):
    """BMC credentials above all; the name is free again."""
    host = cloud.host(cluster, hosttags="a")
    cloud.configure_oobm(host)
    cloud.configure_ha(host)
    assert "call prepareHostForMaintenance first" in cloud.refused("deleteHost", id=host["id"])[1]
    cloud("updateHost", id=host["id"], allocationstate="Disable")
    assert "say forced=true" in cloud.refused("deleteHost", id=host["id"])[1]
    assert cloud("deleteHost", id=host["id"], forced="true") == {"success": True}
    assert cloud.rows(HostTag) == cloud.rows(Oobm) == cloud.rows(HaConfig) == []
    row = cloud.row(Host, host["id"])
    assert (row.status, row.password) == ("Removed", None)
    assert cloud.refused("listHosts", id=host["id"])[0] == 431
    cloud.host(cluster)


def test_a_host_in_maintenance_is_removed_without_force(cloud, cluster):
    """As Ansible's cs_host does it."""
    host = cloud.host(cluster)
    cloud.set(cloud.row(Host, host["id"]), resource_state="Maintenance")
    assert cloud("deleteHost", id=host["id"]) == {"success": True}


def test_jobs_of_hosts(cloud, cluster):
    """What a management server is told, and what the client sees in the end."""
    host = cloud.host(cluster)
    row = cloud.row(Host, host["id"])
    for command in ("reconnectHost", "prepareHostForMaintenance"):
        job = cloud.job(command, id=host["id"])
        assert (json.loads(job.job_cmd_info), job.host_id) == ({"id": row.id}, row.id)
        assert (job.instance_type, job.instance_uuid) == ("Host", host["id"])
        assert cloud.finish(job, {"object": "host", "id": row.id})["name"] == "ablecube31"
    assert "is Enabled, not in maintenance" in cloud.refused("cancelHostMaintenance", id=host["id"])[1]
    cloud.set(row, resource_state="Maintenance")
    assert cloud.info("cancelHostMaintenance", id=host["id"]) == {"id": row.id}
    assert cloud.events("MAINT.CANCEL") == ["ordered to cancel the maintenance of host ablecube31"]


def test_a_host_is_declared_dead_only_by_name_and_only_while_silent(cloud, cluster):
    """The word of an administrator is the last proof of all."""
    host = cloud.host(cluster)
    row = cloud.row(Host, host["id"])
    assert "name is missing" in cloud.refused("declareHostDead", id=host["id"])[1]
    assert "is not the name of host" in cloud.refused("declareHostDead", id=host["id"], name="ablecube33")[1]
    code, text = cloud.refused("declareHostDead", id=host["id"], name="ablecube31")
    assert (code, "is Up: its agent is being heard" in text) == (536, True)
    cloud.set(row, status="Down")
    assert cloud.info("declareHostDead", id=host["id"], name="ablecube31") == {"id": row.id, "name": "ablecube31"}
    assert cloud.events("HA.DECLARE.DEAD") == ["ordered to take host ablecube31 for dead, on the word of admin"]


def test_words_are_found_in_any_letter_case(cloud):
    """As in CloudStack, whose database tells none apart: Ansible asks for hosts of type `routing`."""
    cluster = cloud.cluster(cloud.pod(cloud.zone()))
    cloud.host(cluster)
    for wanted in ({"type": "routing"}, {"state": "UP"}, {"resourcestate": "enabled"}, {"hypervisor": "simulator"}):
        assert cloud.names("listHosts", **wanted) == ["ablecube31"], wanted
    assert cloud.names("listClusters", hypervisor="SIMULATOR") == ["c1"]
    assert cloud("listHosts", type="storage") == {}


def test_a_host_is_not_removed_in_the_middle_of_a_fence_drill(cloud, cluster):
    """The drill would end between OFF and ON, and leave it off."""
    host = cloud.host(cluster)
    row = cloud.row(Host, host["id"])
    cloud.set(row, resource_state="Maintenance")
    [job] = cloud.store.commit(
        [Insert(AsyncJob(uuid="d", user_id=1, account_id=1, job_cmd="runFenceDrill", host_id=row.id))]
    )
    code, text = cloud.refused("deleteHost", id=host["id"])
    assert (code, "a fence drill of host ablecube31 is under way" in text) == (536, True)
    cloud.set(cloud.store.get(AsyncJob, job), job_status=1)
    assert cloud("deleteHost", id=host["id"]) == {"success": True}
