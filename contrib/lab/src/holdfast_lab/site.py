"""A lab with its cloud, seen from inside: what the API says, what the disks say, and waiting for either."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from holdfast_cli.client import Answer, Client
from holdfast_cli.progress import ProgressLine
from holdfast_cli.waiting import Waiting

from holdfast_lab import addresses, bmcs
from holdfast_lab.cloud import PROVIDER, Cloud
from holdfast_lab.daemons import pid_of
from holdfast_lab.layout import Lab
from holdfast_lab.problems import LabError
from holdfast_lab.server import NAME, Server
from holdfast_lab.sightings import Life
from holdfast_lab.token_watch import TokenWatch

T = TypeVar("T")

BOOT_SECONDS = 300.0
"""Generous: guests on an emulated CPU share it with whatever else the machine does."""
ALIVE_SECONDS = 2.0
"""A guest that has written nothing for so long is not taken to be alive; it writes ten times a second if it may."""


@dataclass(slots=True)
class Site:
    """What scenario and faults work with."""

    lab: Lab
    cloud: Cloud
    client: Client
    watch: TokenWatch
    say: Callable[[str], None]
    began: float = field(default_factory=time.time)

    @classmethod
    def of(cls, lab: Lab, watch: TokenWatch, say: Callable[[str], None]) -> "Site":
        """The lab as it is now."""
        return cls(lab, Cloud.load(lab.folder), Server(lab).client, watch, say)

    @property
    def waiting(self) -> Waiting:
        """Waits; pointless once the server or the watch has ended."""

        def alive() -> None:
            self.watch.check()
            if not pid_of(NAME):
                raise LabError(f"holdfast server has ended; see {self.lab.logs}/holdfast.log")

        return Waiting(ProgressLine(), alive)

    def until(self, what: str, seconds: float, look: Callable[[], T | None], pause: float = 0.1) -> T:
        """What `look` returns once that is true."""
        return self.waiting.until(what, seconds, look, pause)

    def run(self, command: str, **parameters: Any) -> Answer:
        """Call a command and wait for its job."""
        return self.client.run(command, self.waiting.job(command), **parameters)

    # --- what the API says -----------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Answer]:
        """Hosts by name."""
        return {
            str(host["name"]): host for host in self.client.items("listHosts", zoneid=self.cloud.zone, type="Routing")
        }

    def vms(self) -> dict[str, Answer]:
        """VMs by name."""
        return {str(vm["name"]): vm for vm in self.client.items("listVirtualMachines", zoneid=self.cloud.zone)}

    def ha_state(self, host: str) -> str:
        """A host's HA state."""
        return str(self.hosts()[host].get("hostha", {}).get("hastate", ""))

    def all_available(self) -> list[Answer] | None:
        """The hosts, if HA of every one is Available and it is in service."""
        hosts = self.hosts()
        ready = len(hosts) == len(self.cloud.hosts) and all(
            host["state"] == "Up"
            and host["resourcestate"] == "Enabled"
            and host.get("hostha", {}).get("hastate") == "Available"
            and host["hostha"].get("haprovider") == PROVIDER
            for host in hosts.values()
        )
        return [hosts[name] for name in sorted(hosts)] if ready else None

    # --- what the disks say ----------------------------------------------------------------------------------------

    def lives(self, name: str) -> list[Life]:
        """The lives of a VM that were seen to write, in order."""
        with self.watch.lock:
            return [life for life in self.watch.seen.of(self.cloud.vms[name]) if life.was_alive]

    def life(self, name: str) -> Life | None:
        """The one that wrote within the last moments; None if none did."""
        now = time.time()
        return next((life for life in reversed(self.lives(name)) if now - life.last_seen < ALIVE_SECONDS), None)

    def all_alive(self) -> dict[str, Life] | None:
        """The present life of every VM, if every one has one."""
        found = {name: self.life(name) for name in self.cloud.vms}
        alive = {name: life for name, life in found.items() if life is not None and life.words > 2}
        return alive if alive and len(alive) == len(found) else None

    # --- what is done ----------------------------------------------------------------------------------------------

    def configure_bmc(self, name: str) -> str:
        """Tell Holdfast of a host's BMC; where that is."""
        driver = self.lab.options.oobm
        address, port = addresses.address_of(name, addresses.OUT_OF_BAND), str(bmcs.PORTS[driver])
        self.run(
            "configureOutOfBandManagement", hostid=self.cloud.hosts[name], driver=driver, address=address, port=port,
            username=bmcs.USER, password=bmcs.PASSWORD, manageconsoleprotocol="https",
        )  # fmt: skip
        return f"{address}:{port}"
