"""Listens to libvirt, tells the agent what becomes of its VMs, and lets guests go on that stopped on an I/O error.

libvirt's event thread only puts notes into a queue; one thread of ours works them off, opens the connection again when
it broke, and then looks what changed meanwhile.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.hooks.hypervisor import HostListener
from holdfast.model.states import GuestState
from holdfast.model.views import VmReport

from holdfast_hypervisor_kvm import domain_state
from holdfast_hypervisor_kvm.capacity import boot_id, read_capacity
from holdfast_hypervisor_kvm.connection import Connection, words
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.deaths import Deaths
from holdfast_hypervisor_kvm.domain_xml import domain_uuid
from holdfast_hypervisor_kvm.lookup import Lookup
from holdfast_hypervisor_kvm.run_book import RunBook
from holdfast_hypervisor_kvm.sightings import NO_EPOCH, Sighting, Sightings

log = logging.getLogger("holdfast.hypervisor.kvm")

_LIFECYCLE, _REBOOT, _IO_ERROR_REASON = 0, 1, 6
_PROC = Path("/proc")
_CALL_SECONDS = 10.0
_AGAIN_SECONDS = 0.5
_LOOKS = 120
"""How often a domain is looked for whose process is gone: libvirtd may take a minute to see it."""
_NEW, _GONE, _DIED = -1, -2, -3
_CHANGES = (domain_state.EVENT_STARTED, domain_state.EVENT_SUSPENDED, domain_state.EVENT_RESUMED)


@dataclass(frozen=True, slots=True)
class _Note:
    """One event of a domain; or that a process died, that the connection is new, or that it broke."""

    event: int
    uuid: str = ""
    detail: int = -1


class Watch:
    """One per driver. Nothing is polled but guests that wait for their storage, and those whose process has died."""

    def __init__(self, uri: str, book: RunBook, resume_seconds: float) -> None:
        self.connection = Connection(uri, self._opened, lambda: self._notes.put(_Note(_GONE)))
        self.sightings = Sightings(self._vm_of)
        self._lookup = Lookup(self.connection, self.sightings)
        self._book = book
        self._resume_seconds = resume_seconds
        self._notes: queue.SimpleQueue[_Note] = queue.SimpleQueue()
        self._listeners: dict[str, HostListener] = {}
        self._told: dict[str, tuple[int, GuestState]] = {}
        """Domain uuid -> run and state that were told last."""
        self._troubles: dict[str, str] = {}
        self._waiting: set[str] = set()
        """Domains that stopped on an I/O error."""
        self._thread: threading.Thread | None = None
        self.deaths = Deaths(lambda: self._notes.put(_Note(_DIED, detail=_LOOKS)))
        self.gone: Callable[[str], None] = lambda uuid: None
        self.rebooted: Callable[[str], None] = lambda uuid: None
        self.find_ends: Callable[[], bool] = lambda: False
        self.is_unborn: Callable[[Sighting], bool] = lambda seen: False
        self.drop: Callable[[str], None] = lambda vm_uuid: None

    def attach(self, host_uuid: str, listener: HostListener) -> None:
        """Tell `listener` from now on. `ConfigurationError` if libvirt cannot be used here at all."""
        self._listeners[host_uuid] = listener
        try:
            self.connection.open(Deadline(_CALL_SECONDS))
        except ConfigurationError:
            raise
        except HoldfastError as problem:
            log.warning("%s; it is tried again until it answers", problem)
            self._notes.put(_Note(_GONE))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="kvm-watch", daemon=True)
            self._thread.start()
        else:
            self._notes.put(_Note(_NEW))

    def detach(self, host_uuid: str) -> None:
        """Stop telling."""
        self._listeners.pop(host_uuid, None)

    def reason_of(self, seen: Sighting) -> str:
        """Why the domain is in its state, with the I/O error that stopped it."""
        trouble = self._troubles.get(seen.uuid, "")
        return f"{seen.reason}: {trouble}" if trouble and seen.reason == domain_state.PAUSED_ON_ERROR else seen.reason

    def ended(
        self, uuid: str, vm_uuid: str, epoch: int, state: GuestState, reason: str, host_restarted: bool = False
    ) -> None:
        """A run is over: write it down, and tell, unless it was ended by order or went elsewhere."""
        self._told.pop(uuid, None)
        if self._book.end(vm_uuid, epoch, state, reason) and reason != domain_state.MOVED:
            self._tell(uuid, VmReport(vm_uuid, state, epoch, reason, host_restarted))

    def _vm_of(self, uuid: str) -> str:
        return next((vm_uuid for vm_uuid in self._book.pages() if domain_uuid(vm_uuid) == uuid), "")

    # --- on libvirt's threads: nothing here may wait -------------------------------------------------------------

    def _opened(self, connection: Any) -> None:
        connection.domainEventRegisterAny(None, _LIFECYCLE, self._on_lifecycle, None)
        connection.domainEventRegisterAny(None, _REBOOT, self._on_reboot, None)
        connection.domainEventRegisterAny(None, _IO_ERROR_REASON, self._on_error, None)
        self._notes.put(_Note(_NEW))

    def _on_lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        uuid = domain.UUIDString()
        self._notes.put(_Note(event, uuid, detail))
        if event == domain_state.EVENT_STOPPED:
            self.gone(uuid)

    def _on_reboot(self, _connection: Any, domain: Any, _opaque: Any) -> None:
        self.rebooted(domain.UUIDString())

    def _on_error(
        self, _connection: Any, domain: Any, source: str, alias: str, _action: int, reason: str, _opaque: Any
    ) -> None:
        self._troubles[domain.UUIDString()] = f"{reason or 'I/O error'} on {source or alias}"

    # --- on our own thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        resume_at = 0.0
        while True:
            note = None
            pause = max(0.05, resume_at - time.monotonic()) if self._waiting else None
            try:
                note = self._notes.get(timeout=pause)
                self._work_off(note)
            except queue.Empty:
                pass
            except HoldfastError as problem:
                log.info("what libvirt says has to wait: %s", problem)
                time.sleep(_AGAIN_SECONDS)  # libvirtd tells nobody when it will be back
                self._notes.put(_Note(_GONE if note is not None and note.event == _GONE else _NEW))
            except Exception:
                log.exception("an event of libvirt could not be worked off")
            if self._waiting and time.monotonic() >= resume_at:
                self._let_all_go_on()
                resume_at = time.monotonic() + self._resume_seconds

    def _work_off(self, note: _Note) -> None:
        if note.event == _GONE:
            self.connection.open(Deadline(_CALL_SECONDS))  # which leaves a note that it is new
        elif note.event == _NEW:
            self._look_around()
        elif note.event == domain_state.EVENT_STOPPED:
            self._stopped(note)
        elif note.event == _DIED:
            self._find_ends(note.detail)
        elif note.event in _CHANGES:
            seen = self._lookup.look(note.uuid, Deadline(_CALL_SECONDS))
            if seen is not None:
                arrives = note.event == domain_state.EVENT_STARTED and note.detail == domain_state.STARTED_MIGRATED
                self._seen(seen, arrives)

    def _look_around(self) -> None:
        """The connection is fresh: say how large the host is, and see what changed."""
        limit = Deadline(_CALL_SECONDS)
        size = self.connection.look("asking for the host's size", limit, lambda c: read_capacity(c, _PROC))
        found = self.connection.look("listing VMs", limit, self.sightings.all)
        for uuid, listener in list(self._listeners.items()):
            listener.on_connected(uuid, boot_id(_PROC), size.cpus, size.speed, size.ram)
        for seen in found.values():
            self._seen(seen, arrives=False)
        self._find_ends(_LOOKS)

    def _seen(self, seen: Sighting, arrives: bool) -> None:
        if arrives:
            self._arriving(seen)
        elif seen.state is not GuestState.UNKNOWN:
            self._take_up(seen)
        waits = seen.state is GuestState.PAUSED and seen.reason == domain_state.PAUSED_ON_ERROR
        (self._waiting.add if waits else self._waiting.discard)(seen.uuid)
        if self.is_unborn(seen):
            self.drop(seen.mark.vm_uuid)
        elif seen.state is GuestState.RUNNING or waits or self._was_running(seen):
            self._tell(seen.uuid, VmReport(seen.mark.vm_uuid, seen.state, seen.mark.run_epoch, self.reason_of(seen)))

    def _was_running(self, seen: Sighting) -> bool:
        """Paused by somebody after it ran; a domain that was only just made is paused too, and that is no news."""
        return seen.state is GuestState.PAUSED and self._told.get(seen.uuid, (-1, None))[0] == seen.mark.run_epoch

    def _arriving(self, seen: Sighting) -> None:
        """A live migration comes in: before it runs here, its run is written down, or it is turned away."""
        mark = seen.mark
        if not self._book.arrived(mark.vm_uuid, seen.name, mark.run_epoch, boot_id(_PROC), time.time()):
            log.warning("run %d of VM %s arrives although it was stopped here: turned away", mark.run_epoch, seen.name)
            self._lookup.destroy(seen.uuid, Deadline(_CALL_SECONDS))

    def _take_up(self, seen: Sighting) -> None:
        """A run that came by live migration while nobody listened: from now on its end is news."""
        mark, page = seen.mark, self._book.pages().get(seen.mark.vm_uuid)
        if page is not None and mark.run_epoch <= max(page.begun, page.revoked):
            return
        if mark.run_epoch != NO_EPOCH and mark.vm_uuid not in self._book.damaged():
            self._book.arrived(mark.vm_uuid, seen.name, mark.run_epoch, boot_id(_PROC), time.time())

    def _stopped(self, note: _Note) -> None:
        last = self.sightings.last(note.uuid)
        # First what was seen, then whether it is gone: a newer run of the VM may have begun since the event.
        if last is None or self._lookup.look(note.uuid, Deadline(_CALL_SECONDS)) is not None:
            return
        self._waiting.discard(note.uuid)
        self._troubles.pop(note.uuid, None)
        self.sightings.forget(note.uuid)
        self.ended(last.uuid, last.mark.vm_uuid, last.mark.run_epoch, *domain_state.of_stop(note.detail))

    def _find_ends(self, looks: int) -> None:
        """Once libvirtd sees that a process is gone it tells, or, where it was just taking the domain up, does not."""
        if self.find_ends() and looks:
            again = threading.Timer(_AGAIN_SECONDS, self._notes.put, (_Note(_DIED, detail=looks - 1),))
            again.daemon = True
            again.start()

    def _let_all_go_on(self) -> None:
        """One whose storage is still away stops again at once."""
        for uuid in list(self._waiting):
            try:
                seen = self._lookup.look(uuid, Deadline(_CALL_SECONDS))
                if seen is None or seen.reason != domain_state.PAUSED_ON_ERROR:
                    self._waiting.discard(uuid)
                else:
                    self._let_go_on(uuid)
            except (HoldfastError, self.connection.module.libvirtError) as problem:
                log.info("a VM that waits for its storage does not go on yet: %s", words(problem))

    def _let_go_on(self, uuid: str) -> None:
        limit = Deadline(_CALL_SECONDS)
        self.connection.ask("resuming a VM", limit, lambda connection: connection.lookupByUUIDString(uuid).resume())

    def _tell(self, uuid: str, report: VmReport) -> None:
        if self._told.get(uuid) == (report.run_epoch, report.state):
            return
        self._told[uuid] = (report.run_epoch, report.state)
        for host_uuid, listener in list(self._listeners.items()):
            listener.on_vm(host_uuid, report)
