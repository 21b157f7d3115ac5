"""VMs: made, listed by every filter, changed, and what is ordered for them."""

import json

import pytest
from holdfast.hooks.store import Insert
from holdfast.model import AsyncJob, Host, StoragePool, Template, Vm

UNKNOWN = "11111111-2222-4333-8444-555555555555"


def test_a_vm_is_made_stopped_and_copies_its_offering(site):
    """Create-async: id and job. The row is there at once, Stopped, and never ran."""
    cloud = site.cloud
    answer = cloud("deployVirtualMachine", displayname="first", hostid=site.first["id"], **site.wanted())
    assert set(answer) == {"id", "jobid"}
    row = cloud.row(Vm, answer["id"])
    first = cloud.row(Host, site.first["id"])
    assert (row.state, row.run_epoch, row.host_id) == ("Stopped", 0, None)
    assert (row.cpu, row.cpu_speed, row.ram, row.ha_enabled) == (2, 1000, 4096, True)
    assert (row.cluster_id, row.pod_id) == (first.cluster_id, first.pod_id)
    vm = cloud.one("listVirtualMachines", id=answer["id"])
    assert (vm["name"], vm["displayname"], vm["haenable"], vm["storagename"]) == ("HA-TEST-VM1", "first", True, "pool1")
    assert (vm["serviceofferingname"], vm["templatename"], vm["account"]) == ("2C-4GB-HA", "debian", "admin")
    assert (vm["hypervisor"], vm["nic"][0]["networkname"], vm["runepoch"]) == ("Simulator", "net1", 0)
    assert cloud.events("VM.CREATE") == ["made VM HA-TEST-VM1 in zone z1"]


def test_the_job_of_a_deployment(site):
    """Exactly the VM, the host if one was named, and whether to start it."""
    cloud = site.cloud
    job = cloud.job("deployVirtualMachine", hostid=site.first["id"], keyboard="us", **site.wanted("a"))
    vm, host = cloud.rows(Vm, name="a")[0], cloud.row(Host, site.first["id"])
    assert json.loads(job.job_cmd_info) == {"startvm": True, "hostid": host.id}
    assert (job.host_id, job.instance_type, job.instance_uuid) == (host.id, "VirtualMachine", vm.uuid)
    assert cloud.finish(job, {"object": "virtualmachine", "id": vm.id})["name"] == "a"
    told = cloud.info("deployVirtualMachine", startvm="false", **site.wanted("b"))
    assert told == {"startvm": False}


def test_a_vm_and_its_job_are_one_batch(site):
    """No crash leaves a VM that was asked for without the job that starts it, nor a job without its VM."""
    cloud = site.cloud
    batches = []
    commit = cloud.store.commit

    def watched(changes):
        batches.append([type(change.row) for change in changes if isinstance(change, Insert)])
        return commit(changes)

    cloud.store.commit = watched
    try:
        cloud("deployVirtualMachine", **site.wanted())
    finally:
        del cloud.store.commit
    assert [Vm in batch for batch in batches] == [AsyncJob in batch for batch in batches]
    assert sum(Vm in batch for batch in batches) == 1


def test_a_vm_without_a_name_gets_one(site):
    """And the zone's only network."""
    order = site.wanted()
    del order["name"], order["networkids"]
    made = site.cloud("deployVirtualMachine", affinitygroupnames="web", **order)
    vm = site.cloud.one("listVirtualMachines", id=made["id"])
    assert vm["name"] == f"VM-{made['id']}"
    assert (vm["affinitygroup"], vm["nic"][0]["networkname"]) == ([{"name": "web"}], "net1")


def test_a_vm_that_a_host_has_no_room_for_is_refused(site):
    """533 with what it needs and what is free; nothing is made."""
    cloud = site.cloud
    huge = cloud.offering("huge", memory=9000, cpunumber=8)
    wanted = site.wanted() | {"serviceofferingid": huge["id"], "hostid": site.first["id"]}
    code, text = cloud.refused("deployVirtualMachine", **wanted)
    assert code == 533
    assert "needs 9000 MB of memory, 8192 MB free of 8192 MB" in text
    assert cloud.rows(Vm) == []
    cloud.one("updateCluster", id=site.cluster["id"], memoryovercommitratio="2")
    assert "id" in cloud("deployVirtualMachine", **wanted)


