"""Zones, pods and clusters."""

import pytest

UNKNOWN = "11111111-2222-4333-8444-555555555555"


def test_a_zone_shows_what_it_was_made_with(cloud):
    """In CloudStack's fields."""
    zone = cloud.zone("seoul", guestcidraddress="10.1.1.0/24", allocationstate="Disabled")
    assert (zone["name"], zone["networktype"], zone["dns1"]) == ("seoul", "Advanced", "8.8.8.8")
    assert (zone["guestcidraddress"], zone["allocationstate"]) == ("10.1.1.0/24", "Disabled")
    assert cloud.one("listZones", id=zone["id"]) == zone
    assert cloud.events("ZONE.CREATE") == ["created zone seoul"]
    assert "inventory" in cloud.api.bell.rung


def test_lists_of_nothing_are_empty(cloud):
    """{} with neither count nor array."""
    for command in ("listZones", "listPods", "listClusters", "listHosts", "listStoragePools", "listVirtualMachines"):
        assert cloud(command) == {}
    assert cloud("listServiceOfferings") == cloud("listNetworks") == cloud("listHostHAResources") == {}
    assert cloud("listTemplates", templatefilter="all") == {}


def test_zones_are_found_by_every_filter(cloud):
    """Alone and together."""
    seoul, busan = cloud.zone("seoul"), cloud.zone("busan", allocationstate="Disabled")
    assert cloud.names("listZones") == ["busan", "seoul"]
    assert cloud.names("listZones", id=busan["id"]) == ["busan"]
    assert cloud.names("listZones", ids=f"{seoul['id']},{busan['id']}") == ["busan", "seoul"]
    assert cloud.names("listZones", name="seoul") == ["seoul"]
    assert cloud.names("listZones", keyword="EO") == ["seoul"]
    assert cloud.names("listZones", available="true") == ["seoul"]
    assert cloud.names("listZones", networktype="Basic") == []
    assert cloud.names("listZones", page=2, pagesize=1) == ["seoul"]


def test_a_zone_is_changed_and_what_is_not_given_stays(cloud):
    """And the event says what."""
    zone = cloud.zone()
    changed = cloud.one("updateZone", id=zone["id"], name="z9", dns2="9.9.9.9", allocationstate="Disabled")
    assert (changed["name"], changed["dns1"], changed["dns2"]) == ("z9", "8.8.8.8", "9.9.9.9")
    assert cloud.events("ZONE.EDIT") == ["changed zone z1: allocation_state=Disabled, dns2=9.9.9.9, name=z9"]
    assert cloud.one("updateZone", id=zone["id"]) == changed


def test_names_are_taken_only_while_their_bearer_is_there(cloud):
    """A name is refused with 431 naming the parameter, and free again after the delete."""
    zone = cloud.zone()
    code, text = cloud.refused("createZone", name="z1")
    assert (code, text) == (431, "parameter name: there is a zone 'z1' already; choose another name")
    other = cloud.zone("z2")
    assert cloud.refused("updateZone", id=other["id"], name="z1")[0] == 431
    assert cloud("deleteZone", id=zone["id"]) == {"success": True}
    assert cloud.zone()["id"] != zone["id"]


def test_what_is_not_empty_is_not_deleted(cloud):
    """536 says what is still there."""
    zone = cloud.zone()
    pod = cloud.pod(zone)
    cluster = cloud.cluster(pod)
    host = cloud.host(cluster)
    assert cloud.refused("deleteZone", id=zone["id"]) == (536, "zone z1 still has 1 pod: remove them first")
    assert cloud.refused("deletePod", id=pod["id"])[1] == "pod p1 still has 1 cluster: remove them first"
    assert cloud.refused("deleteCluster", id=cluster["id"])[1] == "cluster c1 still has 1 host: remove them first"
    cloud("updateHost", id=host["id"], allocationstate="Disable")
    cloud("deleteHost", id=host["id"], forced="true")
    for command, one in (("deleteCluster", cluster), ("deletePod", pod), ("deleteZone", zone)):
        assert cloud(command, id=one["id"]) == {"success": True}
    assert cloud("listZones") == cloud("listPods") == cloud("listClusters") == {}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "required parameter name is missing"),
        ({"name": "z", "dns1": "nowhere"}, "parameter dns1: 'nowhere' is no IP address"),
        ({"name": "z", "guestcidraddress": "10.1"}, "parameter guestcidraddress: '10.1' is no network"),
        ({"name": "z", "networktype": "Odd"}, "allowed is one of Basic, Advanced"),
        ({"name": "z", "allocationstate": "enabled"}, "allowed is one of Enabled, Disabled"),
        ({"name": "z" * 256}, "it has 256 characters, 255 are allowed"),
    ],
)
def test_bad_zones_are_refused(cloud, parameters, said):
    """431 naming parameter, value and what is allowed."""
    code, text = cloud.refused("createZone", **parameters)
    assert code == 431
    assert said in text


