"""What is made of libvirt's list of domains, while domains come and go."""

from typing import Any

import pytest
from holdfast.model.states import GuestState
from holdfast_hypervisor_kvm.run_mark import NAMESPACE, RunMark
from holdfast_hypervisor_kvm.sightings import NO_EPOCH, Sightings

NO_DOMAIN, NO_METADATA, INTERNAL = 42, 80, 1


class Trouble(Exception):
    def __init__(self, code: int) -> None:
        self._code = code

    def get_error_code(self) -> int:
        return self._code


class Domain:
    def __init__(self, uuid: str, number: int, metadata: str | Exception) -> None:
        self.uuid, self.number, self._metadata = uuid, number, metadata
        self.asked = 0

    def UUIDString(self) -> str:
        return self.uuid

    def ID(self) -> int:
        return self.number

    def name(self) -> str:
        return f"name of {self.uuid}"

    def metadata(self, *_: Any) -> str:
        self.asked += 1
        if isinstance(self._metadata, Exception):
            raise self._metadata
        return self._metadata


class Libvirt:
    def __init__(self, *domains: Domain) -> None:
        self.domains = domains

    def getAllDomainStats(self, *_: int) -> list[tuple[Domain, dict[str, int]]]:
        return [(domain, {"state.state": 1, "state.reason": 1}) for domain in self.domains]


def mark(vm: str, epoch: int) -> str:
    return f'<run xmlns="{NAMESPACE}" vm="{vm}" epoch="{epoch}"/>'


def nobody(_: str) -> str:
    return ""


def test_a_domain_that_ends_while_it_is_listed_does_not_spoil_the_list() -> None:
    """The others are seen; it is simply not there."""
    sightings = Sightings(nobody)
    found = sightings.all(Libvirt(Domain("a", 1, Trouble(NO_DOMAIN)), Domain("b", 2, mark("vm-b", 3))))
    assert {uuid: seen.mark for uuid, seen in found.items()} == {"b": RunMark("vm-b", 3)}


def test_domains_of_others_are_not_seen_but_an_unmarked_vm_of_ours_is() -> None:
    """Somebody started it by hand: it has a run of no permit."""
    sightings = Sightings(lambda uuid: "vm-a" if uuid == "a" else "")
    found = sightings.all(Libvirt(Domain("a", 1, Trouble(NO_METADATA)), Domain("b", 2, Trouble(NO_METADATA))))
    assert [seen.mark for seen in found.values()] == [RunMark("vm-a", NO_EPOCH)]


def test_other_troubles_are_not_taken_for_an_empty_host() -> None:
    """A list that is not complete is none."""
    with pytest.raises(Trouble):
        Sightings(nobody).all(Libvirt(Domain("a", 1, Trouble(INTERNAL))))


def test_a_mark_is_read_once_for_each_start() -> None:
    """A newer run of the same VM has another number, and its own mark."""
    sightings = Sightings(nobody)
    domain = Domain("a", 1, mark("vm-a", 1))
    for _ in range(3):
        assert sightings.all(Libvirt(domain))["a"].state is GuestState.RUNNING
    assert domain.asked == 1
    assert sightings.all(Libvirt(Domain("a", 2, mark("vm-a", 2))))["a"].mark == RunMark("vm-a", 2)
    last = sightings.last("a")
    assert last is not None
    assert last.mark.run_epoch == 2
    sightings.forget("a")
    assert sightings.last("a") is None