def test_what_runs_on_a_host_takes_its_room(site):
    """listHosts shows it, and the next VM is measured against what is left."""
    cloud = site.cloud
    for name in ("a", "b"):
        cloud.run(site.deploy(name), site.first)
    host = cloud.one("listHosts", id=site.first["id"])
    assert (host["cpuallocated"], host["cpuallocatedvalue"]) == ("50.00%", 4000)
    assert (host["memoryallocated"], host["hasenoughcapacity"]) == (8 << 30, False)
    code, text = cloud.refused("deployVirtualMachine", hostid=site.first["id"], **site.wanted("c"))
    assert (code, "0 MB free of 8192 MB" in text) == (533, True)


def test_without_storage_there_is_no_vm(cloud):
    """533 says which command makes some; an Up pool that reaches no host is none."""
    zone = cloud.zone()
    cluster = cloud.cluster(cloud.pod(zone))
    host = cloud.host(cluster)
    empty = cloud.cluster(cloud.one("listPods"), "c2")
    cloud.pool(zone, "far", "sim://far/a", clusterid=empty["id"])
    order = {
        "zoneid": zone["id"],
        "serviceofferingid": cloud.offering()["id"],
        "templateid": cloud.template()["id"],
        "name": "a",
    }
    code, text = cloud.refused("deployVirtualMachine", **order)
    assert (code, "createStoragePool with scope ZONE or CLUSTER" in text) == (533, True)
    near = cloud.pool(zone, "near", "sim://near/a", clusterid=cluster["id"])
    cloud.set(cloud.row(StoragePool, near["id"]), status="Maintenance")
    assert cloud.refused("deployVirtualMachine", hostid=host["id"], **order)[0] == 533
    cloud.set(cloud.row(StoragePool, near["id"]), status="Up")
    made = cloud("deployVirtualMachine", **order)
    assert cloud.one("listVirtualMachines", id=made["id"])["storagename"] == "near"


def test_local_storage_ties_a_vm_to_its_host(site):
    """So the host must be named, and the VM remembers it."""
    cloud = site.cloud
    local = cloud.offering("local", storagetype="local", offerha=False)
    order = site.wanted() | {"serviceofferingid": local["id"]}
    assert "parameter hostid is missing" in cloud.refused("deployVirtualMachine", **order)[1]
    order["hostid"] = site.first["id"]
    assert "no local storage pool" in cloud.refused("deployVirtualMachine", **order)[1]
    cloud.pool(site.zone, "disk", "file:///v", scope="HOST", clusterid=site.cluster["id"])
    made = cloud("deployVirtualMachine", **order)
    assert cloud.one("listVirtualMachines", id=made["id"])["lasthostid"] == site.first["id"]


