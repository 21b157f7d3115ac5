"""Which storage watch an agent gets."""

from collections.abc import Callable

from holdfast.hooks.heartbeat import HeartbeatDriver

from holdfast_agent.storage.guardian import Guardian
from holdfast_agent.storage.watch import StorageWatch
from holdfast_agent.storage.watchdog import NoWatchdog, WatchdogDevice


def make_watch(host_uuid: str, heartbeat: Callable[[str], HeartbeatDriver], watchdog: str) -> StorageWatch:
    """The watch of this host. `heartbeat` gives a pool's driver by name; `watchdog` is a device's path, "" for none."""
    return Guardian(host_uuid, heartbeat, WatchdogDevice(watchdog) if watchdog else NoWatchdog())
