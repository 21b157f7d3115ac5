"""Storage pools and their heartbeats."""

import pytest
from holdfast.model import StoragePoolDetail


@pytest.mark.parametrize(
    ("hypervisor", "url", "type_", "heartbeat", "address", "path"),
    [
        ("Simulator", "sim://pool1/a", "NetworkFilesystem", "simulator", "pool1", "/a"),
        ("Simulator", "nfs://10.0.0.9/export/a", "NetworkFilesystem", "simulator", "10.0.0.9", "/export/a"),
        ("KVM", "nfs://10.0.0.9/export/a", "NetworkFilesystem", "nfs", "10.0.0.9", "/export/a"),
        ("KVM", "iscsi://10.0.0.9:3261/iqn.x:y/1", "IscsiLUN", "iscsi", "10.0.0.9", "/iqn.x:y/1"),
        ("KVM", "RBD://Mon1/pool", "RBD", None, "Mon1", "/pool"),
    ],
)
def test_the_heartbeat_follows_from_hypervisor_and_url(cloud, hypervisor, url, type_, heartbeat, address, path):
    """Simulated hosts beat on simulated pools whatever the URL."""
    zone = cloud.zone()
    cluster = cloud.cluster(cloud.pod(zone), hypervisor=hypervisor)
    pool = cloud.pool(zone, url=url, clusterid=cluster["id"], podid=cluster["podid"], provider="DefaultPrimary")
    assert (pool["type"], pool.get("heartbeat"), pool["ipaddress"], pool["path"]) == (type_, heartbeat, address, path)
    assert (pool["scope"], pool["clustername"], pool["podname"], pool["hypervisor"]) == (
        "CLUSTER",
        "c1",
        "p1",
        hypervisor,
    )


def test_local_storage_has_no_heartbeat(cloud):
    """It lives and dies with its host (M2.4)."""
    zone = cloud.zone()
    cluster = cloud.cluster(cloud.pod(zone))
    pool = cloud.pool(zone, url="file:///var/lib/vms", scope="host", clusterid=cluster["id"])
    assert (pool["scope"], pool["type"], pool.get("heartbeat")) == ("HOST", "Filesystem", None)
    assert cloud.refused("createStoragePool", zoneid=zone["id"], name="l", url="file:///v")[0] == 431


def test_a_zone_wide_pool_takes_the_hypervisor_it_is_given(cloud):
    """Without a cluster nothing else tells."""
    zone = cloud.zone()
    assert cloud.pool(zone, "a", "nfs://s/a", scope="ZONE", hypervisor="Simulator")["heartbeat"] == "simulator"
    assert cloud.pool(zone, "b", "nfs://s/b", scope="ZONE", hypervisor="KVM")["heartbeat"] == "nfs"
    assert cloud.pool(zone, "c", "nfs://s/c", heartbeat="none").get("heartbeat") is None


def test_pools_are_found_by_every_filter(cloud):
    """By place, address, path, scope and state."""
    zone = cloud.zone()
    cluster = cloud.cluster(cloud.pod(zone))
    one = cloud.pool(zone, "a", "nfs://s1/a", clusterid=cluster["id"], capacitybytes=1000, tags="ssd")
    cloud.pool(zone, "b", "nfs://s2/b")
    assert (one["disksizetotal"], one["tags"]) == (1000, "ssd")
    for wanted in (
        {"id": one["id"]},
        {"name": "a"},
        {"clusterid": cluster["id"]},
        {"podid": cluster["podid"]},
        {"ipaddress": "s1"},
        {"path": "/a"},
        {"scope": "CLUSTER"},
        {"keyword": "A", "status": "Up", "zoneid": zone["id"]},
    ):
        assert cloud.names("listStoragePools", **wanted) == ["a"]


def test_details_are_kept_and_settings_are_not_smuggled_in(cloud):
    """updateConfiguration checks settings against each other; details would not."""
    zone = cloud.zone()
    pool = cloud.pool(zone, **{"details[0].mountopts": "vers=4.2"})
    [detail] = cloud.rows(StoragePoolDetail)
    assert (detail.name, detail.value) == ("mountopts", "vers=4.2")
    smuggled = {"details[0].kvm.ha.on.storage.heartbeat": "false"}
    code, text = cloud.refused("createStoragePool", zoneid=zone["id"], name="q", url="nfs://s/q", **smuggled)
    assert (code, "updateConfiguration with storageid sets it" in text) == (431, True)
    assert pool["name"] == "pool1"


def test_bad_pools_are_refused(cloud):
    """Each says what is wrong."""
    zone, other = cloud.zone("z1"), cloud.zone("z2")
    cluster = cloud.cluster(cloud.pod(other))
    cloud.pool(zone)
    good = {"zoneid": zone["id"], "name": "n", "url": "nfs://s/p"}
    for change, said in (
        ({"url": "ftp://s/p"}, "has to begin with one of nfs://, iscsi://, sim://"),
        ({"url": "nfs:///p"}, "names no host"),
        ({"url": "nfs://u:p@s/p"}, "user and password do not belong in the URL"),
        ({"url": "nfs://s:x/p"}, "is no URL"),
        ({"url": "sim://pool1/a"}, "zone z1 has a storage pool with this url already"),
        ({"name": "pool1"}, "zone z1 has a storage pool with this name already"),
        ({"scope": "HOST"}, "parameter clusterid is missing"),
        ({"scope": "WORLD"}, "allowed is one of ZONE, CLUSTER, HOST"),
        ({"clusterid": cluster["id"]}, "cluster c1 does not lie in zone z1"),
        ({"podid": cluster["podid"]}, "pod p1 is not where the zone"),
        ({"heartbeat": "smoke"}, "allowed is one of iscsi, nfs, simulator, none"),
    ):
        code, text = cloud.refused("createStoragePool", **(good | change))
        assert code == 431
        assert said in text
    assert (
        "leave one of them out"
        in cloud.refused(
            "createStoragePool", zoneid=other["id"], name="n", url="nfs://s/p", scope="ZONE", clusterid=cluster["id"]
        )[1]
    )


def test_a_pool_with_a_disk_in_it_stays(site):
    """536 names the VM."""
    site.deploy("vm1")
    code, text = site.cloud.refused("deleteStoragePool", id=site.pool["id"], forced="true")
    assert (code, "holds the disk of VM vm1" in text) == (536, True)
    empty = site.cloud.pool(site.zone, "empty", "nfs://s/e")
    assert site.cloud("deleteStoragePool", id=empty["id"]) == {"success": True}
    assert site.cloud.names("listStoragePools") == ["pool1"]


def test_an_empty_pool_goes_into_maintenance_and_back(site):
    """Ansible does so before it removes one. With a VM's disk on it, it is refused with 536."""
    cloud, spare = site.cloud, site.cloud.pool(site.zone, "spare", "sim://spare/b")
    assert cloud.one("enableStorageMaintenance", id=spare["id"])["state"] == "Maintenance"
    vm = site.deploy()
    assert vm["storagename"] == site.pool["name"]
    assert cloud.refused("enableStorageMaintenance", id=site.pool["id"])[0] == 536
    assert cloud.one("cancelStorageMaintenance", id=spare["id"])["state"] == "Up"
    assert cloud.events("MAINT.PREPARE.PS") == ["changed storage pool spare: status=Maintenance"]
