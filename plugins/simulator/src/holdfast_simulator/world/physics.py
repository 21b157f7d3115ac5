"""How long things take in the simulated world."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Physics:
    """Latencies and intervals, in seconds; the defaults are those of ordinary servers.

    `lease`, `watchdog_time` and `self_fence` are what the hosts' agents were told (`ha.storage.lease`,
    `ha.watchdog.time`, `ha.self.fence.action`).
    """

    vm_start: float = 0.5
    vm_stop: float = 0.2
    vm_graceful_stop: float = 1.0
    vm_migrate: float = 2.0
    host_boot: float = 20.0
    bmc_status: float = 0.05
    bmc_off: float = 1.5
    bmc_on: float = 1.0
    bmc_reset: float = 0.5
    guest_os_shutdown: float = 5.0
    beat_interval: float = 1.0
    storage_beat: float = 1.0
    lease: float = 10.0
    watchdog_time: float = 10.0
    watchdog_armed: bool = True
    self_fence: Literal["none", "stop", "reboot"] = "reboot"