def test_bad_deployments_are_refused(site):
    """Each says what is wrong; no VM is made."""
    cloud = site.cloud
    other = cloud.zone("z2")
    far = cloud.host(cloud.cluster(cloud.pod(other), "c9"), "far")
    kvm = cloud.host(cloud.cluster(site.pod, "k", "KVM"), "node1")
    net = cloud.one("createNetwork", name="n9", displaytext="n", zoneid=other["id"])
    tagged = cloud.offering("ssd", hosttags="ssd")
    raw = cloud.template("raw")
    cloud.set(cloud.row(Template, raw["id"]), is_ready=False)
    there = cloud.template("there", zoneid=other["id"])
    for change, code, said in (
        ({"templateid": UNKNOWN}, 431, "there is no template with this id"),
        ({"templateid": there["id"]}, 431, "belongs to another zone"),
        ({"templateid": raw["id"]}, 431, "is not ready yet"),
        ({"serviceofferingid": "x"}, 431, "a UUID is needed"),
        ({"zoneid": ""}, 431, "required parameter zoneid is empty"),
        ({"hypervisor": "KVM"}, 431, "template debian is made for Simulator"),
        ({"networkids": net["id"]}, 431, "network n9 does not lie in zone z1"),
        ({"networkids": f"{site.network['id']},{net['id']}"}, 431, "network n9 does not lie in zone z1"),
        ({"hostid": far["id"]}, 431, "host far does not lie in zone z1"),
        ({"hostid": kvm["id"]}, 431, "host node1 runs KVM"),
        ({"hostid": site.first["id"], "serviceofferingid": tagged["id"]}, 431, "asks for a host with tag ssd"),
        ({"name": "no_underscore"}, 431, "is no host name"),
        ({"name": "-x"}, 431, "is no host name"),
        ({"affinitygroupnames": "a,b"}, 431, "a VM is in one group"),
        ({"startvm": "maybe"}, 431, "true or false"),
    ):
        found, text = cloud.refused("deployVirtualMachine", **(site.wanted() | change))
        assert (found, said in text) == (code, True), text
    cloud("updateZone", id=site.zone["id"], allocationstate="Disabled")
    assert cloud.refused("deployVirtualMachine", **site.wanted())[0] == 533
    assert cloud.rows(Vm) == []


def test_a_host_that_takes_no_vms_is_refused(site):
    """Disabled, not Up, or dedicated to HA."""
    cloud = site.cloud
    order = site.wanted() | {"hostid": site.first["id"]}
    row = cloud.row(Host, site.first["id"])
    cloud.set(row, resource_state="Disabled")
    assert "it is Up and Disabled" in cloud.refused("deployVirtualMachine", **order)[1]
    cloud.set(row, resource_state="Enabled", status="Down")
    assert cloud.refused("deployVirtualMachine", **order)[0] == 533
    cloud.set(row, status="Up")
    cloud("updateConfiguration", name="ha.tag", value="ha")
    cloud("updateHost", id=site.first["id"], hosttags="ha")
    code, text = cloud.refused("deployVirtualMachine", **order)
    assert (code, "takes only VMs restarted by HA" in text) == (431, True)


def test_names_of_vms_are_unique_in_their_zone(site):
    """Letter case aside, as host names are."""
    site.deploy("web")
    code, text = site.cloud.refused("deployVirtualMachine", **site.wanted("WEB"))
    assert (code, "the zone has a VM 'WEB' already" in text) == (431, True)
    site.deploy("we")


@pytest.fixture(params=["site", "sql_site"])
def many(request):
    """Three VMs that differ in everything a filter looks at, over the plain store and over SQL."""
    site = request.getfixturevalue(request.param)
    cloud = site.cloud
    site.vms = {name: site.deploy(name) for name in ("a1", "a2")}
    plain = cloud.offering("plain", offerha=False, memory=512)
    kvm = cloud.template("kvm", hypervisor="KVM")
    changed = {"serviceofferingid": plain["id"], "templateid": kvm["id"], "affinitygroupnames": "web"}
    made = cloud("deployVirtualMachine", **(site.wanted("b1") | changed))
    site.vms["b1"] = cloud.one("listVirtualMachines", id=made["id"])
    cloud.run(site.vms["a1"], site.first)
    cloud.set(cloud.row(Vm, site.vms["b1"]["id"]), state="Destroyed")
    site.known = {name: vm["id"] for name, vm in site.vms.items()} | {
        "first": site.first["id"], "zone": site.zone["id"], "pod": site.pod["id"], "cluster": site.cluster["id"],
        "pool": site.pool["id"], "net": site.network["id"], "debian": site.template["id"], "plain": plain["id"],
    }  # fmt: skip
    return site


