"""Every way in which the lab breaks a cloud: what is struck, how it is undone, and what has to become of the VMs.

Injectors touch the lab's parts alone, never Holdfast's API: nobody tells Holdfast what happened.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from holdfast_lab import addresses, bmcs, network
from holdfast_lab.host import Host
from holdfast_lab.layout import Lab
from holdfast_lab.options import Options
from holdfast_lab.problems import LabError


class Outcome(StrEnum):
    """What has to become of the VMs of the hosts that were struck."""

    MOVED = "every VM runs again, on another host"
    UNTOUCHED = "every VM goes on in the run that it was in"
    RESUMED = "every VM goes on in the run that it was in, once the fault is undone"
    RETURNED = "every VM runs, in the run that it was in or in a new one"
    RESTARTED = "the VM that was struck runs again in a new run, and the others go on"


@dataclass(frozen=True, slots=True)
class Struck:
    """What a fault is struck at."""

    lab: Lab
    victims: tuple[Host, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind. `heal_after` is when it is undone, in seconds after the strike; None: once the outcome is there.

    `hold` is for how long `Outcome.UNTOUCHED` is watched. `after_fence` is done once a victim is Fenced.
    `spared` says in which labs the VMs of the victims have to be `UNTOUCHED`, where `outcome` is what they else become.
    """

    name: str
    summary: str
    outcome: Outcome
    strike: Callable[[Struck], None]
    heal: Callable[[Struck], None] = lambda _struck: None
    after_fence: Callable[[Struck], None] | None = None
    heal_after: float | None = None
    hold: float = 30.0
    hosts: int = 1
    seconds: float = 300.0
    spared: Callable[[Options], bool] = lambda _options: False

    def outcome_in(self, options: Options) -> Outcome:
        """What has to become of the VMs in a lab of such parts."""
        return Outcome.UNTOUCHED if self.spared(options) else self.outcome


def _each(act: Callable[[Host], None]) -> Callable[[Struck], None]:
    def done(struck: Struck) -> None:
        for host in struck.victims:
            act(host)

    return done


def _power_cut_with_bmc(host: Host) -> None:
    bmcs.cut_off(host)
    host.cut_power()


def _signalled(number: signal.Signals, what: str, *words: str) -> Callable[[Host], None]:
    def done(host: Host) -> None:
        if not host.signal(number, *words):
            raise LabError(f"{host.name}: no {what} runs there that could be struck")

    return done


def _one_qemu(struck: Struck) -> None:
    for host in struck.victims:
        pids = host.matching("qemu-system", "-name")
        if pids:
            os.kill(pids[0], signal.SIGKILL)
            return
    raise LabError("no VM runs on a victim")


def _cut(wire: str) -> Callable[[Host], None]:
    return lambda host: network.cut(host.name, wire)


def _mend(wire: str) -> Callable[[Host], None]:
    return lambda host: network.mend(host.name, wire)


def _thaw(host: Host) -> None:
    host.signal(signal.SIGCONT)


_AGENT = ("holdfast", " agent")

_ALL = (
    Fault("power-cut", "a host loses power; its BMC goes on", Outcome.MOVED, _each(Host.cut_power)),
    Fault(
        "power-cut-with-bmc", "a host loses power together with its BMC", Outcome.MOVED, _each(_power_cut_with_bmc),
        heal=_each(bmcs.bring_back),
    ),
    Fault(
        "agent-killed", "the agent of a host is killed; its VMs live", Outcome.UNTOUCHED,
        _each(_signalled(signal.SIGKILL, "agent", *_AGENT)),
    ),
    Fault(
        # Silent on every path, it looks like a host that hangs as a whole; but for the disks of its VMs, where the
        # storage tells when they were written. A watchdog resets it all the same.
        "agent-frozen", "the agent of a host hangs (SIGSTOP); its VMs live", Outcome.RETURNED,
        _each(_signalled(signal.SIGSTOP, "agent", *_AGENT)), heal=_each(_thaw), heal_after=30.0, hold=10.0,
        spared=lambda options: options.storage == "nfs" and not options.watchdog,
    ),
    Fault(
        "libvirtd-killed", "libvirtd of a host is killed; its VMs live", Outcome.UNTOUCHED,
        _each(_signalled(signal.SIGKILL, "libvirtd", "libvirtd", "--listen")),
    ),
    Fault(
        "storage-path-cut", "a host loses its way to the storage for 60 s; all else goes on", Outcome.RETURNED,
        _each(_cut(addresses.STORAGE)), heal=_each(_mend(addresses.STORAGE)), heal_after=60.0,
    ),
    Fault(
        # The hosts' owner hears them and grants them life, so no watchdog resets any: the VMs wait for their disks.
        "storage-stopped", "the storage server is down for 60 s", Outcome.RESUMED,
        lambda struck: struck.lab.storage.stop(), heal=lambda struck: struck.lab.storage.start(), heal_after=60.0,
    ),
    Fault(
        "management-network-cut", "a host loses the management network; storage and VMs go on", Outcome.UNTOUCHED,
        _each(_cut(addresses.MANAGEMENT)), heal=_each(_mend(addresses.MANAGEMENT)),
    ),
    Fault(
        "host-frozen", "every process of a host stops, and goes on once it was fenced", Outcome.MOVED,
        _each(_signalled(signal.SIGSTOP, "process")), after_fence=_each(_thaw), heal=_each(_thaw),
    ),
    Fault("qemu-killed", "QEMU of one VM is killed; its host lives", Outcome.RESTARTED, _one_qemu),
    Fault("two-hosts", "two hosts lose power at once", Outcome.MOVED, _each(Host.cut_power), hosts=2),
)  # fmt: skip

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
