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

    def stand_down(self, seconds: float) -> None:
        """Before `stop`, while beats still go out: see to it that the owner counts on the watchdog no more. Blocks."""

    def stop(self) -> None:
        """End in order. The watchdog is disarmed, unless VMs may run here and the owner counts on it. Idempotent."""

    def orders_given(self, orders: HostOrders) -> None:
        """The owner's standing orders: pools to beat on, and the settings. Given at each connection and each change.

        Before `start` with the orders remembered from the last run, if there are any.
        """

    def may_start(self, vm: VmSpec) -> str:
        """Empty, or why `vm` must not be started now, in words: a lease that lapsed, a pool that does not answer."""

    def admit(self, vm: VmSpec, ordered: float) -> str:
        """As `may_start`, asked again once `vm` counts as running and before it does; arms the watchdog for it.

        `ordered` is when the order came, by `lease.uptime`: a lease that lapsed since voids it. Called in a driver's
        thread; blocks no longer than the watchdog takes to be armed.
        """

    def watchdog_armed(self) -> bool:
        """Whether the host promises that its watchdog ends all VMs of concern once its storage lease lapses."""

    def is_adrift(self) -> bool:
        """Whether no pool takes this host's beats, so that it asks its owner for grants."""

    def owner_granted(self, asked_at: float) -> None:
        """The owner, while it was the owner, heard the beat that this host sent at `asked_at` (`lease.uptime`)."""


class NoStorageWatch:
    """For hosts without storage that beats: nothing is written, nothing is refused, and no watchdog is armed."""

    def start(self, vms: HostVms) -> None:
        """Nothing to begin."""

    def stand_down(self, seconds: float) -> None:
        """Nobody counts on it."""

    def stop(self) -> None:
        """Nothing to end."""

    def orders_given(self, orders: HostOrders) -> None:
        """Nothing follows from them."""

    def may_start(self, vm: VmSpec) -> str:
        """Nothing is refused."""
        return ""

    def admit(self, vm: VmSpec, ordered: float) -> str:
        """Nothing is refused."""
        return ""

    def watchdog_armed(self) -> bool:
        """Never."""
        return False

    def is_adrift(self) -> bool:
        """Never."""
        return False

    def owner_granted(self, asked_at: float) -> None:
        """Nothing depends on it."""
