"""Ending and rebooting the run of a VM, so that returning is proof."""

import threading
from typing import Any

from holdfast.errors import Refused, Unreachable

from holdfast_hypervisor_kvm.connection import Connection, refusal
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.lookup import Lookup
from holdfast_hypervisor_kvm.processes import Processes

_POWER_BUTTON = 1
"""VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN, and VIR_DOMAIN_REBOOT_ACPI_POWER_BTN."""

_KILL_SECONDS = 5.0
_LEFT_TO_DESTROY = 0.4
"""Part of the time that is kept for destroying a guest which did not shut down when it was asked."""


class Stopping:
    """Its callers have the VM's turn."""

    def __init__(self, connection: Connection, lookup: Lookup, processes: Processes, shutdown_seconds: float) -> None:
        self._connection = connection
        self._lookup = lookup
        self._processes = processes
        self._shutdown_seconds = shutdown_seconds
        self._lock = threading.Lock()
        self._gone: dict[str, threading.Event] = {}
        self._rebooted: dict[str, threading.Event] = {}

    def stop(self, uuid: str, run_epoch: int, newest: int, graceful: bool, limit: Deadline) -> None:
        """End what is there of runs up to `run_epoch`. `newest` is the newest run that began here, -1 if none did.

        Raises `Unreachable` if it is not certain that nothing of them is left.
        """
        seen = self._lookup.look(uuid, limit)
        if seen is not None and seen.mark.run_epoch > run_epoch:
            return
        if seen is not None:
            if graceful:
                self._ask_to_shut_down(uuid, limit)
            self._lookup.destroy(uuid, limit)
        elif newest > run_epoch:
            return  # what runs without libvirt's knowledge, if anything does, is that newer run
        if uuid in self._processes.guests() and not self._processes.end(uuid, min(_KILL_SECONDS, limit.left())):
            raise Unreachable(
                "a QEMU process of the VM is still there: it hangs in its storage, and ends when that answers"
            )

    def _ask_to_shut_down(self, uuid: str, limit: Deadline) -> None:
        """Press the power button and wait for as long as is allowed; the guest may ignore it."""
        with self._lock:
            gone = self._gone[uuid] = threading.Event()
        try:
            self._connection.ask("shutting a VM down", limit, lambda c: self._press(c, uuid))
            if self._lookup.look(uuid, limit) is not None:
                gone.wait(min(self._shutdown_seconds, limit.left() * (1 - _LEFT_TO_DESTROY)))
        except self._connection.module.libvirtError:
            return  # it has just ended, or cannot be asked; it is destroyed next
        finally:
            with self._lock:
                self._gone.pop(uuid, None)

    def _press(self, connection: Any, uuid: str) -> None:
        domain = self._lookup.domain(connection, uuid)
        if domain is not None:
            domain.shutdownFlags(_POWER_BUTTON)

    def reboot(self, uuid: str, run_epoch: int, limit: Deadline) -> None:
        """Reboot in place, gently first. `Refused` if that run is not there."""
        seen = self._lookup.look(uuid, limit)
        if seen is None or seen.mark.run_epoch != run_epoch:
            raise Refused(f"run {run_epoch} of the VM is not here: there is nothing to reboot")
        with self._lock:
            rebooted = self._rebooted[uuid] = threading.Event()
        try:
            self._connection.ask(
                "rebooting a VM", limit, lambda c: c.lookupByUUIDString(uuid).reboot(_POWER_BUTTON)
            )  # fmt: skip
            if rebooted.wait(min(self._shutdown_seconds, limit.left() / 2)):
                return
            self._connection.ask("resetting a VM", limit, lambda c: c.lookupByUUIDString(uuid).reset())
        except self._connection.module.libvirtError as problem:
            raise refusal("the VM was not rebooted", problem) from problem
        finally:
            with self._lock:
                self._rebooted.pop(uuid, None)

    def has_gone(self, uuid: str) -> None:
        """An event says that the domain ended."""
        self._tell(self._gone, uuid)

    def has_rebooted(self, uuid: str) -> None:
        """An event says that the guest rebooted."""
        self._tell(self._rebooted, uuid)

    def _tell(self, waiting: dict[str, threading.Event], uuid: str) -> None:
        with self._lock:
            event = waiting.get(uuid)
        if event is not None:
            event.set()
