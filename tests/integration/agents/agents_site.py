"""Real servers and real agents, as processes on the loopback, and what is needed to make them fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from holdfast.model import Secret
from holdfast_cli.client import ApiError, ApiUnreachable, Client, keys_by_login
from holdfast_cli.server_process import free_port

T = TypeVar("T")
PATIENCE = 60.0
HYPERVISOR = "processes"
_HERE = Path(__file__).parent
PASSWORD = Secret("correct horse battery staple")

_SERVER = """\
[server]
name = "{name}"
data_dir = "{folder}/data"
key_file = "{key}"
services = ["agents", "manager", "api"]

[database]
driver = "sqlite"

[database.sqlite]
path = "{database}"

[coordinator]
driver = "shared-file"

[coordinator.shared-file]
path = "{shared}/coordinator.db"

[api]
address = "127.0.0.1"
port = {api}

[agents]
address = "127.0.0.1"
port = {agents}
"""
_AGENT = """\
[server]
data_dir = "{folder}/data"

[agent]
hypervisor = "processes"
servers = {servers}
"""


def install_drivers(folder: Path) -> None:
    """The tests' own drivers, as pip would install them."""
    folder.mkdir()
    for name in ("process_hypervisor.py", "shared_coordinator.py"):
        (folder / f"holdfast_test_{name}").write_text((_HERE / name).read_text())
    info = folder / "holdfast_test_processes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: holdfast-test-processes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[holdfast.hypervisor]\n{HYPERVISOR} = holdfast_test_process_hypervisor:ProcessHypervisor\n"
        "[holdfast.coordinator]\nshared-file = holdfast_test_shared_coordinator:SharedCoordinator\n"
    )


class Process:
    """A `holdfast` process of ours."""

    def __init__(self, folder: Path, site: Path, words: tuple[str, ...]) -> None:
        self.folder = folder
        self.configuration = folder / "holdfast.toml"
        self.log = folder / "log"
        folder.mkdir(parents=True)
        self._words = words
        self._environment = {
            **os.environ, "PYTHONPATH": str(site), "PYTHONUNBUFFERED": "1",
            "HOLDFAST_ADMIN_PASSWORD": PASSWORD.reveal(),
        }  # fmt: skip
        self.child: subprocess.Popen[bytes] | None = None
        self.lent: dict[str, str] = {}
        """Environment variables for the next start."""

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "holdfast", "--config", str(self.configuration), *words]

    def run(self, *words: str, feed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            input=feed,
            capture_output=True,
            text=True,
            env=self._environment | self.lent,
            timeout=60,
            check=False,
        )

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command(*self._words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment | self.lent,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    def signal(self, number: int) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait()

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.child is not None:
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Server(Process):
    """A management server."""

    def __init__(self, folder: Path, site: Path, name: str, shared: Path) -> None:
        super().__init__(folder, site, ("server",))
        self.name = name
        self.api, self.agents = free_port(), free_port()
        self.configuration.write_text(
            _SERVER.format(
                name=name, folder=folder, key=shared / "secret.key", database=shared / "holdfast.db", shared=shared,
                api=self.api, agents=self.agents,
            )
        )  # fmt: skip

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.api}/client/api"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.agents}"

    def await_api(self) -> None:
        client = Client(self.endpoint, timeout=5.0)

        def answers() -> bool:
            assert self.child is not None
            assert self.child.poll() is None, self.text()[-4000:]
            try:
                client.call("listCapabilities")
            except ApiError:
                return True
            except ApiUnreachable:
                return False
            return True

        until(f"the API of {self.name}", answers)


