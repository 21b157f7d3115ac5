"""Facts about a host whose storage nobody watches."""

from holdfast.model.views import HostOrders, VmSpec
from holdfast_agent.storage.watch import NoStorageWatch, StorageWatch


def test_without_a_watch_nothing_is_refused_and_nothing_is_promised() -> None:
    """Rung 3 of the ladder needs an armed watchdog: a host without one must never claim it."""
    watch: StorageWatch = NoStorageWatch()
    watch.orders_given(HostOrders(ha=True))
    assert watch.may_start(VmSpec("vm1", "vm1", "i-1", 1, 1000, 512)) == ""
    assert not watch.watchdog_armed()
