"""Every VM that this host has, from all that knows of them: libvirt, the kernel's processes, and the run book."""

from dataclasses import dataclass
from pathlib import Path

from holdfast.model import GuestState
from holdfast.model.views import VmReport

from holdfast_hypervisor_kvm import end_notes
from holdfast_hypervisor_kvm.capacity import boot_id
from holdfast_hypervisor_kvm.deadline import Deadline
from holdfast_hypervisor_kvm.domain_xml import domain_uuid
from holdfast_hypervisor_kvm.processes import Processes
from holdfast_hypervisor_kvm.run_book import Page, RunBook
from holdfast_hypervisor_kvm.sightings import Sighting
from holdfast_hypervisor_kvm.starting import Starting
from holdfast_hypervisor_kvm.watch import Watch

_FINDING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look at everything. `guests`: domain uuid -> processes; `ends`: VM uuid -> how its run ended, found now;
    `boot`: which boot of the host this is."""

    pages: dict[str, Page]
    found: dict[str, Sighting]
    guests: dict[str, list[int]]
    ends: dict[str, tuple[GuestState, str]]
    boot: str


class RollCall:
    """Answers `list_vms`, and finds ends that no event told of."""

    def __init__(self, watch: Watch, book: RunBook, processes: Processes, starting: Starting, logs: Path) -> None:
        self._watch = watch
        self._book = book
        self._processes = processes
        self._starting = starting
        self._logs = logs

    def reports(self, limit: Deadline) -> tuple[VmReport, ...]:
        """What `list_vms` answers. An end that was not acknowledged by a stop yet is listed with how it came."""
        seen = self._call(limit)
        reports = {uuid: self._report(sighting) for uuid, sighting in seen.found.items()}
        for vm_uuid, page in seen.pages.items():
            uuid = domain_uuid(vm_uuid)
            if uuid in reports or page.begun < 0:
                continue
            if uuid in seen.guests:
                text = "its QEMU process runs although libvirt does not know it"
                reports[uuid] = VmReport(vm_uuid, GuestState.UNKNOWN, page.begun, text)
            elif self._starting.is_underway(vm_uuid):
                reports[uuid] = VmReport(vm_uuid, GuestState.UNKNOWN, page.begun, "it is starting")
            elif page.begun > page.revoked:
                state, reason = seen.ends.get(vm_uuid, (page.ended or GuestState.ABSENT, page.reason))
                with_host = state == GuestState.ABSENT and page.boot != seen.boot
                reports[uuid] = VmReport(vm_uuid, GuestState(state), page.begun, reason, with_host)
        return tuple(reports.values())

    def _report(self, seen: Sighting) -> VmReport:
        mark = seen.mark
        if seen.state is GuestState.PAUSED and not self._was_let_go(seen):
            return VmReport(mark.vm_uuid, GuestState.UNKNOWN, mark.run_epoch, "it is starting")
        return VmReport(mark.vm_uuid, seen.state, mark.run_epoch, self._watch.reason_of(seen))

    def _was_let_go(self, seen: Sighting) -> bool:
        page = self._book.pages().get(seen.mark.vm_uuid)
        return page is None or page.begun != seen.mark.run_epoch or page.let_go

    def find_ends(self) -> bool:
        """Runs that ended while nobody listened: write down how, as far as libvirt's log or the host's boot tells. Of
        processes that live the kernel tells from now on. True if libvirt still lists a domain whose process is gone."""
        seen = self._call(Deadline(_FINDING_SECONDS))
        self._watch.deaths.watch(number for numbers in seen.guests.values() for number in numbers)
        return any(
            uuid not in seen.guests and not self._starting.is_underway(sighting.mark.vm_uuid)
            for uuid, sighting in seen.found.items()
        )

    def _call(self, limit: Deadline) -> _Seen:
        """First what is written, then what is there: a run that began in between is there, and not taken for ended."""
        pages = self._book.pages()
        found = self._watch.connection.look("listing VMs", limit, self._watch.sightings.all)
        guests, boot = self._processes.guests(), boot_id(Path("/proc"))
        ends = {}
        for vm_uuid, page in pages.items():
            uuid = domain_uuid(vm_uuid)
            may_live = page.begun > page.revoked and not page.ended
            if not may_live or uuid in found or uuid in guests or self._starting.is_underway(vm_uuid):
                continue
            ends[vm_uuid] = self._how_it_ended(page, boot)
            self._watch.ended(uuid, vm_uuid, page.begun, *ends[vm_uuid], host_restarted=page.boot != boot)
        return _Seen(pages, found, guests, ends, boot)

    def _how_it_ended(self, page: Page, boot: str) -> tuple[GuestState, str]:
        if page.boot != boot:
            return GuestState.ABSENT, "its host was restarted"
        told = end_notes.how_it_ended(self._logs, page.name, page.begun_at)
        return told or (GuestState.ABSENT, "it is gone, and libvirt does not say why")
