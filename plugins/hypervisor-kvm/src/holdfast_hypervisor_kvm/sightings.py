"""The domains of this host, as libvirt shows them: which VM and which run each is, and how it is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.model.states import GuestState

from holdfast_hypervisor_kvm import domain_state
from holdfast_hypervisor_kvm.run_mark import NAMESPACE, RunMark, read_mark

_ACTIVE = 1
_STATE_STATS = 1
_METADATA_ELEMENT = 2
_NO_DOMAIN, _NO_METADATA = 42, 80
NO_EPOCH = 0
"""Run epoch of a domain that was not started by Holdfast: no permit has it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One domain. `number` is libvirt's own, another one at each start."""

    uuid: str
    number: int
    name: str
    mark: RunMark
    state: GuestState
    reason: str


class Sightings:
    """Remembers whose each domain is, also once it has gone. Thread-safe; asks libvirt only for what is new."""

    def __init__(self, vm_of: Callable[[str], str]) -> None:
        self._lock = threading.Lock()
        self._marks: dict[tuple[str, int], RunMark] = {}
        self._last: dict[str, Sighting] = {}
        self._vm_of = vm_of
        """Domain uuid -> VM uuid, "" if this host was told of none: a domain without a mark may be a VM of ours."""

    def all(self, connection: Any) -> dict[str, Sighting]:
        """Domain uuid -> what is to be seen now, of VMs that are Holdfast's. Blocks; raises `libvirtError`."""
        found = {}
        for domain, stats in connection.getAllDomainStats(_STATE_STATS, _ACTIVE):
            seen = self._see(domain, stats["state.state"], stats["state.reason"])
            if seen is not None:
                found[seen.uuid] = seen
        with self._lock:
            self._marks = {(seen.uuid, seen.number): seen.mark for seen in found.values()}
        return found

    def one(self, domain: Any) -> Sighting | None:
        """What is to be seen of this domain now; None if it is not Holdfast's. Blocks; raises `libvirtError`."""
        state, reason = domain.state()
        return self._see(domain, state, reason)

    def last(self, uuid: str) -> Sighting | None:
        """What was seen of a domain last, also if it has gone since."""
        with self._lock:
            return self._last.get(uuid)

    def forget(self, uuid: str) -> None:
        """It has gone, and that was told."""
        with self._lock:
            self._last.pop(uuid, None)

    def _see(self, domain: Any, state: int, reason: int) -> Sighting | None:
        uuid, number = domain.UUIDString(), domain.ID()
        mark = self._mark(domain, uuid, number)
        if mark is None:
            return None
        guest, why = domain_state.of_domain(state, reason)
        seen = Sighting(uuid, number, domain.name(), mark, guest, why)
        with self._lock:
            self._last[uuid] = seen
        return seen

    def _mark(self, domain: Any, uuid: str, number: int) -> RunMark | None:
        with self._lock:
            found = self._marks.get((uuid, number))
        if found is not None:
            return found
        try:
            mark = read_mark(domain.metadata(_METADATA_ELEMENT, NAMESPACE, 0))
        except Exception as problem:
            if _code(problem) == _NO_DOMAIN:
                return None  # it has ended since it was listed
            if _code(problem) != _NO_METADATA:
                raise
            mark = None
        if mark is None and (vm_uuid := self._vm_of(uuid)):
            mark = RunMark(vm_uuid, NO_EPOCH)
        if mark is not None:
            with self._lock:
                self._marks[(uuid, number)] = mark
        return mark


def _code(problem: Exception) -> int:
    code = getattr(problem, "get_error_code", None)
    return int(code()) if code is not None else -1
