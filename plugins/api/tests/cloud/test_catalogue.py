"""Compute offerings, templates and networks."""

import pytest
from holdfast_api.network_offering import NETWORK_OFFERING_UUID


def test_an_offering_with_ha_is_made_and_found(cloud):
    """Step 6 of the scenario: 2C-4GB-HA."""
    made = cloud.offering(hapriority=7, hosttags="ssd")
    assert (made["name"], made["cpunumber"], made["cpuspeed"], made["memory"]) == ("2C-4GB-HA", 2, 1000, 4096)
    assert (made["offerha"], made["hapriority"], made["hosttags"], made["storagetype"]) == (True, 7, "ssd", "shared")
    cloud.offering("plain", offerha=False)
    assert cloud.names("listServiceOfferings") == ["2C-4GB-HA", "plain"]
    for wanted in ({"id": made["id"]}, {"name": "2C-4GB-HA"}, {"offerha": "true"}, {"keyword": "4gb"}):
        assert cloud.names("listServiceOfferings", **wanted) == ["2C-4GB-HA"]
    assert cloud("listServiceOfferings", issystem="true") == {}
    assert cloud("deleteServiceOffering", id=made["id"]) == {"success": True}
    assert cloud.names("listServiceOfferings") == ["plain"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpunumber": 0}, "a whole number from 1"),
        ({"cpuspeed": "fast"}, "a whole number from 1"),
        ({"memory": "-1"}, "a whole number from 1"),
        ({"storagetype": "cloudy"}, "one of shared, local"),
        ({"hosttags": "a,b"}, "an offering asks for one tag"),
        ({"storagetype": "local"}, "VMs on local storage cannot be restarted elsewhere"),
        ({"hapriority": 5000}, "up to 1000"),
        ({"offerha": "1"}, "true or false"),
    ],
)
def test_bad_offerings_are_refused(cloud, change, said):
    """431, and nothing is made."""
    good = {"name": "o", "displaytext": "o", "cpunumber": 1, "cpuspeed": 1000, "memory": 512, "offerha": True}
    code, text = cloud.refused("createServiceOffering", **(good | change))
    assert (code, said in text) == (431, True), text
    assert cloud("listServiceOfferings") == {}


def test_templates_are_registered_and_found(cloud):
    """Those of a zone, and those of every zone."""
    zone, other = cloud.zone("z1"), cloud.zone("z2")
    everywhere = cloud.template("debian", ostypeid="Debian 12", zoneid="-1")
    assert (everywhere["crosszones"], everywhere["isready"], everywhere["hypervisor"]) == (True, True, "Simulator")
    here = cloud.template("rocky", zoneid=zone["id"], hypervisor="KVM", format="raw")
    assert (here["zonename"], here["format"]) == ("z1", "RAW")

    def found(**wanted):
        return cloud.names("listTemplates", templatefilter="executable", **wanted)

    assert found() == found(zoneid=zone["id"]) == ["debian", "rocky"]
    assert found(zoneid=other["id"]) == ["debian"]
    assert found(hypervisor="KVM") == found(id=here["id"]) == found(name="rocky") == found(keyword="OCK") == ["rocky"]
    assert found(ids=f"{here['id']},{everywhere['id']}", zoneid=other["id"]) == ["debian"]


def test_bad_templates_are_refused(cloud):
    """And listTemplates wants its filter, as in CloudStack."""
    assert "templatefilter is missing" in cloud.refused("listTemplates")[1]
    assert "one of featured, self" in cloud.refused("listTemplates", templatefilter="mine")[1]
    good = {"name": "t", "displaytext": "t", "format": "QCOW2", "hypervisor": "KVM", "url": "http://x/t"}
    for change, said in (
        ({"format": "DOC"}, "allowed is QCOW2"),
        ({"hypervisor": "Xen"}, "has no driver installed"),
        ({"zoneid": "z"}, "there is no zone 'z'"),
    ):
        code, text = cloud.refused("registerTemplate", **(good | change))
        assert (code, said in text) == (431, True), text
    cloud.template("t")
    assert "there is a template 't' already" in cloud.refused("registerTemplate", **good)[1]


def test_networks_are_made_and_found(cloud):
    """Under the one offering there is."""
    zone, other = cloud.zone("z1"), cloud.zone("z2")
    assert cloud.one("listNetworkOfferings")["id"] == NETWORK_OFFERING_UUID
    assert cloud("listNetworkOfferings", guestiptype="Isolated") == {}
    order = {"displaytext": "n", "networkofferingid": NETWORK_OFFERING_UUID, "vlan": "100"}
    made = cloud.one(
        "createNetwork", name="n1", zoneid=zone["id"], gateway="10.1.1.1", netmask="255.255.255.0", **order
    )
    assert (made["cidr"], made["vlan"], made["zonename"], made["type"]) == ("10.1.1.0/24", "100", "z1", "Shared")
    cloud.one("createNetwork", name="n1", zoneid=other["id"], displaytext="m")
    assert cloud.one("listNetworks", zoneid=zone["id"]) == made
    assert cloud.one("listNetworks", id=made["id"]) == made
    assert len(cloud.names("listNetworks", name="n1", type="Shared", traffictype="Guest", keyword="N")) == 2
    assert cloud("listNetworks", issystem="true") == {}
    assert "has a network 'n1' already" in cloud.refused("createNetwork", name="n1", zoneid=zone["id"])[1]
    assert "is no netmask" in cloud.refused("createNetwork", name="n2", zoneid=zone["id"], netmask="x")[1]
    unknown = {"networkofferingid": zone["id"]}
    assert "there is no such offering" in cloud.refused("createNetwork", name="n2", zoneid=zone["id"], **unknown)[1]
    assert cloud("deleteNetwork", id=made["id"]) == {"success": True}


def test_a_network_with_a_vm_on_it_stays(site):
    """536."""
    site.deploy()
    assert site.cloud.refused("deleteNetwork", id=site.network["id"])[0] == 536


def test_database_nodes_are_those_that_the_replication_service_saw(cloud):
    """By state and part of the name; none if that service does not run here."""
    assert cloud("listDatabaseNodes") == {}
    stream = {"name": "db1:3306", "receiving": True, "applying": False, "lag": 3.0, "error": "Duplicate entry"}
    nodes = [
        {"name": "db1:3306", "primary": True, "state": "Up", "problems": [], "replicas": ["db2:3306"]},
        {"name": "db2:3306", "primary": False, "state": "Broken", "problems": ["it is"], "sources": [stream]},
    ]
    cloud.api.context.live["replication.nodes"] = lambda: list(nodes)
    assert cloud.names("listDatabaseNodes") == ["db1:3306", "db2:3306"]
    [found] = cloud("listDatabaseNodes", state="Broken")["databasenode"]
    assert found["sources"][0]["error"] == "Duplicate entry"
    assert cloud.names("listDatabaseNodes", keyword="DB1") == ["db1:3306"]
