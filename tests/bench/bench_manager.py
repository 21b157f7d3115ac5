"""A management server in steady state: many hosts that beat each second, background power readings, nothing wrong.

Real time, threads, SQLite file and local coordinator. Hosts in clusters of 32, host HA and out-of-band management on.
One thread of the same process calls `on_beat` once per host and second; its CPU time is in the process's, and is also
shown alone. Goal at 10,000 hosts: under one core and under 1 GiB, and no database write for a beat.

Usage: bench_manager.py [--full] [--hosts N] [--seconds S] [--json]   (--full: 10,000 hosts, 60 s)
"""

import argparse
import asyncio
import logging
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import measuring
from cloud import Fleet, Hub, WatchedStore, fill, open_store, written_tables
from holdfast.model import HAState
from holdfast_coordinator_local.coordinator import LocalCoordinator
from holdfast_manager.manager import Manager
from holdfast_manager.real_runtime import RealRuntime, prepare_process

_PER_CLUSTER = 32
_WINDOW = 5.0
_START_LIMIT = 600.0


async def until_available(manager: Manager, hosts: int) -> float:
    """Seconds until every host is Available."""
    began = time.monotonic()
    while time.monotonic() - began < _START_LIMIT:
        actors = manager.hosts.actors
        if len(actors) == hosts and all(a.record.state is HAState.AVAILABLE for a in actors.values()):
            return time.monotonic() - began
        await asyncio.sleep(0.2)
    raise SystemExit(f"not all hosts are Available after {_START_LIMIT:g} s")


async def measure(folder: Path, hosts: int, seconds: float, fresh: bool) -> dict[str, Any]:
    """One life of a management server over the tables in `folder`."""
    store = open_store(folder)
    if fresh:
        fill(store, hosts, _PER_CLUSTER)
    watched = WatchedStore(store)
    fleet = Fleet(bmc_seconds=0.01, start_seconds=0.5)
    prepare_process()
    runtime = RealRuntime()
    coordinator = LocalCoordinator({"path": str(folder / "lock")})
    manager = Manager("bench", runtime, watched, coordinator, Hub(fleet))  # type: ignore[arg-type]
    fleet.start()
    cpu = measuring.cpu_seconds()
    await manager.start()
    started_in = await until_available(manager, hosts)
    start_cpu = measuring.cpu_seconds() - cpu
    await asyncio.sleep(15.0 if seconds > 20 else 5.0)
    found = await _steady(manager, fleet, watched, seconds)
    await manager.stop()
    fleet.stop()
    runtime.close()
    return {
        "hosts": hosts,
        "start": "from fresh tables" if fresh else "with all hosts known",
        "s until all hosts are Available": round(started_in, 1),
        "CPU s of that": round(start_cpu, 1),
        **found,
    }


async def _steady(manager: Manager, fleet: Fleet, store: WatchedStore, seconds: float) -> dict[str, Any]:
    began, first_batch = time.monotonic(), len(store.batches)
    shares, own, lags = [], [], []
    beats, reads = fleet.beats, fleet.power_reads
    while time.monotonic() - began < seconds:
        wall, cpu, beating = time.monotonic(), measuring.cpu_seconds(), fleet.cpu
        while (left := wall + _WINDOW - time.monotonic()) > 0:
            asked = time.monotonic()
            await asyncio.sleep(min(0.05, left))
            lags.append(time.monotonic() - asked - min(0.05, left))
        took = time.monotonic() - wall
        shares.append((measuring.cpu_seconds() - cpu) / took)
        own.append((measuring.cpu_seconds() - cpu - (fleet.cpu - beating)) / took)
    took = time.monotonic() - began
    tables = Counter(table for _, _, changes in store.batches[first_batch:] for table in written_tables(changes))
    in_doubt = [a for a in manager.hosts.actors.values() if a.record.state is not HAState.AVAILABLE]
    return {
        f"windows of {_WINDOW:g} s": len(shares),
        "CPU s per s, whole process": measuring.spread(shares),
        "CPU s per s, without the thread that beats": measuring.spread(own),
        "beats per s": round((fleet.beats - beats) / took),
        "power readings per s": round((fleet.power_reads - reads) / took),
        "batches written per s": round((len(store.batches) - first_batch) / took, 2),
        "rows written, by table": dict(tables),
        "event loop late by, ms": f"median {1e3 * sorted(lags)[len(lags) // 2]:.1f}, worst {1e3 * max(lags):.0f}",
        "resident MiB": round(measuring.resident_mib()),
        "peak MiB": round(measuring.peak_mib()),
        "hosts wrongly in doubt": len(in_doubt),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--hosts", type=int)
    parser.add_argument("--seconds", type=float)
    asked = parser.parse_args()
    hosts = asked.hosts or (10_000 if asked.full else 2_000)
    seconds = asked.seconds or (60.0 if asked.full else 15.0)
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        lives = [asyncio.run(measure(Path(name), hosts, seconds, fresh)) for fresh in (True, False)]
    measuring.show("manager, steady state", lives)


if __name__ == "__main__":
    main()
