"""The small cloud that the demo works on, made through the API like any other."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError
from holdfast.model import Secret

from holdfast_cli.client import Answer, Client
from holdfast_cli.waiting import Waiting

HYPERVISOR = "Simulator"
FIRST_HOST = 31
VM_NAMES = ("HA-TEST-VM1", "HA-TEST-VM2", "HA-TEST-VM3")
HOST_UP_SECONDS = 30.0


class DemoFailed(HoldfastError):
    """The demo did not show what it promises."""


@dataclass(slots=True)
class Cloud:
    """UUIDs of what was made. `hosts` maps names to UUIDs, in order; the first is the one that will be shut down."""

    zone: str = ""
    pod: str = ""
    cluster: str = ""
    pool: str = ""
    network: str = ""
    template: str = ""
    offering: str = ""
    hosts: dict[str, str] = field(default_factory=dict)
    vms: dict[str, str] = field(default_factory=dict)
    bmc_password: Secret = field(default_factory=lambda: Secret(secrets.token_urlsafe(12)))

    @property
    def victim(self) -> str:
        """Name of the host that will be shut down."""
        return next(iter(self.hosts))

    def host_name(self, uuid: str) -> str:
        """The name of a host."""
        return next((name for name, known in self.hosts.items() if known == uuid), uuid)


def host_names(count: int) -> list[str]:
    """ablecube31, ablecube32 …"""
    return [f"ablecube{FIRST_HOST + index}" for index in range(count)]


def build(client: Client, count: int, waiting: Waiting, say: Callable[[str], None]) -> Cloud:
    """Zone, pod, cluster, primary storage, hosts, network and template; returns once every host is Up."""
    cloud = Cloud()
    cloud.zone = client.call(
        "createZone", name="zone1", dns1="192.0.2.53", internaldns1="192.0.2.53", networktype="Advanced"
    )["zone"]["id"]
    cloud.pod = client.call(
        "createPod", zoneid=cloud.zone, name="pod1", gateway="192.0.2.1", netmask="255.255.255.0",
        startip="192.0.2.10", endip="192.0.2.30",
    )["pod"]["id"]  # fmt: skip
    cloud.cluster = client.items(
        "addCluster", zoneid=cloud.zone, podid=cloud.pod, clustername="cluster1", clustertype="CloudManaged",
        hypervisor=HYPERVISOR,
    )[0]["id"]  # fmt: skip
    say(f"zone1, pod1, cluster1 (hypervisor {HYPERVISOR})")
    cloud.pool = client.call(
        "createStoragePool", zoneid=cloud.zone, podid=cloud.pod, clusterid=cloud.cluster, name="primary1",
        url="sim://storage1/primary1", capacitybytes=2**40,
    )["storagepool"]["id"]  # fmt: skip
    say("primary storage sim://storage1/primary1, with a heartbeat of each host")
    for name in host_names(count):
        cloud.hosts[name] = client.items(
            "addHost", zoneid=cloud.zone, podid=cloud.pod, clusterid=cloud.cluster, hypervisor=HYPERVISOR,
            url=f"http://sim/{name}", username="root", password=cloud.bmc_password.reveal(),
        )[0]["id"]  # fmt: skip
    cloud.network = client.call(
        "createNetwork", zoneid=cloud.zone, name="network1", displaytext="network1", gateway="198.51.100.1",
        netmask="255.255.255.0",
    )["network"]["id"]  # fmt: skip
    cloud.template = _template(client, cloud.zone)
    waiting.until("every host is Up", HOST_UP_SECONDS, lambda: _all_up(client, cloud))
    say(f"hosts {', '.join(cloud.hosts)}: Up")
    return cloud


def _template(client: Client, zone: str) -> str:
    found = client.call(
        "registerTemplate", zoneid=zone, name="debian-12", displaytext="Debian 12", format="QCOW2",
        hypervisor=HYPERVISOR, url="http://images.example/debian-12.qcow2",
    )["template"]  # fmt: skip
    # CloudStack answers registerTemplate with a list, one entry to a zone.
    first: Answer = found[0] if isinstance(found, list) else found
    return str(first["id"])


def _all_up(client: Client, cloud: Cloud) -> bool:
    hosts = client.items("listHosts", zoneid=cloud.zone, type="Routing")
    return len(hosts) == len(cloud.hosts) and all(host["state"] == "Up" for host in hosts)
