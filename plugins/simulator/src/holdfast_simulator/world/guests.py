"""The VMs of one host, and what the host remembers of their run epochs across agent restarts and boots."""

from dataclasses import asdict, dataclass
from typing import Any

from holdfast.errors import Refused
from holdfast.model import GuestState
from holdfast.model.views import DiskSpec, NicSpec, PoolView, VmReport, VmSpec


@dataclass(slots=True)
class Guest:
    """One VM process. It may write from the instant it exists, also while it is still `starting` or paused."""

    spec: VmSpec
    run_epoch: int
    state: GuestState = GuestState.RUNNING
    starting: bool = True

    @property
    def live(self) -> bool:
        """Whether it can write, now or later."""
        return self.state in (GuestState.RUNNING, GuestState.PAUSED, GuestState.UNKNOWN)

    def report(self) -> VmReport:
        """What the host says of it."""
        state = GuestState.UNKNOWN if self.starting else self.state
        return VmReport(self.spec.uuid, state, self.run_epoch, host_restarted=state is GuestState.ABSENT)


class GuestBook:
    """The host's VMs, with the epochs it was told of and those that were stopped here. The epochs are durable."""

    def __init__(self, ram: int) -> None:
        self._ram = ram
        self.guests: dict[str, Guest] = {}
        self.told: dict[str, int] = {}
        self.revoked: dict[str, int] = {}

    def admit(self, spec: VmSpec, run_epoch: int) -> Guest | None:
        """A new guest for this run, or None if that very run is already here. `Refused` says why not."""
        revoked = self.revoked.get(spec.uuid, -1)
        if run_epoch <= revoked:
            raise Refused(f"run {run_epoch} of {spec.name} was stopped here: runs up to {revoked} are refused")
        if run_epoch < self.told.get(spec.uuid, -1):
            raise Refused(f"run {run_epoch} of {spec.name} is older than run {self.told[spec.uuid]}, seen here")
        present = self.guests.get(spec.uuid)
        if present is not None and present.live:
            if present.run_epoch == run_epoch:
                return None
            raise Refused(f"run {present.run_epoch} of {spec.name} is still here: stop it first")
        if present is not None and present.run_epoch == run_epoch:
            raise Refused(f"run {run_epoch} of {spec.name} is over ({present.state}): a new run needs a new permit")
        self._check_room(spec)
        self.told[spec.uuid] = run_epoch
        guest = self.guests[spec.uuid] = Guest(spec, run_epoch)
        return guest

    def _check_room(self, spec: VmSpec) -> None:
        used = sum(guest.spec.ram for guest in self.guests.values() if guest.live)
        if (used + spec.ram) * 2**20 > self._ram:
            raise Refused(f"no memory for {spec.name}: {spec.ram} MB asked, {self._ram // 2**20 - used} MB left")

    def revoke(self, vm_uuid: str, run_epoch: int) -> Guest | None:
        """Refuse runs up to `run_epoch` from now on; the guest that this ends, if it is here."""
        self.told[vm_uuid] = max(run_epoch, self.told.get(vm_uuid, -1))
        self.revoked[vm_uuid] = max(run_epoch, self.revoked.get(vm_uuid, -1))
        guest = self.guests.get(vm_uuid)
        if guest is None or guest.run_epoch > run_epoch:
            return None
        return self.guests.pop(vm_uuid)

    def end_all(self) -> list[Guest]:
        """The host loses its power: those that lived until now. They are listed as absent until they are revoked."""
        ended = self.live()
        for guest in self.guests.values():
            guest.starting = False
            guest.state = GuestState.ABSENT if guest.live else guest.state
        return ended

    def live(self) -> list[Guest]:
        """Guests that can write."""
        return [guest for guest in self.guests.values() if guest.live]

    def dump(self) -> dict[str, Any]:
        """All of it, as plain data."""
        return {
            "guests": [
                {"spec": asdict(guest.spec), "run_epoch": guest.run_epoch, "state": guest.state.value}
                for guest in self.guests.values()
            ],
            "told": self.told,
            "revoked": self.revoked,
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `dump` gave. A guest that was starting then has started by now."""
        self.told = {vm: int(epoch) for vm, epoch in data["told"].items()}
        self.revoked = {vm: int(epoch) for vm, epoch in data["revoked"].items()}
        self.guests = {
            entry["spec"]["uuid"]: Guest(
                _spec(entry["spec"]), int(entry["run_epoch"]), GuestState(entry["state"]), starting=False
            )
            for entry in data["guests"]
        }


def _spec(plain: dict[str, Any]) -> VmSpec:
    disks = tuple(DiskSpec(**{**disk, "pool": PoolView(**disk["pool"])}) for disk in plain.pop("disks", ()))
    nics = tuple(NicSpec(**nic) for nic in plain.pop("nics", ()))
    return VmSpec(**plain, disks=disks, nics=nics)
