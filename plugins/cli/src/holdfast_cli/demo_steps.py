"""The eight steps of the guide's scenario, each through the API, each told as it happens."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_cli.client import Answer, Client
from holdfast_cli.demo_bmcs import BmcPlace
from holdfast_cli.demo_cloud import VM_NAMES, Cloud
from holdfast_cli.demo_teller import Teller
from holdfast_cli.waiting import Waiting

PROVIDER = "simulatorhaprovider"
AVAILABLE_SECONDS = 30.0
TITLES = (
    "enable HA on the zone",
    "enable HA on the cluster, its hosts included",
    "configure out-of-band management of each host",
    "enable out-of-band management on each host",
    "see each host's HA state Available",
    "create the HA compute offering 2C-4GB-HA",
    "create three VMs on the host to be shut down",
    "power the host off, and watch its VMs move",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the steps work with. `bmcs`: host name → where its BMC is."""

    client: Client
    cloud: Cloud
    teller: Teller
    waiting: Waiting
    bmcs: Mapping[str, BmcPlace]

    def run(self, command: str, **parameters: Any) -> Answer:
        """Call a command and wait for its job."""
        return self.client.run(command, self.waiting.job(command), **parameters)


def prepare(scene: Scene) -> None:
    """Steps 1 to 7."""
    work: tuple[Callable[[Scene], None], ...] = (
        _enable_zone,
        _enable_cluster,
        _configure_oobm,
        _enable_oobm,
        _see_available,
        _create_offering,
        _create_vms,
    )
    for number, step in enumerate(work, 1):
        scene.teller.step(number, TITLES[number - 1])
        began = time.monotonic()
        step(scene)
        scene.teller.took(number, time.monotonic() - began)


def _enable_zone(scene: Scene) -> None:
    scene.run("enableHAForZone", zoneid=scene.cloud.zone)
    scene.teller.say("enableHAForZone zone1: done")


def _enable_cluster(scene: Scene) -> None:
    scene.run("enableHAForCluster", clusterid=scene.cloud.cluster, includehost=True)
    scene.teller.say("enableHAForCluster cluster1 includehost=true: done")


def _configure_oobm(scene: Scene) -> None:
    for name, uuid in scene.cloud.hosts.items():
        bmc = scene.bmcs[name]
        scene.run(
            "configureOutOfBandManagement", hostid=uuid, driver=bmc.driver, address=bmc.address, port=bmc.port,
            username=bmc.username, password=scene.cloud.bmc_password.reveal(), manageconsoleprotocol="https",
        )  # fmt: skip
        shown = f"driver {bmc.driver}, address {bmc.address}, port {bmc.port}, user {bmc.username}, password ****"
        scene.teller.say(f"{name}: {shown}")


def _enable_oobm(scene: Scene) -> None:
    for name, uuid in scene.cloud.hosts.items():
        answer = scene.run("enableOutOfBandManagementForHost", hostid=uuid)
        shown = answer.get("outofbandmanagement", answer)
        scene.teller.say(f"{name}: enabled, power {shown.get('powerstate', 'On')}")


def _see_available(scene: Scene) -> None:
    def look() -> list[Answer] | None:
        hosts = scene.client.items("listHosts", zoneid=scene.cloud.zone, type="Routing")
        ready = all(host["hostha"]["hastate"] == "Available" for host in hosts)
        return sorted(hosts, key=lambda host: str(host["name"])) if ready else None

    for host in scene.waiting.until("every host's HA state is Available", AVAILABLE_SECONDS, look):
        ha = host["hostha"]
        scene.teller.say(f"{host['name']}: HA state {ha['hastate']}, HA provider {ha['haprovider']}")


def _create_offering(scene: Scene) -> None:
    made = scene.client.call(
        "createServiceOffering", name="2C-4GB-HA", displaytext="2 cores, 4 GB, HA", cpunumber=2, cpuspeed=1000,
        memory=4096, offerha=True,
    )["serviceoffering"]  # fmt: skip
    scene.cloud.offering = made["id"]
    scene.teller.say("2C-4GB-HA: 2 cores of 1000 MHz, 4096 MB, HA true")


def _create_vms(scene: Scene) -> None:
    cloud = scene.cloud
    jobs = {}
    for name in VM_NAMES:
        answer = scene.client.call(
            "deployVirtualMachine", name=name, displayname=name, zoneid=cloud.zone, templateid=cloud.template,
            serviceofferingid=cloud.offering, networkids=cloud.network, hostid=cloud.hosts[cloud.victim],
        )  # fmt: skip
        cloud.vms[name], jobs[name] = str(answer["id"]), str(answer["jobid"])
    for name, job in jobs.items():
        vm = scene.client.wait(job, scene.waiting.job(f"{name} starts"))["virtualmachine"]
        scene.teller.say(f"{name}: {vm['state']} on {vm['hostname']}")
