"""Background power readings of a whole management server: the period of BMCs that answer, beside dark ones.

    python tests/bench/bench_power_sync.py [--bmcs 200] [--seconds 30] [--full]     (--full: 1,000 BMCs, 60 s)

Real time, threads, SQLite file, the shipped `ipmi` driver; the BMCs are tests/integration/ipmi/emulated_bmcs.py. First
all of them answer, then a fifth is dark and drops every packet. A period is the time between two readings of one BMC.
Goal: with 200 dark among 1,000 the others' period stays within 20 % of normal.
"""

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import measuring
from bench_ipmi import DARK_SHARE, PASSWORD, USER, Emulator
from bench_manager import until_available
from cloud import Fleet, Hub, fill, open_store
from holdfast.adapter import adapt
from holdfast.errors import HoldfastError
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.points import POINTS
from holdfast.hooks.store import Query, Update
from holdfast.model import Oobm, PowerAction, PowerState, Secret
from holdfast.model.views import BmcView
from holdfast_coordinator_local.coordinator import LocalCoordinator
from holdfast_manager.manager import Manager
from holdfast_manager.real_runtime import RealRuntime, prepare_process
from holdfast_oobm_ipmi.driver import IpmiOobm

INTERVAL = 10.0
GOAL = 0.20


class Watched:
    """The driver, and when each BMC's reading came back."""

    def __init__(self) -> None:
        self._driver = IpmiOobm({})
        self.readings: dict[str, list[tuple[float, bool]]] = {}
        self.calls = 0

    @hookimpl
    def power_state(self, bmc: BmcView, deadline: float) -> PowerState:
        return self._driver.power_state(bmc, deadline)

    @hookimpl
    def power_action(self, bmc: BmcView, action: PowerAction, deadline: float) -> str:
        return self._driver.power_action(bmc, action, deadline)

    @hookimpl
    def power_states(self, bmcs: Sequence[BmcView], deadline: float) -> Mapping[str, PowerState | HoldfastError]:
        found = self._driver.power_states(bmcs, deadline)
        self.calls += 1
        now = time.monotonic()
        for key, answer in found.items():
            self.readings.setdefault(key, []).append((now, isinstance(answer, PowerState)))
        return found

    @hookimpl
    def close(self) -> None:
        self._driver.close()


class IpmiHub(Hub):
    """The benchmark's cloud, with real IPMI in place of its made-up BMCs."""

    def __init__(self, fleet: Fleet, driver: Watched) -> None:
        super().__init__(fleet)
        self._drivers["oobm", "simulator"] = adapt(POINTS["oobm"], driver, "ipmi, watched")


async def measure(folder: Path, count: int, seconds: float) -> list[dict[str, Any]]:
    """One management server, before and while a fifth of the BMCs is dark."""
    emulator, store, driver = Emulator(count), open_store(folder), Watched()
    fill(store, count, 32)
    for row, port in zip(store.select(Oobm, Query()), emulator.ports, strict=True):
        place = {"address": "127.0.0.1", "port": port, "username": USER, "password": Secret(PASSWORD)}
        store.commit([Update(Oobm, row.id, place)])
    fleet, runtime = Fleet(bmc_seconds=0.01, start_seconds=0.5), RealRuntime()
    prepare_process()
    coordinator = LocalCoordinator({"path": str(folder / "lock")})
    manager = Manager("bench", runtime, store, coordinator, IpmiHub(fleet, driver))  # type: ignore[arg-type]
    fleet.start()
    await manager.start()
    await until_available(manager, count)
    await asyncio.sleep(2 * INTERVAL)
    lit = await phase(driver, seconds, "all answer")
    emulator.tell(f"dark {DARK_SHARE}")
    await asyncio.sleep(2 * INTERVAL)
    dark = await phase(driver, seconds, f"{DARK_SHARE:.0%} are dark")
    await manager.stop()
    fleet.stop()
    runtime.close()
    driver.close()
    emulator.close()
    return [lit, dark]


async def phase(driver: Watched, seconds: float, name: str) -> dict[str, Any]:
    """Let it run, then look at the periods of those that answered throughout."""
    driver.readings.clear()
    driver.calls = 0
    cpu, began = measuring.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    good = {key: seen for key, seen in driver.readings.items() if all(answered for _, answered in seen)}
    periods = [later - earlier for seen in good.values() for (earlier, _), (later, _) in pairwise(seen)]
    return {
        "BMCs": name,
        "that answer": len(good),
        "silent": len(driver.readings) - len(good),
        "period, s, median": round(statistics.median(periods), 2),
        "period, s, 99th of 100": round(sorted(periods)[int(len(periods) * 0.99)], 2),
        "period, s, longest": round(max(periods), 2),
        "calls of the driver per s": round(driver.calls / took, 1),
        "CPU s per s, whole process": round((measuring.cpu_seconds() - cpu) / took, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--bmcs", type=int)
    parser.add_argument("--seconds", type=float)
    asked = parser.parse_args()
    count = asked.bmcs or (1000 if asked.full else 200)
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        lit, dark = asyncio.run(measure(Path(name), count, asked.seconds or (60.0 if asked.full else 30.0)))
    measuring.show("background power readings", [lit, dark])
    for what in ("period, s, median", "period, s, 99th of 100"):
        slower = dark[what] / lit[what] - 1
        print(f"  {'met   ' if slower <= GOAL else 'MISSED'}  {what}: {slower:+.1%} with dark BMCs beside")


if __name__ == "__main__":
    main()
