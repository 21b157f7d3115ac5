"""What the host must remember over restarts of its agent: whom it obeyed last, and which runs it was told of.

Kept on disk before anything is done about it. Other than the drivers' own memories, it holds for every driver.
"""

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, Refused
from holdfast.model.views import HostOrders, VmSpec
from holdfast.protocol.codec import from_document, to_document
from holdfast.protocol.frames import ProtocolError

from holdfast_agent.identity import write_whole


@dataclass(frozen=True, slots=True)
class VmEntry:
    """One VM. `told` is the highest run epoch that this host was told to run, `stopped` the highest that it ended.

    `spec` is there as long as a run may live here.
    """

    told: int = 0
    stopped: int = 0
    spec: VmSpec | None = None


class Ledger:
    """Thread-safe. Methods that change it return once the change is on disk; `Refused` if it must not be."""

    def __init__(self, path: Path) -> None:
        """Read it. `ConfigurationError` if it is unreadable: starting without it could run a VM twice."""
        self._path = path
        self._guard = threading.Lock()
        self._owner_epoch = 0
        self._vms: dict[str, VmEntry] = {}
        self._orders: HostOrders | None = None
        try:
            self._read(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, ProtocolError, AttributeError) as problem:
            raise ConfigurationError(
                f"{path} cannot be read ({problem}). It says which runs of VMs were ended here. Make sure that no VM "
                "runs on this host, then remove the file and start the agent again"
            ) from problem

    def _read(self, kept: Any) -> None:
        self._owner_epoch = from_document(int, kept.get("owner_epoch"), "owner_epoch")
        self._vms = {str(key): from_document(VmEntry, value, "vms") for key, value in kept.get("vms", {}).items()}
        self._orders = from_document(HostOrders, kept["orders"], "orders") if kept.get("orders") else None

    # --- whom to obey -------------------------------------------------------------------------------------------

    def obey(self, owner_epoch: int) -> None:
        """Take an order under this epoch. `Refused` if there was a later owner (S5)."""
        with self._guard:
            if owner_epoch < self._owner_epoch:
                raise Refused(
                    f"the order comes under owner epoch {owner_epoch}, but this host has obeyed {self._owner_epoch}"
                )
            if owner_epoch > self._owner_epoch:
                self._change(owner_epoch=owner_epoch)

    @property
    def owner_epoch(self) -> int:
        """The highest owner epoch that this host has obeyed; 0 if none."""
        return self._owner_epoch

    @property
    def orders(self) -> HostOrders | None:
        """The standing orders given last, if any ever were."""
        return self._orders

    def remember_orders(self, orders: HostOrders) -> None:
        """Keep the standing orders."""
        with self._guard:
            if orders != self._orders:
                self._change(orders=orders)

    # --- runs -----------------------------------------------------------------------------------------------------

    def told(self, vm: VmSpec, run_epoch: int) -> VmSpec | None:
        """A run is about to start or to arrive; what ran before it is returned, for `not_started`.

        `Refused` if this run was ended here, or a later one is known.
        """
        with self._guard:
            entry = self._vms.get(vm.uuid, VmEntry())
            if run_epoch <= entry.stopped:
                raise Refused(f"run {run_epoch} of VM {vm.name} was ended here: runs up to {entry.stopped} never start")
            if run_epoch < entry.told:
                raise Refused(f"run {run_epoch} of VM {vm.name} is older than run {entry.told}, which this host knows")
            self._set(vm.uuid, replace(entry, told=run_epoch, spec=vm))
            return entry.spec

    def not_started(self, vm_uuid: str, run_epoch: int, before: VmSpec | None) -> None:
        """The driver refused the run: whatever ran before it may still run."""
        with self._guard:
            entry = self._vms.get(vm_uuid)
            if entry is not None and entry.told == run_epoch:
                self._set(vm_uuid, replace(entry, spec=before))

    def stopping(self, vm_uuid: str, run_epoch: int) -> None:
        """From now on no run up to this epoch starts here."""
        with self._guard:
            entry = self._vms.get(vm_uuid, VmEntry())
            if run_epoch > entry.stopped:
                self._set(vm_uuid, replace(entry, stopped=run_epoch))

    def gone(self, vm_uuid: str, run_epoch: int) -> None:
        """No run up to this epoch lives here."""
        with self._guard:
            entry = self._vms.get(vm_uuid)
            if entry is not None and entry.spec is not None and entry.told <= run_epoch:
                self._set(vm_uuid, replace(entry, spec=None))

    def running(self) -> tuple[VmSpec, ...]:
        """VMs of which a run may live here."""
        with self._guard:
            return tuple(entry.spec for entry in self._vms.values() if entry.spec is not None)

    def run_of(self, vm_uuid: str) -> int:
        """The highest run epoch that this host knows of the VM; 0 if none."""
        entry = self._vms.get(vm_uuid)
        return max(entry.told, entry.stopped) if entry is not None else 0

    # --- disk -----------------------------------------------------------------------------------------------------

    def _set(self, vm_uuid: str, entry: VmEntry) -> None:
        if self._vms.get(vm_uuid) != entry:
            self._change(vms={**self._vms, vm_uuid: entry})

    def _change(self, **values: Any) -> None:
        """On disk first: what cannot be remembered is not done."""
        document = {
            "owner_epoch": values.get("owner_epoch", self._owner_epoch),
            "vms": to_document(values.get("vms", self._vms)),
            "orders": to_document(values.get("orders", self._orders)),
        }
        try:
            write_whole(self._path, json.dumps(document) + "\n")
        except OSError as problem:
            raise Refused(f"{self._path} cannot be written ({problem.strerror}), so nothing is begun") from problem
        for name, value in values.items():
            setattr(self, f"_{name}", value)
