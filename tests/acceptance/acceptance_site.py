"""A server of its own with a small cloud of simulated hosts on it, and ways to look at both."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest
from holdfast.model import Secret
from holdfast_cli import demo_steps
from holdfast_cli.client import Answer, Client, Keys, keys_by_login
from holdfast_cli.demo_bmcs import BmcPlace, Bmcs, SimulatedBmcs
from holdfast_cli.demo_cloud import Cloud, build
from holdfast_cli.demo_recovery import refuse_doubles
from holdfast_cli.demo_steps import Scene
from holdfast_cli.demo_teller import Teller
from holdfast_cli.progress import ProgressLine
from holdfast_cli.server_process import ServerProcess
from holdfast_cli.simulated_truth import FILE_NAME, TrueRun, true_runs
from holdfast_cli.waiting import Waiting

T = TypeVar("T")

PATIENCE = 90.0
"""Seconds after which something that should have come true is a failure; generous, for busy machines."""

_PAUSE = 0.2
"""Seconds between two looks. Each look is work for the server too, and several sites share the machine."""


class Site:
    """As a context manager it only promises that the server is ended."""

    def __init__(self, directory: Path, hosts: int = 3, bmcs: Bmcs | None = None) -> None:
        self.bmcs = bmcs or SimulatedBmcs()
        self.server = ServerProcess(directory, name=directory.name[:40], more=self.bmcs.configuration())
        self.cloud = Cloud()
        self.client = Client("http://127.0.0.1:9/client/api")
        self.places: Mapping[str, BmcPlace] = {}
        self._hosts = hosts
        self.keys = Keys("", Secret(""))

    def open(self) -> None:
        """Server, keys, zone, pod, cluster, primary storage and hosts; the hosts are Up."""
        self.server.start()
        self.keys = keys_by_login(self.server.endpoint, "admin", self.server.password)
        self.client = Client(self.server.endpoint, self.keys, timeout=60.0)
        self.cloud = build(self.client, self._hosts, self.waiting, lambda _text: None)

    def prepare(self) -> None:
        """Steps 1 to 7 of the guide's scenario: three HA VMs run on the first host."""
        self.start_bmcs()
        scene = Scene(self.client, self.cloud, Teller(ProgressLine()), self.waiting, self.places)
        demo_steps.prepare(scene)

    def start_bmcs(self) -> None:
        """Give each host its BMC; nothing is configured yet."""
        world = self.server.data_dir / FILE_NAME
        self.places = self.bmcs.start(list(self.cloud.hosts), world, self.cloud.bmc_password)

    @property
    def waiting(self) -> Waiting:
        """Waits without a sound."""
        return Waiting(ProgressLine(), lambda: None)

    @property
    def victim(self) -> str:
        """UUID of the host that the VMs start on."""
        return self.cloud.hosts[self.cloud.victim]

    def until(self, what: str, look: Callable[[], T | None], seconds: float = PATIENCE, pause: float = _PAUSE) -> T:
        """What `look` returns once that is true."""
        return self.waiting.until(what, seconds, look, pause)

    # --- what is so ----------------------------------------------------------------------------------------------

    def host(self, uuid: str = "") -> Answer:
        """A host as listHosts shows it; the victim unless another is named."""
        return self.client.items("listHosts", id=uuid or self.victim)[0]

    def state(self, uuid: str = "") -> str:
        """Its HA state."""
        return str(self.host(uuid)["hostha"]["hastate"])

    def vms(self) -> list[Answer]:
        """All VMs."""
        return self.client.items("listVirtualMachines", zoneid=self.cloud.zone)

    def truth(self) -> dict[str, list[TrueRun]]:
        """Every run that can write, by the simulated world's own memory; a VM with two of them fails the test."""
        runs = true_runs(self.server.data_dir)
        refuse_doubles(runs)
        return runs

    def started_elsewhere(self) -> int:
        """How many VMs truly have a run on another host than the victim."""
        return sum(any(run.host != self.cloud.victim for run in runs) for runs in self.truth().values())

    def run_elsewhere_once(self) -> bool:
        """Whether every VM runs exactly once, elsewhere, and API and world agree where."""
        true, vms = self.truth(), self.vms()
        return len(vms) == len(self.cloud.vms) > 0 and all(
            vm["state"] == "Running"
            and vm.get("hostname") != self.cloud.victim
            and [run.host for run in true.get(vm["id"], [])] == [vm.get("hostname")]
            for vm in vms
        )

    # --- what is done --------------------------------------------------------------------------------------------

    def order_off(self) -> None:
        """Step 8: power off the first host. Returns as soon as the order is accepted."""
        self.client.call("issueOutOfBandManagementPowerAction", hostid=self.victim, action="OFF")

    def strike(self, what: str, host: str = "") -> None:
        """Strike a fault into the simulated world; the victim unless another host is named."""
        path = self.server.data_dir / FILE_NAME
        with closing(sqlite3.connect(path, timeout=10.0, isolation_level=None)) as memory:
            memory.execute("INSERT INTO intervention (host, what) VALUES (?, ?)", (host or self.cloud.victim, what))

    def kill_and_restart(self) -> None:
        """`kill -9`, then a new server on the same data."""
        self.server.kill()
        self.server.start()

    def pause(self, seconds: float) -> None:
        """Let time pass, where the passing of time is what is tested."""
        time.sleep(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.stop()
        self.bmcs.__exit__(kind, error, trace)


def debian_program(name: str, package: str) -> str:
    """The path of a Debian program, installed first if this is root on Debian; skips loudly if it cannot be had."""
    if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *words], env=environment, check=False, capture_output=True)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NOT TESTED against {name}: install the Debian package {package} (or run as root)")
    return found


def play_all(
    directory: Path, cases: Mapping[str, Callable[[Site], None]], bmcs: Callable[[Path], Bmcs] | None = None
) -> None:
    """Play several cases at once, each on a site of its own where the VMs run already: they mostly wait.

    `bmcs` makes the BMCs of a site, given a new folder; simulated ones otherwise.

    Raises what the first failing case raised, with the name of the case as a note.
    """

    def play(number: int, name: str, act: Callable[[Site], None]) -> None:
        try:
            folder = directory / f"case{number}"
            folder.mkdir()
            with Site(folder, bmcs=bmcs(folder / "bmcs") if bmcs else None) as site:
                site.open()
                site.prepare()
                act(site)
        except Exception as problem:
            problem.add_note(f"in the case: {name}")
            raise

    with ThreadPoolExecutor(len(cases)) as pool:
        running = [pool.submit(play, number, *case) for number, case in enumerate(cases.items())]
    for one in running:
        one.result()
