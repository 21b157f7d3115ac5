"""PyPI's `cs`, unchanged, runs all of the guide's scenario against a fresh server, and libcloud sees the same cloud."""

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from acceptance_site import PATIENCE
from cs import CloudStack
from holdfast_cli.server_process import ServerProcess
from holdfast_cli.simulated_truth import true_runs
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

pytestmark = pytest.mark.slow

HOSTS = ("ablecube31", "ablecube32", "ablecube33")
VMS = ("HA-TEST-VM1", "HA-TEST-VM2", "HA-TEST-VM3")


def _signed(server: ServerProcess) -> Any:
    """Keys made with login and registerUserKeys, through cs itself; it keeps cookies, and sends those it is told to."""
    session = CloudStack(server.endpoint, method="post", timeout=60)
    login = session.login(username="admin", password=server.password.reveal())
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.session.cookies)
    keys = session.registerUserKeys(
        id=login["userid"], sessionkey=login["sessionkey"], headers={"Cookie": cookies}
    )["userkeys"]  # fmt: skip
    session.session.close()
    return CloudStack(
        server.endpoint, keys["apikey"], keys["secretkey"], timeout=60, fetch_result=True, poll_interval=0.1
    )


def _cloud(cs: Any) -> dict[str, Any]:
    zone = cs.createZone(name="zone1", dns1="192.0.2.53", internaldns1="192.0.2.53", networktype="Advanced")["zone"]
    pod = cs.createPod(
        zoneid=zone["id"], name="pod1", gateway="192.0.2.1", netmask="255.255.255.0", startip="192.0.2.10",
        endip="192.0.2.20",
    )["pod"]  # fmt: skip
    place = {"zoneid": zone["id"], "podid": pod["id"]}
    [cluster] = cs.addCluster(
        **place, clustername="cluster1", clustertype="CloudManaged", hypervisor="Simulator"
    )["cluster"]  # fmt: skip
    place["clusterid"] = cluster["id"]
    cs.createStoragePool(**place, name="primary1", url="sim://storage1/primary1")
    hosts = {
        name: cs.addHost(
            **place, hypervisor="Simulator", url=f"http://sim/{name}", username="root", password="word"
        )["host"][0]["id"]
        for name in HOSTS
    }  # fmt: skip
    network = cs.createNetwork(zoneid=zone["id"], name="network1", displaytext="network1")["network"]
    [template] = cs.registerTemplate(
        name="debian-12", displaytext="Debian 12", format="QCOW2", hypervisor="Simulator", zoneid=zone["id"],
        url="http://images.example/debian-12.qcow2", ostypeid="debian",
    )["template"]  # fmt: skip
    return {
        "zone": zone["id"], "cluster": cluster["id"], "hosts": hosts, "network": network["id"],
        "template": template["id"],
    }  # fmt: skip


def _until(what: str, look: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"not so: {what}"
        time.sleep(0.1)
    return found


def _libcloud(server: ServerProcess, cs: Any) -> Any:
    url = urlsplit(server.endpoint)
    driver = get_driver(Provider.CLOUDSTACK)
    return driver(key=cs.key, secret=cs.secret, host=url.hostname, port=url.port, path=url.path, secure=False)


def _look_with_libcloud(driver: Any, vms: list[Any]) -> None:
    """Apache's client asks for much that this cloud has none of on the way to what it has."""
    assert {node.name: node.state for node in driver.list_nodes()} == dict.fromkeys(VMS, "running")
    assert [size.name for size in driver.list_sizes()] == ["2C-4GB-HA"]
    assert [image.name for image in driver.list_images()] == ["debian-12"]
    assert {volume.extra["instance_id"] for volume in driver.list_volumes()} == {vm["id"] for vm in vms}
    [node] = [node for node in driver.list_nodes() if node.name == VMS[0]]
    assert driver.ex_stop(node) == "Stopped"
    assert driver.ex_start(node) == "Running"
    made = driver.create_node(
        name="libcloud1", size=driver.list_sizes()[0], image=driver.list_images()[0],
        location=driver.list_locations()[0], networks=driver.ex_list_networks(),
    )  # fmt: skip
    assert driver.destroy_node(made)


def test_cs_runs_the_whole_scenario(tmp_path: Path) -> None:
    """Eight steps; the VMs run once, elsewhere."""
    with ServerProcess(tmp_path) as server:
        server.start()
        cs = _signed(server)
        cloud = _cloud(cs)
        hosts = cloud["hosts"]
        _until("hosts are Up", lambda: {host["state"] for host in cs.listHosts(fetch_list=True)} == {"Up"})

        assert cs.enableHAForZone(zoneid=cloud["zone"])["success"] is True
        assert cs.enableHAForCluster(clusterid=cloud["cluster"], includehost=True)["success"] is True
        for index, uuid in enumerate(hosts.values()):
            configured = cs.configureOutOfBandManagement(
                hostid=uuid, driver="simulator", address=f"203.0.113.{11 + index}", port="623", username="admin",
                password="word", manageconsoleprotocol="https",
            )["outofbandmanagement"]  # fmt: skip
            assert configured["driver"] == "simulator"
            assert configured["password"] != "word"
            enabled = cs.enableOutOfBandManagementForHost(hostid=uuid)["outofbandmanagement"]
            assert enabled["enabled"] is True

        def available() -> Any:
            return all(
                host["hostha"] | {"hastate": "Available", "haprovider": "simulatorhaprovider"} == host["hostha"]
                for host in cs.listHosts(fetch_list=True)
            )

        _until("every host is Available", available)
        offering = cs.createServiceOffering(
            name="2C-4GB-HA", displaytext="2 cores, 4 GB, HA", cpunumber=2, cpuspeed=1000, memory=4096, offerha=True
        )["serviceoffering"]
        assert offering["offerha"] is True
        for name in VMS:
            vm = cs.deployVirtualMachine(
                name=name, displayname=name, zoneid=cloud["zone"], templateid=cloud["template"],
                serviceofferingid=offering["id"], networkids=[cloud["network"]], hostid=hosts["ablecube31"],
            )["virtualmachine"]  # fmt: skip
            assert (vm["state"], vm["hostname"]) == ("Running", "ablecube31")

        power = cs.issueOutOfBandManagementPowerAction(hostid=hosts["ablecube31"], action="OFF")["outofbandmanagement"]
        assert power["powerstate"] == "Off"

        def moved() -> Any:
            found = cs.listVirtualMachines(fetch_list=True)
            there = all(vm["state"] == "Running" and vm["hostname"] != "ablecube31" for vm in found)
            return found if there else None

        vms = _until("all VMs run elsewhere", moved)
        truth = true_runs(server.data_dir)
        assert {vm["name"] for vm in vms} == set(VMS)
        assert {vm["id"]: [vm["hostname"]] for vm in vms} == {
            uuid: [run.host for run in runs] for uuid, runs in truth.items()
        }
        _look_with_libcloud(_libcloud(server, cs), vms)
        cs.session.close()
