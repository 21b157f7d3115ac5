"""Comparing hosts with the store: stale runs are ended, runs that end meanwhile are not taken for stale."""

from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import PermitState, VmState
from holdfast.model.views import VmSpec
from holdfast_simulator.world.guests import Guest
from manager_bed import Bed


class _SlowListing:
    """A hypervisor driver whose listings arrive late: they say what the host ran seconds ago."""

    def __init__(self, whole: Any, sleep: Callable[[float], None], seconds: float) -> None:
        self._whole, self._sleep, self._seconds = whole, sleep, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def list_vms(self, *args: Any) -> Any:
        seen = self._whole.list_vms(*args)
        self._sleep(self._seconds)
        return seen


class _OldListing(_SlowListing):
    """One whose listings are from before any guest came, and arrive late."""

    def list_vms(self, *args: Any) -> Any:
        super().list_vms(*args)
        return ()


def _list_slowly(bed: Bed, seconds: float, kind: type[_SlowListing] = _SlowListing) -> None:
    for manager in bed.managers.values():
        drivers = manager.desk.plugins._drivers  # type: ignore[attr-defined]
        key = ("hypervisor", "simulator")
        drivers[key] = kind(manager.desk.plugins.driver(*key), bed.site.time.sleep, seconds)


def _compare(bed: Bed) -> None:
    """Ask for a comparison of h1, from within its server."""

    async def ask() -> None:
        bed.managers["ms1"].comparison.want("h1")

    bed.loop.spawn(bed.lives["ms1"].process, ask())


@pytest.mark.parametrize("job", ["stopVirtualMachine", "destroyVirtualMachine"])
def test_a_run_that_ends_while_its_host_is_asked_is_not_stale(make_bed: Callable[..., Bed], job: str) -> None:
    """The host's answer was given before the operator's stop: no alert says that an ended run is still there."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    _list_slowly(bed, 3.0)
    _compare(bed)
    bed.run(0.5)
    assert bed.outcome(bed.job(job, 1, id=vm), 2.0).job_status == 1
    bed.run(20)
    assert bed.alerts("ALERT.HA.STALE.RUN") == []
    assert bed.world.live_runs("vm1") == []


def test_a_start_that_ends_while_its_host_is_asked_is_left_alone(
    make_bed: Callable[..., Bed], caplog: pytest.LogCaptureFixture
) -> None:
    """The host's answer was given before the guest lived, and the permit was read before that: both are old by now."""
    caplog.set_level("INFO", "holdfast.manager.comparison")
    bed = make_bed(servers=1, hosts=1)
    vm = bed.add_vm("vm1", None)
    _list_slowly(bed, 3.0, _OldListing)
    job = bed.job("startVirtualMachine", 1, id=vm)
    bed.run_until(lambda: bool(bed.permits(vm_id=vm)), 10)
    _compare(bed)
    assert bed.outcome(job, 2.5).job_status == 1
    bed.run(20)
    assert bed.world.live_runs("vm1") == [("h1", 1)]
    assert [permit.state for permit in bed.permits(vm_id=vm)] == [PermitState.RUNNING]
    assert [line for line in caplog.messages if "again" in line] == []


def test_a_run_that_was_ended_long_ago_is_stopped_with_an_alert(make_bed: Callable[..., Bed]) -> None:
    """A guest whose permit has ended is stopped once its host is compared, and an alert names VM, run and host."""
    bed = make_bed(servers=1)
    vm = bed.add_vm("vm1", 1)
    (permit,) = bed.permits(vm_id=vm)
    bed.edit(type(permit), permit.id, state=PermitState.ENDED, ended_by="{}")
    bed.edit(type(bed.vm(vm)), vm, state=VmState.STOPPED, host_id=None)
    _compare(bed)
    bed.run_until(lambda: bed.world.live_runs("vm1") == [], 10)
    (alert,) = bed.alerts("ALERT.HA.STALE.RUN")
    assert "run 1 of VM vm1" in alert.content
    assert "h1" in alert.content


def test_a_stale_run_beside_a_permitted_one_is_stopped_alone(make_bed: Callable[..., Bed]) -> None:
    """The runs that have a permit go on."""
    bed = make_bed(servers=1)
    bed.add_vm("vm1", 1)
    stale = bed.add_vm("vm2", None, run_epoch=1)
    bed.put(type(bed.permits()[0])(vm_id=stale, run_epoch=1, host_id=1, state=PermitState.ENDED, proof_kind="x"))
    bed.world.host("h1").book.guests["vm2"] = Guest(
        VmSpec("vm2", "vm2", "i", 1, 100, 512, "t1", "pool1"), 1, starting=False
    )
    _compare(bed)
    bed.run_until(lambda: bed.world.live_runs("vm2") == [], 10)
    assert bed.world.live_runs("vm1") == [("h1", 1)]
    assert len(bed.alerts("ALERT.HA.STALE.RUN")) == 1


def test_hosts_are_compared_at_a_bounded_pace(make_bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch) -> None:
    """With more hosts than fit into the usual period, the period grows: the first round as well as later ones."""
    monkeypatch.setattr("holdfast_manager.comparison._MOST_PER_SECOND", 0.1)
    bed = make_bed(hosts=12, servers=1)
    asked: list[float] = []
    comparison = bed.managers["ms1"].comparison
    compare = comparison._compare

    async def counted(actor: Any) -> bool:
        asked.append(bed.loop.time())
        return await compare(actor)

    monkeypatch.setattr(comparison, "_compare", counted)
    bed.run(1200)
    assert 100 <= len(asked) <= 132  # 12 hosts, each once in 120 s; once in 60 s it would be 240
    worst = max(sum(1 for one in asked if start <= one < start + 60) for start in asked)
    assert worst <= 12