FILTERS = [
    ({}, ["a1", "a2", "b1"]),
    ({"id": "=a2"}, ["a2"]),
    ({"ids": "=a1,=b1"}, ["a1", "b1"]),
    ({"name": "a1"}, ["a1"]),
    ({"name": "a"}, []),
    ({"keyword": "A"}, ["a1", "a2"]),
    ({"state": "Running"}, ["a1"]),
    ({"state": "Present"}, ["a1", "a2"]),
    ({"state": "present"}, ["a1", "a2"]),
    ({"state": "Destroyed"}, ["b1"]),
    ({"hostid": "=first"}, ["a1"]),
    ({"zoneid": "=zone"}, ["a1", "a2", "b1"]),
    ({"podid": "=pod"}, ["a1"]),
    ({"clusterid": "=cluster"}, ["a1"]),
    ({"storageid": "=pool"}, ["a1", "a2", "b1"]),
    ({"networkid": "=net"}, ["a1", "a2", "b1"]),
    ({"templateid": "=debian"}, ["a1", "a2"]),
    ({"templateid": "=debian", "hypervisor": "KVM"}, []),
    ({"serviceofferingid": "=plain"}, ["b1"]),
    ({"hypervisor": "KVM"}, ["b1"]),
    ({"haenable": "true"}, ["a1", "a2"]),
    ({"haenable": "false"}, ["b1"]),
    ({"account": "admin"}, ["a1", "a2", "b1"]),
    ({"account": "nobody"}, []),
    ({"affinitygroup": "web"}, ["b1"]),
    ({"haenable": "true", "state": "Stopped", "keyword": "a"}, ["a2"]),
    ({"page": 2, "pagesize": 2}, ["b1"]),
    ({"listall": "true", "isrecursive": "true"}, ["a1", "a2", "b1"]),
]


def test_vms_are_found_by_every_filter(many):
    """Alone and together, over both stores."""
    for wanted, names in FILTERS:
        sent = {
            key: ",".join(many.known[part[1:]] if part.startswith("=") else part for part in str(value).split(","))
            for key, value in wanted.items()
        }
        assert many.cloud.names("listVirtualMachines", **sent) == names, wanted
    declared = {one.name for one in many.cloud.registry.commands["listVirtualMachines"].parameters}
    assert declared - {key for wanted, _ in FILTERS for key in wanted} == {"domainid"}


def test_a_vm_is_changed(site):
    """Name, display name, HA, priority and what it depends on."""
    cloud = site.cloud
    one, two = site.deploy("a"), site.deploy("b")
    changes = {"name": "c", "displayname": "new", "hapriority": 9, "dependson": two["id"], "haenable": "false"}
    vm = cloud.one("updateVirtualMachine", id=one["id"], **changes)
    assert (vm["name"], vm["displayname"], vm["hapriority"], vm["dependson"]) == ("c", "new", 9, [two["id"]])
    assert vm["haenable"] is False
    assert cloud.row(Vm, one["id"]).depends_on == two["id"]
    assert "dependson" not in cloud.one("updateVirtualMachine", id=one["id"], dependson="")
    assert cloud.one("updateVirtualMachine", id=one["id"], haenable="true")["haenable"] is True
    assert len(cloud.events("VM.UPDATE")) == 3


def test_bad_changes_of_a_vm_are_refused(site):
    """HA that the offering does not offer, a ring of dependencies, a taken name."""
    cloud = site.cloud
    plain = cloud.offering("plain", offerha=False)
    a, b = site.deploy("a"), site.deploy("b", serviceofferingid=plain["id"])
    cloud.one("updateVirtualMachine", id=b["id"], dependson=a["id"])
    for one, change, said in (
        (b, {"haenable": "true"}, "has service offering plain, which does not offer HA"),
        (a, {"dependson": b["id"]}, "VM a would depend on itself"),
        (a, {"dependson": a["id"]}, "VM a would depend on itself"),
        (a, {"dependson": UNKNOWN}, "there is no virtualmachine with this id"),
        (a, {"name": "b"}, "the zone has a VM 'b' already"),
        (a, {"name": "b b"}, "is no host name"),
    ):
        code, text = cloud.refused("updateVirtualMachine", id=one["id"], **change)
        assert (code, said in text) == (431, True), text


