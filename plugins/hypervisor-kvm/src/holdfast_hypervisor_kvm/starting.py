"""Starting a run: its domain is made paused, and let go once it is certain that the run is still wanted.

A libvirtd that hangs may carry out an order long after everybody stopped waiting for it. A domain that comes to be in
that way has not run, and never does: whoever sees it ends it.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.model import GuestState
from holdfast.model.views import VmSpec

from holdfast_hypervisor_kvm.capacity import boot_id
from holdfast_hypervisor_kvm.connection import Connection, refusal, words
from holdfast_hypervisor_kvm.deadline import Abandoned, Deadline
from holdfast_hypervisor_kvm.domain_xml import domain_uuid
from holdfast_hypervisor_kvm.lookup import Lookup
from holdfast_hypervisor_kvm.processes import Processes
from holdfast_hypervisor_kvm.run_book import RunBook
from holdfast_hypervisor_kvm.sightings import Sighting, Sightings
from holdfast_hypervisor_kvm.turns import Turn

log = logging.getLogger("holdfast.hypervisor.kvm")

_PAUSED = 1
"""libvirt's flag VIR_DOMAIN_START_PAUSED."""

_CLEANING_SECONDS = 30.0


class Starting:
    """Thread-safe; its callers have the VM's turn."""

    def __init__(
        self, connection: Connection, sightings: Sightings, lookup: Lookup, processes: Processes, book: RunBook
    ) -> None:
        self._connection = connection
        self._sightings = sightings
        self._lookup = lookup
        self._processes = processes
        self._book = book
        self._underway: set[str] = set()

    def is_underway(self, vm_uuid: str) -> bool:
        """Whether a start of this VM is being carried out now."""
        return vm_uuid in self._underway

    def is_unborn(self, seen: Sighting) -> bool:
        """Whether this domain was made and never let go, and nobody is about to do so."""
        page = self._book.page(seen.mark.vm_uuid)
        waits = seen.state is not GuestState.RUNNING and page.begun == seen.mark.run_epoch and not page.let_go
        return waits and not self.is_underway(seen.mark.vm_uuid)

    def has_process(self, uuid: str) -> bool:
        """Whether a QEMU runs this domain, known to libvirt or not."""
        return uuid in self._processes.guests()

    def is_there(self, vm: VmSpec, epoch: int, limit: Deadline) -> bool:
        """Whether this very run is there already. `Refused` if another one is."""
        uuid = domain_uuid(vm.uuid)
        seen = self._lookup.look(uuid, limit)
        if seen is None:
            if uuid in self._processes.guests():
                raise Refused(f"a QEMU process of {vm.name} is here that libvirt does not know: stop the VM first")
            return False
        if seen.mark.run_epoch != epoch:
            raise Refused(f"run {seen.mark.run_epoch} of {vm.name} is still here: stop it first")
        if seen.state is GuestState.RUNNING:
            return True
        raise Unreachable(f"run {epoch} of {vm.name} is here, but is {seen.state}: {seen.reason}")

    def start(self, vm: VmSpec, epoch: int, text: str, turn: Turn, limit: Deadline) -> None:
        """Make the domain, and let it go. `Refused` says that nothing runs; anything else that it may."""
        self._underway.add(vm.uuid)
        try:
            self._book.begin(vm.uuid, vm.instance_name, epoch, boot_id(Path("/proc")), time.time())
            self._create(vm, epoch, text, turn, limit)
            self._let_go(vm, epoch, turn, limit)
        finally:
            self._underway.discard(vm.uuid)

    def _create(self, vm: VmSpec, epoch: int, text: str, turn: Turn, limit: Deadline) -> None:
        def question(connection: Any) -> Sighting | None:
            return self._sightings.one(connection.createXML(text, _PAUSED))

        try:
            seen = self._within(turn, f"starting VM {vm.name}", limit, question, lambda: self.drop(vm.uuid))
        except self._connection.module.libvirtError as problem:
            # libvirt's no is believed once the VM is seen not to be there.
            uuid = domain_uuid(vm.uuid)
            if self._lookup.look(uuid, limit) is None and uuid not in self._processes.guests():
                self._book.never_began(vm.uuid, epoch)
                raise refusal(f"VM {vm.name} was not started", problem) from problem
            raise Unreachable(f"VM {vm.name} was not started, or not wholly: {words(problem)}") from problem
        if seen is None or seen.mark.run_epoch != epoch:
            raise Unreachable(f"libvirt shows another run of VM {vm.name} than the one that was started")

    def _let_go(self, vm: VmSpec, epoch: int, turn: Turn, limit: Deadline) -> None:
        uuid = domain_uuid(vm.uuid)
        try:
            self._book.let_go(vm.uuid, epoch)
            self._within(turn, f"starting VM {vm.name}", limit, lambda c: c.lookupByUUIDString(uuid).resume())
        except (Refused, self._connection.module.libvirtError) as problem:
            self._lookup.destroy(uuid, limit)
            self._book.never_began(vm.uuid, epoch)
            raise refusal(f"VM {vm.name} was not started", problem) from problem

    def _within(
        self,
        turn: Turn,
        what: str,
        limit: Deadline,
        question: Callable[[Any], Any],
        when_late: Callable[[], None] = lambda: None,
    ) -> Any:
        """Ask libvirt; the VM's turn lasts until the answer is there, whoever still waits for it."""

        def late() -> None:
            try:
                when_late()
            finally:
                turn.leave()

        turn.share()
        try:
            answer = self._connection.ask(what, limit, question, late)
        except Abandoned:
            raise
        except BaseException:
            turn.leave()
            raise
        turn.leave()
        return answer

    def drop(self, vm_uuid: str) -> None:
        """End the VM's domain if it was made and never let go. Its caller has the VM's turn; logs what goes wrong."""
        try:
            limit = Deadline(_CLEANING_SECONDS)
            seen = self._lookup.look(domain_uuid(vm_uuid), limit)
            page = self._book.page(vm_uuid)
            if seen is not None and page.begun == seen.mark.run_epoch and not page.let_go:
                log.warning("run %d of VM %s came to be too late: it is ended unrun", page.begun, seen.name)
                self._lookup.destroy(seen.uuid, limit)
        except HoldfastError as problem:
            log.warning("a VM that came to be too late is not ended yet: %s", problem)

    def drop_in_turn(self, vm_uuid: str, turns: Callable[[str, Deadline], Any]) -> None:
        """The same, for whoever has no turn yet: in a thread of its own."""

        def work() -> None:
            try:
                with turns(vm_uuid, Deadline(_CLEANING_SECONDS)):
                    self.drop(vm_uuid)
            except HoldfastError as problem:
                log.info("VM %s: %s", vm_uuid, problem)

        threading.Thread(target=work, name="kvm-drop", daemon=True).start()
