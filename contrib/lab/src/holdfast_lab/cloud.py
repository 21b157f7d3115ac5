"""The cloud that Holdfast is told of: zone, cluster, hosts, storage, template; made through the API like any other."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from holdfast_cli.client import Answer, Client
from holdfast_cli.waiting import Waiting

from holdfast_lab import addresses
from holdfast_lab.commands import environment
from holdfast_lab.host import Host
from holdfast_lab.layout import Lab
from holdfast_lab.machine import AGENT_MARK
from holdfast_lab.problems import LabError
from holdfast_lab.server import HOLDFAST

HYPERVISOR = "KVM"
PROVIDER = "kvmhaprovider"
HOST_UP_SECONDS = 60.0
_JOIN_SECONDS = 30.0
_NAME = "cloud.json"


@dataclass(slots=True)
class Cloud:
    """UUIDs of what was made. `hosts` maps names to UUIDs, in order."""

    zone: str = ""
    pod: str = ""
    cluster: str = ""
    pool: str = ""
    network: str = ""
    template: str = ""
    offering: str = ""
    hosts: dict[str, str] = field(default_factory=dict)
    vms: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Remember it."""
        (folder / _NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Cloud":
        """That of the lab in `folder`."""
        try:
            return cls(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise LabError("the lab has no cloud: it was made with --raw, or its making failed") from None

    def vm_name(self, uuid: str) -> str:
        """The name of a VM."""
        return next((name for name, known in self.vms.items() if known == uuid), uuid)


def build(lab: Lab, client: Client, waiting: Waiting, say: Callable[[str], None]) -> Cloud:
    """Everything up to hosts that are Up; their agents have joined."""
    cloud = Cloud()
    cloud.zone = client.call(
        "createZone", name="zone1", dns1="192.0.2.53", internaldns1="192.0.2.53", networktype="Advanced"
    )["zone"]["id"]
    cloud.pod = client.call(
        "createPod", zoneid=cloud.zone, name="pod1", gateway="10.99.1.1", netmask="255.255.255.0",
        startip="10.99.1.200", endip="10.99.1.220",
    )["pod"]["id"]  # fmt: skip
    cloud.cluster = client.items(
        "addCluster", zoneid=cloud.zone, podid=cloud.pod, clustername="cluster1", clustertype="CloudManaged",
        hypervisor=HYPERVISOR,
    )[0]["id"]  # fmt: skip
    url, details = lab.storage.pool
    cloud.pool = client.call(
        "createStoragePool", zoneid=cloud.zone, podid=cloud.pod, clusterid=cloud.cluster, name="primary1", url=url,
        capacitybytes=2**38, details=[details] if details else None,
    )["storagepool"]["id"]  # fmt: skip
    say(f"zone1, pod1, cluster1 of {HYPERVISOR}; primary storage {url}")
    for name in lab.options.names:
        cloud.hosts[name] = client.items(
            "addHost", zoneid=cloud.zone, podid=cloud.pod, clusterid=cloud.cluster, hypervisor=HYPERVISOR,
            url=f"http://{name}",
        )[0]["id"]  # fmt: skip
        join(lab.host(name), client, cloud.hosts[name])
    cloud.network = client.call(
        "createNetwork", zoneid=cloud.zone, name="network1", displaytext="network1", gateway="198.51.100.1",
        netmask="255.255.255.0",
    )["network"]["id"]  # fmt: skip
    waiting.until("every host is Up", HOST_UP_SECONDS, lambda: all_up(client, cloud))
    say(f"hosts {', '.join(cloud.hosts)}: joined, and Up")
    return cloud


def register_template(lab: Lab, client: Client, zone: str, image: Path) -> str:
    """Put the guests' image on the storage and make it known; its UUID."""
    found = client.call(
        "registerTemplate", zoneid=zone, name="holdfast-guest", displaytext="writes tokens", format="QCOW2",
        hypervisor=HYPERVISOR, url=lab.storage.add_template(image),
    )["template"]  # fmt: skip
    # CloudStack answers registerTemplate with a list, one entry to a zone.
    first: Answer = found[0] if isinstance(found, list) else found
    return str(first["id"])


def join(host: Host, client: Client, uuid: str) -> None:
    """Let a host's agent join by a token, which goes to it through a pipe; the host then starts the agent."""
    token = str(client.call("createHostJoinToken", hostid=uuid)["hostjointoken"]["token"])
    words = host.enter_words(str(HOLDFAST), "agent", "join", "--server", addresses.SERVER_ADDRESS, "--token-file", "-")
    done = subprocess.run(
        words, input=token + "\n", capture_output=True, text=True, timeout=_JOIN_SECONDS, env=environment(), check=False
    )
    if done.returncode != 0:
        raise LabError(f"{host.name}: holdfast agent join: {done.stderr.strip() or done.stdout.strip()}")
    (host.disk / AGENT_MARK).touch()


def all_up(client: Client, cloud: Cloud) -> list[Answer] | None:
    """The hosts, if every one is Up."""
    hosts = client.items("listHosts", zoneid=cloud.zone, type="Routing")
    ready = len(hosts) == len(cloud.hosts) and all(host["state"] == "Up" for host in hosts)
    return sorted(hosts, key=lambda host: str(host["name"])) if ready else None