def test_what_is_ordered_for_a_running_vm(site):
    """Routed to its host, with exactly the documented parameters."""
    cloud = site.cloud
    vm = site.deploy()
    row = cloud.run(vm, site.first)
    second = cloud.row(Host, site.second["id"])
    for command, sent, told in (
        ("stopVirtualMachine", {"id": vm["id"]}, {"id": row.id, "forced": False}),
        ("stopVirtualMachine", {"id": vm["id"], "forced": "true"}, {"id": row.id, "forced": True}),
        ("rebootVirtualMachine", {"id": vm["id"]}, {"id": row.id, "forced": False}),
        ("destroyVirtualMachine", {"id": vm["id"]}, {"id": row.id, "expunge": False}),
        ("destroyVirtualMachine", {"id": vm["id"], "expunge": "true"}, {"id": row.id, "expunge": True}),
        (
            "migrateVirtualMachine",
            {"virtualmachineid": vm["id"], "hostid": site.second["id"]},
            {"virtualmachineid": row.id, "hostid": second.id},
        ),
        ("migrateVirtualMachine", {"virtualmachineid": vm["id"]}, {"virtualmachineid": row.id}),
    ):
        job = cloud.job(command, **sent)
        assert json.loads(job.job_cmd_info) == told
        assert job.host_id == row.host_id
        assert cloud.finish(job, {"object": "virtualmachine", "id": row.id})["hostname"] == "ablecube31"


def test_what_is_ordered_for_a_stopped_vm(site):
    """Start, anywhere or on a host."""
    cloud = site.cloud
    vm = site.deploy()
    row, second = cloud.row(Vm, vm["id"]), cloud.row(Host, site.second["id"])
    assert cloud.info("startVirtualMachine", id=vm["id"]) == {"id": row.id}
    assert cloud.info("startVirtualMachine", id=vm["id"], hostid=site.second["id"]) == {
        "id": row.id,
        "hostid": second.id,
    }
    assert "is Stopped, not Running" in cloud.refused("rebootVirtualMachine", id=vm["id"])[1]
    assert "only a Running VM" in cloud.refused("migrateVirtualMachine", virtualmachineid=vm["id"])[1]
    cloud.set(row, state="Destroyed")
    assert cloud.refused("startVirtualMachine", id=vm["id"])[0] == 536
    assert "expunge=true removes it for good" in cloud.refused("destroyVirtualMachine", id=vm["id"])[1]
    assert cloud.info("destroyVirtualMachine", id=vm["id"], expunge="true") == {"id": row.id, "expunge": True}


def test_a_target_that_will_not_do_is_refused_with_the_reason(site):
    """And listHosts says it of every host."""
    cloud = site.cloud
    vm = site.deploy()
    cloud.run(vm, site.first)
    far = cloud.host(cloud.cluster(cloud.pod(cloud.zone("z2")), "c9"), "far")
    near = cloud.host(cloud.cluster(site.pod, "c2"), "near")
    kvm = cloud.host(cloud.cluster(site.pod, "k", "KVM"), "node1")
    order = {"virtualmachineid": vm["id"]}
    assert cloud.refused("migrateVirtualMachine", hostid=site.first["id"], **order)[0] == 431
    code, text = cloud.refused("migrateVirtualMachine", hostid=far["id"], **order)
    assert (code, "a VM never leaves its zone" in text) == (431, True)
    code, text = cloud.refused("migrateVirtualMachine", hostid=near["id"], **order)
    assert (code, "does not reach the cluster of host near" in text) == (533, True)
    assert cloud.refused("migrateVirtualMachine", hostid=kvm["id"], **order)[0] == 533
    cloud.set(cloud.row(Host, site.second["id"]), ram=1 << 30)
    assert "has no room" in cloud.refused("migrateVirtualMachine", hostid=site.second["id"], **order)[1]
    assert "no host can take VM" in cloud.refused("migrateVirtualMachine", **order)[1]
    hosts = cloud("listHosts", virtualmachineid=vm["id"])["host"]
    assert [host["name"] for host in hosts] == ["ablecube33", "near", "node1"]
    assert not any(host["suitableformigration"] for host in hosts)
    assert all(host["unsuitablebecause"] for host in hosts)
    cloud.set(cloud.row(Host, site.second["id"]), ram=8 << 30)
    assert cloud("listHosts", virtualmachineid=vm["id"], keyword="there is none") == {}
    assert cloud("listHosts", virtualmachineid=vm["id"], keyword=hosts[0]["name"].upper())["count"] == 1
    fitting = cloud.one("listHosts", virtualmachineid=vm["id"], clusterid=site.cluster["id"])
    assert (fitting["name"], fitting["suitableformigration"], fitting["hasenoughcapacity"]) == (
        "ablecube33",
        True,
        True,
    )


