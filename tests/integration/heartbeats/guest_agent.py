"""What runs in the guest: the storage part of an agent, on the kernel's own NFS mount, iSCSI disk and watchdog.

Prints a line for each thing that happens, and a tick each second, from its main thread: while the ticks come, it is
responsive. `guest_agent.py POOL-A-ADDRESS POOL-A-PATH POOL-B-DEVICE WATCHDOG-SECONDS`.
"""

import logging
import sys
import time

from holdfast.model.views import DiskSpec, HostOrders, PoolView, VmSpec
from holdfast_agent.storage.guardian import Guardian
from holdfast_agent.storage.watchdog import WatchdogDevice
from holdfast_heartbeat_iscsi.driver import IscsiHeartbeat
from holdfast_heartbeat_nfs.driver import NfsHeartbeat

HOST = "kernel-host"


class Vms:
    """One VM that another host could run."""

    def __init__(self, pool: PoolView) -> None:
        self._vm = VmSpec("vm", "vm", "vm", 1, 1, 1, ha=True, disks=(DiskSpec(pool, "disk"),))

    def running(self) -> tuple[VmSpec, ...]:
        return (self._vm,)

    def stop_all(self, vm_uuids: tuple[str, ...], seconds: float) -> tuple[str, ...]:
        return ()


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="GUEST log %(message)s")
    address, path, device, seconds = sys.argv[1:]
    nfs = PoolView("pool-nfs", "nfs", "NetworkFilesystem", "nfs", address, 0, path, scope="CLUSTER")
    details = {"heartbeat.device": device}
    disk = PoolView("pool-iscsi", "iscsi", "IscsiLUN", "iscsi", "", 0, "", details, scope="CLUSTER")
    drivers = {"nfs": NfsHeartbeat({"access": "mount"}), "iscsi": IscsiHeartbeat()}
    guardian = Guardian(HOST, drivers.__getitem__, WatchdogDevice("/dev/watchdog"))
    settings = {"ha.storage.lease": "20", "ha.watchdog.time": seconds, "ha.storage.beat.stale": "20"}
    guardian.orders_given(HostOrders((nfs, disk), True, settings))
    guardian.start(Vms(nfs))
    before: dict[str, str] = {}
    while True:
        facts = {"armed": str(guardian.watchdog_armed())} | {
            pool.name: guardian.problems().get(pool.name) or "beats" for pool in (nfs, disk)
        }
        facts |= {"trouble": "; ".join(guardian.problems().get(key, "") for key in ("lease", "watchdog", "terms"))}
        for key, value in facts.items():
            if before.get(key) != value:
                print(f"GUEST {key}: {value}", flush=True)
        before = facts
        print("GUEST tick", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
