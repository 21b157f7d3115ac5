"""The disks of VMs that are gone for good."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.model import PermitState
from manager_bed import Bed


@pytest.fixture
def bed() -> Iterator[Bed]:
    found = Bed(servers=1)
    yield found
    found.close()


def _removing(bed: Bed, answer: Callable[[str], HoldfastError | None]) -> list[tuple[str, str]]:
    """Let hosts answer; (host, VM) of every call is kept."""
    calls: list[tuple[str, str]] = []

    def remove_disks(host: Any, vm: Any, deadline: float) -> None:
        assert host.owner_epoch > 0
        assert all(p.state == PermitState.ENDED for p in bed.permits()), "a run of it may be live"
        assert all(row.removed is not None for row in bed.vms()), "it may still be started"
        calls.append((host.uuid, vm.uuid))
        problem = answer(host.uuid)
        if problem is not None:
            raise problem

    bed.lives["ms1"].hypervisor.remove_disks = remove_disks  # type: ignore[method-assign]
    return calls


def _destroy(bed: Bed, **more: Any) -> None:
    job = bed.outcome(bed.job("destroyVirtualMachine", 1, id=1, **more))
    assert job.job_status == 1, job.job_result


def test_an_expunged_vm_loses_its_disk(bed: Bed) -> None:
    """The host that ran it last is asked first, after everything that could start the VM has ended."""
    bed.add_vm("vm1", 2)
    bed.run(5)
    calls = _removing(bed, lambda host: None)
    _destroy(bed, expunge=True)
    assert calls == [("h2", "vm1")]
    assert bed.events("VM.DISK.LEFT") == []


def test_a_destroyed_vm_that_may_come_back_keeps_it(bed: Bed) -> None:
    """Until it is expunged."""
    bed.add_vm("vm1", 2)
    bed.run(5)
    calls = _removing(bed, lambda host: None)
    _destroy(bed)
    assert calls == []


def test_another_host_is_asked_where_one_does_not_answer(bed: Bed) -> None:
    """They share the storage."""
    bed.add_vm("vm1", 2)
    bed.run(5)
    calls = _removing(bed, lambda host: Unreachable("no answer") if host == "h2" else None)
    _destroy(bed, expunge=True)
    assert calls[0] == ("h2", "vm1")
    assert len(calls) == 2
    assert bed.events("VM.DISK.LEFT") == []


def test_a_disk_that_stays_behind_is_told(bed: Bed) -> None:
    """The VM is gone all the same, and its job succeeds."""
    bed.add_vm("vm1", 2)
    bed.run(5)
    calls = _removing(bed, lambda host: Refused("it does not bear this VM's mark"))
    _destroy(bed, expunge=True)
    assert len(calls) == 1, "a no is a no, whoever is asked"
    [event] = bed.events("VM.DISK.LEFT")
    assert "does not bear this VM's mark" in event.description


def test_a_vm_that_never_ran_has_no_disk(bed: Bed) -> None:
    """Nobody is asked."""
    bed.add_vm("vm1", None)
    bed.run(5)
    calls = _removing(bed, lambda host: None)
    _destroy(bed, expunge=True)
    assert calls == []