def test_an_admin_may_migrate_to_a_dedicated_host(site):
    """M4.3."""
    cloud = site.cloud
    vm = site.deploy()
    cloud.run(vm, site.first)
    cloud("updateConfiguration", name="ha.tag", value="ha")
    cloud("updateHost", id=site.second["id"], hosttags="ha")
    assert cloud.info("migrateVirtualMachine", virtualmachineid=vm["id"], hostid=site.second["id"])


def test_many_vms_cost_no_more_reads_each(site):
    """A list of VMs reads each table once, however long it is."""
    cloud = site.cloud
    site.deploy("first")
    [row] = cloud.rows(Vm)
    select = cloud.store.select
    reads = []

    def counting(record, query):
        reads.append(record)
        return select(record, query)

    cloud.store.select = counting
    counts = []
    for number in (0, 60):
        extra = [{"name": f"x{n}", "uuid": f"00000000-0000-4000-8000-{n:012d}"} for n in range(number)]
        cloud.store.commit([Insert(_copy(row, **more)) for more in extra])
        reads.clear()
        assert len(cloud("listVirtualMachines")["virtualmachine"]) == number + 1
        counts.append(len(reads))
    assert counts[0] == counts[1]


def _copy(row, **more):
    names = Vm.__dataclass_fields__
    return Vm(**({name: getattr(row, name) for name in names} | {"id": 0} | more))


def _on_luns(site, **details):
    """The site with its shared storage replaced by a pool of LUNs."""
    cloud = site.cloud
    [old] = cloud.rows(StoragePool)
    cloud.set(old, status="Maintenance")
    named = {f"details[0].{name}": value for name, value in details.items()}
    return cloud.pool(site.zone, "luns1", "iscsi://10.0.0.9/iqn.x:y/2", heartbeat="none", **named)


def test_each_vm_on_a_pool_of_luns_gets_one_of_its_own(site):
    """The lowest that nobody has, and not the pool's own; one that no VM ever had comes first."""
    cloud = site.cloud
    _on_luns(site, luns="2-4,6")
    disks = []
    for name in ("a", "b"):
        made = cloud("deployVirtualMachine", startvm="false", **site.wanted(name))
        disks.append(cloud.row(Vm, made["id"]).root_disk)
    assert disks == ["3", "4"]
    cloud.set(cloud.rows(Vm, name="a")[0], removed=1.0)
    for name, lun in (("c", "6"), ("d", "3")):
        made = cloud("deployVirtualMachine", startvm="false", **site.wanted(name))
        assert cloud.row(Vm, made["id"]).root_disk == lun
    code, text = cloud.refused("deployVirtualMachine", startvm="false", **site.wanted("e"))
    assert code == 533
    assert "no free LUN" in text


def test_a_pool_of_luns_says_which_vms_may_have(site):
    """Without that no VM is made there, and what is no such list is refused with the pool."""
    cloud = site.cloud
    _on_luns(site)
    code, text = cloud.refused("deployVirtualMachine", startvm="false", **site.wanted())
    assert code == 533
    assert "luns" in text
    for wrong in ("two", "5-2", "1,,2", "0-99999", "-1"):
        more = {"zoneid": site.zone["id"], "name": "w", "url": "iscsi://10.0.0.9/iqn.x:z/1", "details[0].luns": wrong}
        assert cloud.refused("createStoragePool", **more)[0] == 431
