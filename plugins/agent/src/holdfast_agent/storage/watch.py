"""StorageWatch: what the rest of the agent asks of the part that beats on storage and keeps the lease of proof 3."""

from typing import Protocol

from holdfast.model.views import HostOrders, VmSpec


class HostVms(Protocol):
    """What a storage watch may ask of the agent about the VMs of this host. Any thread; never blocks on drivers."""

    def running(self) -> tuple[VmSpec, ...]:
        """VMs that may run here now, as they were started: a start that was begun counts, a proven stop does not."""

    def stop_all(self, vm_uuids: tuple[str, ...], seconds: float) -> tuple[str, ...]:
        """Destroy these VMs at once; returns the uuids of those that are proven to be gone after `seconds`. Blocks."""


class StorageWatch(Protocol):
    """Beats on every pool that the orders name, and knows whether this host may still be trusted to write.

    All methods but `start` and `stop` are called on the agent's event loop and never block: they look at what threads
    of the watch's own, or processes where I/O may hang, have found out.
    """

    def start(self, vms: HostVms) -> None:
        """Begin, with the orders that were given last, if any. Raises `ConfigurationError` if it cannot."""

    def stop(self) -> None:
        """End in order: the watchdog is disarmed, and the host is not reset. Idempotent."""

    def orders_given(self, orders: HostOrders) -> None:
        """The owner's standing orders: pools to beat on, and the settings. Given at each connection and each change.

        Before `start` with the orders remembered from the last run, if there are any.
        """

    def may_start(self, vm: VmSpec) -> str:
        """Empty, or why `vm` must not be started now, in words: a lease that lapsed, a pool that does not answer."""

    def watchdog_armed(self) -> bool:
        """Whether the watchdog is armed and will reset this host once its storage lease lapses (design §3, rung 3)."""


class NoStorageWatch:
    """For hosts without storage that beats: nothing is written, nothing is refused, and no watchdog is armed."""

    def start(self, vms: HostVms) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""

    def orders_given(self, orders: HostOrders) -> None:
        """Nothing follows from them."""

    def may_start(self, vm: VmSpec) -> str:
        """Nothing is refused."""
        return ""

    def watchdog_armed(self) -> bool:
        """Never."""
        return False