class Agent(Process):
    """The agent of one host; `servers` is what its configuration says, at each start."""

    def __init__(self, folder: Path, site: Path, name: str, servers: list[str]) -> None:
        super().__init__(folder, site, ("agent",))
        self.name = name
        self.uuid = ""
        self.point_at(servers)

    def point_at(self, servers: list[str]) -> None:
        self.configuration.write_text(_AGENT.format(folder=self.folder, servers=json.dumps(servers)))

    @property
    def vms(self) -> Path:
        return self.folder / "data" / "vms"

    def running(self) -> dict[str, dict[str, int]]:
        """The truth: VM uuid → run that lives."""
        found = {}
        for path in self.vms.glob("*.json"):
            with suppress(OSError):  # a run that ends just now takes its file along
                run = json.loads(path.read_text())
                if Path(f"/proc/{run['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found[path.stem] = run
        return found

    def end_vms(self) -> None:
        for run in self.running().values():
            with suppress(ProcessLookupError):
                os.kill(run["pid"], signal.SIGKILL)


class Site:
    """A cloud with one cluster of hosts whose hypervisor is the test's own."""

    def __init__(self, folder: Path, servers: int = 1) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.site = folder / "site"
        install_drivers(self.site)
        shared = folder / "shared"
        shared.mkdir()
        self.servers = [Server(folder / f"ms{n}", self.site, f"ms{n}", shared) for n in range(1, servers + 1)]
        self.agents: dict[str, Agent] = {}
        self.client = Client("http://127.0.0.1:9/client/api")
        self.zone = self.pod = self.cluster = self.pool = self.network = self.template = self.offering = ""

    def open(self, hosts: int = 1) -> None:
        for server in self.servers:
            server.start()
            server.await_api()
        self.use(self.servers[0])
        self._make_cloud()
        for number in range(1, hosts + 1):
            self.add_host(f"host{number}")

    def use(self, server: Server) -> None:
        self.client = Client(server.endpoint, keys_by_login(server.endpoint, "admin", PASSWORD), timeout=60.0)

    def _make_cloud(self) -> None:
        call, items = self.client.call, self.client.items
        self.zone = call("createZone", name="z1", dns1="192.0.2.53", internaldns1="192.0.2.53", networktype="Advanced")[
            "zone"
        ]["id"]
        self.pod = call(
            "createPod", zoneid=self.zone, name="p1", gateway="192.0.2.1", netmask="255.255.255.0",
            startip="192.0.2.10", endip="192.0.2.30",
        )["pod"]["id"]  # fmt: skip
        self.cluster = items(
            "addCluster", zoneid=self.zone, podid=self.pod, clustername="c1", clustertype="CloudManaged",
            hypervisor=HYPERVISOR,
        )[0]["id"]  # fmt: skip
        self.pool = call(
            "createStoragePool", zoneid=self.zone, podid=self.pod, clusterid=self.cluster, name="primary1",
            url="nfs://192.0.2.9/primary1", capacitybytes=2**40, heartbeat="none",
        )["storagepool"]["id"]  # fmt: skip
        self.network = call(
            "createNetwork", zoneid=self.zone, name="n1", displaytext="n1", gateway="198.51.100.1",
            netmask="255.255.255.0",
        )["network"]["id"]  # fmt: skip
        self.template = items(
            "registerTemplate", zoneid=self.zone, name="t1", displaytext="t1", format="QCOW2", hypervisor=HYPERVISOR,
            url="http://192.0.2.8/t1.qcow2", ostypeid="1",
        )[0]["id"]  # fmt: skip
        self.offering = call(
            "createServiceOffering", name="1C-1GB-HA", displaytext="1C-1GB-HA", cpunumber=1, cpuspeed=500, memory=1024,
            offerha="true",
        )["serviceoffering"]["id"]  # fmt: skip

    # --- hosts ----------------------------------------------------------------------------------------------------

    def add_row(self, name: str) -> str:
        return str(
            self.client.items(
                "addHost", zoneid=self.zone, podid=self.pod, clusterid=self.cluster, hypervisor=HYPERVISOR,
                url=f"http://{name}", username="root", password="x",
            )[0]["id"]
        )  # fmt: skip

    def token(self, host: str, **more: Any) -> str:
        return str(self.client.call("createHostJoinToken", hostid=host, **more)["hostjointoken"]["token"])

    def make_agent(self, name: str, servers: list[str] | None = None) -> Agent:
        addresses = [server.address for server in self.servers] if servers is None else servers
        agent = self.agents[name] = Agent(self.folder / name, self.site, name, addresses)
        return agent

    def join(self, agent: Agent, token: str) -> subprocess.CompletedProcess[str]:
        words = [word for server in self.servers for word in ("--server", server.address)]
        return agent.run("agent", "join", *words, feed=token + "\n")

    def add_host(self, name: str, servers: list[str] | None = None) -> Agent:
        agent = self.make_agent(name, servers)
        agent.uuid = self.add_row(name)
        joined = self.join(agent, self.token(agent.uuid))
        assert joined.returncode == 0, joined.stderr
        agent.start()
        self.until_state(agent, "Up")
        return agent

    def host(self, agent: Agent) -> dict[str, Any]:
        return dict(self.client.items("listHosts", id=agent.uuid)[0])

    def until_state(self, agent: Agent, state: str, seconds: float = PATIENCE) -> None:
        until(
            f"host {agent.name} is {state}\n{agent.text()[-2000:]}", lambda: self.host(agent)["state"] == state, seconds
        )

    # --- VMs ------------------------------------------------------------------------------------------------------

    def deploy(self, name: str, host: Agent | None = None) -> str:
        given = {"hostid": host.uuid} if host else {}
        return str(
            self.client.run(
                "deployVirtualMachine", zoneid=self.zone, serviceofferingid=self.offering, templateid=self.template,
                networkids=self.network, name=name, **given,
            )["virtualmachine"]["id"]
        )  # fmt: skip

    def vm(self, uuid: str) -> dict[str, Any]:
        return dict(self.client.items("listVirtualMachines", id=uuid)[0])

    def runs_of(self, vm: str) -> list[tuple[str, int]]:
        """Where the VM truly runs: (host, pid)."""
        return [(name, runs[vm]["pid"]) for name, agent in self.agents.items() if vm in (runs := agent.running())]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in (*self.servers, *self.agents.values()):
                print(f"--- {process.folder.name}\n{process.text()[-6000:]}")
        for process in (*self.agents.values(), *self.servers):
            process.stop()
        for agent in self.agents.values():
            agent.end_vms()


def until(what: str, look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `look` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return found
