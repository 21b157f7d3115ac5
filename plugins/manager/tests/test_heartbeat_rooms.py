"""Hosts beat on every pool that speaks of them, however late the pool or the host was added."""

from collections.abc import Callable

from holdfast.model import HAState, StoragePool
from manager_bed import Bed


def test_a_host_hung_on_a_pool_added_later_is_fenced(make_bed: Callable[..., Bed]) -> None:
    """Nobody but the manager lets hosts beat there; without beats a hung host would be suspect for ever."""
    bed = make_bed(pools=0)
    bed.world.add_pool("late", "late")
    bed.put(
        StoragePool(
            uuid="late", name="late", pool_type="NetworkFilesystem", data_center_id=bed.zone, cluster_id=bed.cluster,
            heartbeat="simulator",
        )
    )  # fmt: skip
    bed.add_vms(2)

    bed.run_until(lambda: all("late" in bed.machine(host).pools for host in ("h1", "h2", "h3")), 10)
    bed.run(5)
    bed.machine("h1").hang()
    bed.run_until(lambda: bed.runs_elsewhere(1), 20)

    assert bed.state(1) == HAState.FENCED
    assert bed.double_runs == []


def test_a_pool_that_does_not_answer_is_prepared_once_it_does(make_bed: Callable[..., Bed]) -> None:
    """The first try fails; later ones do not."""
    bed = make_bed(pools=0)
    bed.world.add_pool("late", "late")
    bed.world.set_pool("late", up=False)
    bed.put(
        StoragePool(
            uuid="late", name="late", pool_type="NetworkFilesystem", data_center_id=bed.zone, cluster_id=bed.cluster,
            heartbeat="simulator",
        )
    )  # fmt: skip
    bed.run(10)
    assert bed.machine("h1").pools == []

    bed.world.set_pool("late", up=True)

    bed.run_until(lambda: bed.machine("h1").pools == ["late"], 15)