def test_pods_are_listed_by_every_filter(cloud):
    """With the zone's name beside its id."""
    first, second = cloud.zone("z1"), cloud.zone("z2")
    pod = cloud.pod(first, "p1", startip="10.0.0.10", endip="10.0.0.20", allocationstate="Disabled")
    cloud.pod(second, "p1")
    assert (pod["zonename"], pod["startip"], pod["endip"]) == ("z1", ["10.0.0.10"], ["10.0.0.20"])
    assert cloud.names("listPods", zoneid=first["id"]) == ["p1"]
    assert len(cloud.names("listPods", name="p1")) == 2
    assert cloud.names("listPods", id=pod["id"]) == ["p1"]
    assert cloud.one("listPods", allocationstate="Disabled") == pod
    assert cloud.names("listPods", keyword="nothing") == []


def test_bad_pods_are_refused(cloud):
    """A name that the zone has, an unknown zone, addresses that are none."""
    zone = cloud.zone()
    cloud.pod(zone)
    assert "the zone has a pod 'p1' already" in cloud.refused("createPod", zoneid=zone["id"], name="p1")[1]
    code, text = cloud.refused("createPod", zoneid=UNKNOWN, name="p2")
    assert (code, "listZones shows the ids there are" in text) == (431, True)
    assert cloud.refused("createPod", zoneid="-1", name="p2")[0] == 431
    assert "'10/8' is no IP address" in cloud.refused("createPod", zoneid=zone["id"], name="p2", gateway="10/8")[1]
    assert "is no netmask" in cloud.refused("createPod", zoneid=zone["id"], name="p2", netmask="10.0.0.1")[1]


def test_a_cluster_is_answered_as_a_list_of_one(cloud):
    """As CloudStack's clients unwrap it, with the ratios as text."""
    pod = cloud.pod(cloud.zone())
    answer = cloud(
        "addCluster",
        clustername="c1",
        zoneid=pod["zoneid"],
        podid=pod["id"],
        hypervisor="simulator",
        clustertype="CloudManaged",
        cpuovercommitratio="2.5",
    )
    assert answer["count"] == 1
    [cluster] = answer["cluster"]
    assert (cluster["hypervisortype"], cluster["cpuovercommitratio"]) == ("Simulator", "2.5")
    assert (cluster["memoryovercommitratio"], cluster["managedstate"]) == ("1.0", "Managed")


def test_clusters_are_found_by_every_filter(cloud):
    """And changed."""
    pod = cloud.pod(cloud.zone())
    first, second = cloud.cluster(pod, "c1"), cloud.cluster(pod, "c2", "KVM", allocationstate="Disabled")
    assert cloud.names("listClusters", hypervisor="KVM") == ["c2"]
    assert cloud.names("listClusters", podid=pod["id"], zoneid=pod["zoneid"]) == ["c1", "c2"]
    assert cloud.names("listClusters", id=first["id"], name="c1", clustertype="CloudManaged") == ["c1"]
    assert cloud.names("listClusters", allocationstate="Disabled", managedstate="Managed") == ["c2"]
    changed = cloud.one("updateCluster", id=second["id"], clustername="c3", memoryovercommitratio="1.5")
    assert (changed["name"], changed["memoryovercommitratio"], changed["allocationstate"]) == ("c3", "1.5", "Disabled")
    assert cloud.refused("updateCluster", id=second["id"], clustername="c1")[0] == 431


def test_bad_clusters_are_refused(cloud):
    """A pod of another zone, a hypervisor without driver, a ratio out of range, a taken name."""
    pod, other = cloud.pod(cloud.zone("z1")), cloud.pod(cloud.zone("z2"))
    cloud.cluster(pod)
    good = {
        "clustername": "c2",
        "zoneid": pod["zoneid"],
        "podid": pod["id"],
        "hypervisor": "KVM",
        "clustertype": "CloudManaged",
    }
    for change, said in (
        ({"podid": other["id"]}, "parameter podid: pod p1 does not lie in zone z1"),
        ({"hypervisor": "VMware"}, "parameter hypervisor: 'VMware' has no driver installed; there are KVM, Simulator"),
        ({"cpuovercommitratio": "0"}, "a number from 0.1 up to 100"),
        ({"cpuovercommitratio": "nan"}, "a number from 0.1 up to 100"),
        ({"clustertype": "ExternalManaged"}, "one of CloudManaged"),
        ({"clustername": "c1"}, "the zone has a cluster 'c1' already"),
    ):
        code, text = cloud.refused("addCluster", **(good | change))
        assert code == 431
        assert said in text
