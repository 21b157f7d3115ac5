"""Compute offerings, templates and networks."""

import pytest
from holdfast.model import Vm
from holdfast_api.commands.absent import COMMANDS
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


def test_what_things_are_called_may_change(cloud):
    """And only that: what VMs were made from stays as it was. A name that is taken is refused."""
    zone = cloud.zone()
    pod, other = cloud.pod(zone, "p1"), cloud.pod(zone, "p2")
    made = {
        "updatePod": (pod, {"name": "rack1", "netmask": "255.255.0.0"}),
        "updateServiceOffering": (cloud.offering(), {"name": "2C-4GB", "displaytext": "two and four"}),
        "updateTemplate": (cloud.template(), {"name": "bookworm", "displaytext": "Debian 12"}),
        "updateNetwork": (
            cloud.one("createNetwork", name="n1", zoneid=zone["id"]),
            {"name": "guests", "displaytext": "for guests"},
        ),
        "updateStoragePool": (cloud.pool(zone), {"name": "fast", "tags": "ssd", "capacitybytes": 1 << 40}),
    }
    for command, (thing, change) in made.items():
        shown = cloud.one(command, id=thing["id"], **change)
        expected = {{"capacitybytes": "disksizetotal"}.get(key, key): value for key, value in change.items()}
        assert shown == thing | expected, command
        assert cloud.one(command, id=thing["id"]) == shown, "what is not given stays"
    assert cloud.events("POD.EDIT") == ["changed pod p1: name=rack1, netmask=255.255.0.0"]
    assert cloud.refused("updatePod", id=other["id"], name="rack1")[0] == 431


def test_templates_say_what_is_in_them(cloud):
    """By an id of listOsTypes, as Ansible does, or in words of one's own."""
    [debian] = cloud("listOsTypes", description="Debian GNU/Linux 12 (64-bit)")["ostype"]
    assert cloud("listOsTypes", keyword="gnu/linux 12")["ostype"] == [debian]
    assert len(cloud("listOsTypes", page=1, pagesize=5)["ostype"]) == 5
    listed = cloud.template("listed", ostypeid=debian["id"])
    assert (listed["ostypeid"], listed["ostypename"]) == (debian["id"], "Debian GNU/Linux 12 (64-bit)")
    own = cloud.template("own", ostypeid="Plan 9")
    assert own["ostypename"] == "Plan 9"
    assert own["ostypeid"] not in {one["id"] for one in cloud("listOsTypes")["ostype"]}
    assert cloud.one("updateTemplate", id=own["id"], ostypeid=debian["id"])["ostypeid"] == debian["id"]
    assert cloud("deleteTemplate", id=own["id"]) == {"success": True}
    assert cloud.names("listTemplates", templatefilter="all") == ["listed"]


def test_a_template_with_a_vm_made_from_it_stays(site):
    """536: the VM's disk grows from the image."""
    site.deploy()
    assert site.cloud.refused("deleteTemplate", id=site.template["id"])[0] == 536


def test_a_volume_is_the_root_disk_of_a_vm(site):
    """It is ready once the VM has run; that of a destroyed VM is not shown."""
    cloud, vm = site.cloud, site.deploy()
    cloud.pool(cloud.one("listZones"), "other", "sim://other/b")
    volume = cloud.one("listVolumes", virtualmachineid=vm["id"])
    assert (volume["type"], volume["vmname"], volume["storage"]) == ("ROOT", vm["name"], vm["storagename"])
    assert (volume["state"], volume["templateid"]) == ("Allocated", vm["templateid"])
    for wanted in ({"id": volume["id"]}, {"name": volume["name"]}, {"type": "ROOT"}, {"storageid": vm["storageid"]}):
        assert cloud.one("listVolumes", **wanted) == volume
    for absent in ({"type": "DATADISK"}, {"name": "ROOT-0"}, {"name": "disk"}, {"id": vm["id"]}):
        assert cloud("listVolumes", **absent) == {}
    row = cloud.set(cloud.row(Vm, vm["id"]), run_epoch=1)
    assert cloud.one("listVolumes", id=volume["id"])["state"] == "Ready"
    cloud.set(row, state="Destroyed")
    assert cloud("listVolumes") == {}


def test_affinity_groups_are_those_that_vms_name(site):
    """There is nothing else to them."""
    cloud = site.cloud
    assert cloud("listAffinityGroups") == {}
    first, second = (site.deploy(name=name, affinitygroupnames="web") for name in ("w1", "w2"))
    alone = site.deploy(name="a1", affinitygroupnames="alone")
    assert cloud.names("listAffinityGroups") == ["alone", "web"]
    [group] = cloud("listAffinityGroups", virtualmachineid=second["id"])["affinitygroup"]
    assert group["virtualmachineIds"] == [first["id"], second["id"]]
    assert cloud.names("listAffinityGroups", keyword="ALO") == ["alone"]
    assert cloud.names("listAffinityGroups", id=group["id"], type="host anti-affinity") == ["web"]
    assert cloud("listAffinityGroups", virtualmachineid=alone["id"], name="web") == {}
    assert cloud("listAffinityGroupTypes")["affinityGroupType"] == [{"type": "host anti-affinity"}]


def test_what_there_is_none_of_is_an_empty_list(cloud):
    """Clients go on from there; each says in listApis why there are none."""
    for one in COMMANDS:
        assert cloud(one.name, listall="true", page=1, pagesize=10) == {}
        assert "of which there are none" in one.description


def test_there_is_one_storage_provider(cloud):
    """Ansible looks for it before it makes a pool."""
    assert cloud.names("listStorageProviders", type="primary") == ["DefaultPrimary"]
    assert cloud("listStorageProviders", type="image") == {}
