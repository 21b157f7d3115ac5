"""What an author lends the hypervisor suite: hosts, VMs, and the knobs behind the driver's back."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from holdfast.hooks.hypervisor import Hypervisor
from holdfast.model.evidence import PermitGrant, Proof, ProofKind
from holdfast.model.states import GuestState
from holdfast.model.views import HostView, VmReport, VmSpec

ENDED = frozenset({GuestState.SHUT_DOWN, GuestState.CRASHED, GuestState.ABSENT})


@dataclass(frozen=True, slots=True)
class HypervisorCapabilities:
    """What driver and bench can do. `can_…` guards the knob of that name.

    `reboots` and `migrates` are the optional methods. `delivers_beats` is for `runs_on = "server"`: the driver has
    `attach` and `detach`. `deadline_seconds` is what a start or stop needs at most when all is well.
    """

    reboots: bool = False
    migrates: bool = False
    delivers_beats: bool = False
    can_be_unreachable: bool = True
    can_restart: bool = True
    can_stop_guests: bool = True
    deadline_seconds: float = 10.0


class HypervisorBench(ABC):
    """A host that runs VMs, real or simulated, with nothing on it at first."""

    @property
    @abstractmethod
    def host(self) -> HostView:
        """The host that the suite works on."""

    @abstractmethod
    def new_vm(self) -> VmSpec:
        """A VM that this host can run and has never heard of; another one at each call."""

    @property
    def other_host(self) -> HostView:
        """A second host, which can take live migrations."""
        raise NotImplementedError("give the bench `other_host`, or set migrates=False")

    def make_unreachable(self) -> None:
        """Nobody answers for the host from now on; its VMs go on."""
        raise NotImplementedError("give the bench `make_unreachable`, or set can_be_unreachable=False")

    def make_reachable(self) -> None:
        """Undo `make_unreachable`. Harmless if it was not made."""

    def restarted(self, driver: Hypervisor) -> Hypervisor:
        """End the host's agent as `kill -9` would, start it again, and give the driver to go on with."""
        raise NotImplementedError("give the bench `restarted`, or set can_restart=False")

    def stop_guest(self, vm_uuid: str) -> None:
        """The guest shuts itself down."""
        raise NotImplementedError("give the bench `stop_guest`, or set can_stop_guests=False")

    def pause(self, seconds: float) -> None:
        """Let time pass. A bench with its own clock moves that clock instead."""
        time.sleep(seconds)


def grant(host: HostView, vm: VmSpec, run_epoch: int) -> PermitGrant:
    """A permit for one run, as the manager would store it."""
    proof = Proof(ProofKind.NEVER_RAN if run_epoch == 1 else ProofKind.CHASSIS_OFF, vm.uuid, 0.0)
    return PermitGrant(vm.uuid, run_epoch, host.uuid, owner_epoch=1, proof=proof)


def live_epochs(reports: tuple[VmReport, ...], vm_uuid: str) -> list[int]:
    """Run epochs of the VM that are, or may be, live. An unknown state counts as live."""
    return [report.run_epoch for report in reports if report.vm_uuid == vm_uuid and report.state not in ENDED]
