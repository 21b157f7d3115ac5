"""A rack dies: how long from the proof of each host's death to the permits of its VMs, and what it costs.

Real time, threads, SQLite file with full durability, and the shipped manager, store, provider and placement plugins.
All hosts of the rack stop beating at one moment and their BMCs read OFF from then on (they answer in 20 ms); agents
take 0.5 s for each start. Times are those of the commits, noted around the store:

- proof: the batch that stores a host as Fenced, ends its runs and schedules its restarts;
- permit: the batch that stores the VM's next run with the host that placement chose.

Goal for a cloud of 1,000 hosts that loses 100 hosts with 2,000 HA VMs: every permit within 2 s of its host's proof.

Usage: bench_rack.py [--full] [--runs N] [--json]   (--full: three runs each, and one with a cloud and a rack ten times
as large)
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import measuring
from bench_manager import until_available
from cloud import Fleet, Hub, WatchedStore, fill, open_store
from holdfast.hooks.store import Insert, Update
from holdfast.model import HaConfig, HAState, Permit, Vm
from holdfast_coordinator_local.coordinator import LocalCoordinator
from holdfast_manager.manager import Manager
from holdfast_manager.real_runtime import RealRuntime, prepare_process

_PER_CLUSTER = 50
_VMS_PER_HOST = 20
_LIMIT = 120.0
_QUIET_SECONDS = 5.0


class Times:
    """When each host was proven dead and each VM permitted and running again, from the batches of the store."""

    def __init__(self) -> None:
        self.proofs: dict[int, float] = {}
        self.permits: dict[int, float] = {}
        self.running: dict[int, float] = {}
        self.commit_seconds = 0.0
        self._read = 0

    def note(self, store: WatchedStore) -> None:
        """Go through the batches that came since the last call."""
        while self._read < len(store.batches):
            at, took, changes = store.batches[self._read]
            self._read += 1
            self.commit_seconds += took
            for change in changes:
                if isinstance(change, Insert) and isinstance(change.row, Permit):
                    self.permits[change.row.vm_id] = at
                elif not isinstance(change, Update):
                    continue
                elif change.record is HaConfig and change.values.get("ha_state") == HAState.FENCED:
                    self.proofs.setdefault(change.id, at)
                elif change.record is Vm and change.values.get("state") == "Running":
                    self.running[change.id] = at


def rack_of(hosts: int, dead: int, whole_clusters: bool) -> list[int]:
    """Numbers of the hosts that die: whole clusters, or some of every cluster."""
    if whole_clusters:
        return list(range(dead))
    clusters = hosts // _PER_CLUSTER
    return [number % clusters * _PER_CLUSTER + number // clusters for number in range(dead)]


async def measure(folder: Path, hosts: int, dead: int, whole_clusters: bool) -> dict[str, float]:
    """One incident on a new cloud."""
    store = open_store(folder)
    fill(store, hosts, _PER_CLUSTER, _VMS_PER_HOST, HAState.AVAILABLE)
    watched = WatchedStore(store)
    fleet = Fleet(bmc_seconds=0.02, start_seconds=0.5)
    fleet.house(store)
    prepare_process()
    runtime = RealRuntime()
    coordinator = LocalCoordinator({"path": str(folder / "lock")})
    manager = Manager("bench", runtime, watched, coordinator, Hub(fleet))  # type: ignore[arg-type]
    fleet.start()
    await manager.start()
    await until_available(manager, hosts)
    await _until_compared(manager, hosts)
    before = measuring.cpu_seconds()
    await asyncio.sleep(_QUIET_SECONDS)
    quiet = (measuring.cpu_seconds() - before) / _QUIET_SECONDS
    watched.batches.clear()
    found = await _incident(watched, fleet, [f"host-{n:05}" for n in rack_of(hosts, dead, whole_clusters)], quiet)
    await manager.stop()
    fleet.stop()
    runtime.close()
    return found


async def _until_compared(manager: Manager, hosts: int) -> None:
    """A rack that dies while a new server still compares every host with its tables is another story."""
    began = time.monotonic()
    while manager.comparison.underway > hosts // 100:
        if time.monotonic() - began > _LIMIT * 5:
            raise SystemExit(f"{manager.comparison.underway} hosts are still compared after {_LIMIT * 5:g} s")
        await asyncio.sleep(0.5)


async def _incident(store: WatchedStore, fleet: Fleet, rack: list[str], quiet: float) -> dict[str, float]:
    """`quiet` is what the cloud costs when nothing happens, in CPU seconds a second."""
    times, expected, ended = Times(), len(rack) * _VMS_PER_HOST, {}
    began, cpu = time.monotonic(), measuring.cpu_seconds()
    fleet.dead.update(rack)
    for phase, reached in (("proofs", len(rack)), ("permits", expected), ("running", expected)):
        while len(getattr(times, phase)) < reached:
            if time.monotonic() - began > max(_LIMIT, len(rack)):
                took = time.monotonic() - began
                raise SystemExit(f"{len(getattr(times, phase))} of {reached} {phase} after {took:.0f} s")
            await asyncio.sleep(0.02)
            times.note(store)
        ended[phase] = measuring.cpu_seconds() - cpu
    host_of = {vm_id: (vm_id - 1) // _VMS_PER_HOST + 1 for vm_id in times.permits}
    waits = [at - times.proofs[host_of[vm_id]] for vm_id, at in times.permits.items()]
    return {
        "s from power loss to first proof": min(times.proofs.values()) - began,
        "s from power loss to last proof": max(times.proofs.values()) - began,
        "s from a host's proof to its VM's permit, median": statistics.median(waits),
        "s from a host's proof to its VM's permit, slowest": max(waits),
        "s from last proof to last permit": max(times.permits.values()) - max(times.proofs.values()),
        "s from power loss to last permit": max(times.permits.values()) - began,
        "s from power loss to last VM running": max(times.running.values()) - began,
        "CPU s from power loss to last permit": ended["permits"],
        "CPU s of the whole incident": ended["running"],
        "CPU s a second before it": quiet,
        "CPU s of the incident beyond that": ended["running"] - quiet * (max(times.running.values()) - began),
        "s in commits, whole incident": times.commit_seconds,
    }


def _measured(hosts: int, dead: int, whole_clusters: bool) -> dict[str, float]:
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(measure(Path(name), hosts, dead, whole_clusters))


def measure_often(hosts: int, dead: int, whole_clusters: bool, runs: int) -> dict[str, Any]:
    """Median and spread of several incidents, each in a process of its own, as fresh as a server's."""
    results = []
    for _ in range(runs):
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            results.append(process.submit(_measured, hosts, dead, whole_clusters).result())
    return {
        "hosts": hosts,
        "dead": f"{dead} hosts, {'whole clusters' if whole_clusters else 'of every cluster some'}",
        "HA VMs on them": dead * _VMS_PER_HOST,
        "runs": runs,
        **{key: measuring.spread(result[key] for result in results) for key in results[0]},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int)
    asked = parser.parse_args()
    runs = asked.runs or (3 if asked.full else 1)
    cases = [(1_000, 100, False, runs), (1_000, 100, True, runs)]
    if asked.full:
        cases += [(10_000, 1_000, False, asked.runs or 1)]
    found = (measure_often(*case) for case in cases)
    # What was measured is shown at once: the last case takes minutes.
    for rows in [list(found)] if asked.json else ([row] for row in found):
        measuring.show("a rack dies", rows)


if __name__ == "__main__":
    main()
