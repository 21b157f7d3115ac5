"""What a power status over Redfish costs this process: with a kept login and connection, and with a fresh one.

An emulator in a process of its own answers over HTTPS as fast as one Python process can, so that wall time says mostly
how fast that is. CPU time is that of the driver's process alone. Best of three runs; last, the memory per BMC.
"""

import json
import multiprocessing
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "oobm-redfish" / "tests"))

from certificates import Authority, Pair
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_redfish.driver import RedfishOobm
from strict_bmc import StrictBmc, StrictSystem

READINGS = 400
HOSTS = 100
ROUNDS = 3


def serve(pair: Pair, pipe: Connection) -> None:
    """The emulator's process: one service with many systems, until told to end."""
    with StrictBmc(pair) as bmc:
        bmc.systems = {str(number): StrictSystem("Off") for number in range(HOSTS)}
        pipe.send(bmc.port)
        pipe.recv()


def cost(count: int, do: Callable[[], None]) -> tuple[float, float]:
    """CPU and wall milliseconds for each of the `count` readings that `do` makes; the best of some rounds."""
    best = (float("inf"), float("inf"))
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        do()
        taken = (time.process_time() - cpu) * 1000 / count, (time.perf_counter() - wall) * 1000 / count
        best = min(best, taken)
    return best


def measure(ca_file: str, view: BmcView) -> dict[str, float]:
    """Figures by name."""
    driver = RedfishOobm({"ca_file": ca_file, "threads": 16})
    assert driver.power_state(view, 10) is PowerState.OFF

    def kept() -> None:
        for _ in range(READINGS):
            driver.power_state(view, 10)

    def fresh() -> None:
        for _ in range(READINGS // 10):
            new = RedfishOobm({"ca_file": ca_file})
            new.power_state(view, 10)
            new.close()

    # Many systems behind one service share a login, as in a blade chassis: the sweep shows what the pool adds.
    views = [replace(view, host_uuid=str(number), options={"system": str(number)}) for number in range(HOSTS)]

    def sweep() -> None:
        found = driver.power_states(views, 30)
        assert set(found.values()) == {PowerState.OFF}

    sweep()
    names = ("kept", READINGS, kept), ("fresh", READINGS // 10, fresh), ("sweep", HOSTS, sweep)
    figures = {}
    for name, count, do in names:
        figures[f"{name}_cpu_ms"], figures[f"{name}_wall_ms"] = cost(count, do)
    driver.close()
    figures["memory_per_login_kib"] = _memory(ca_file, view)
    return figures


def _memory(ca_file: str, view: BmcView) -> float:
    """Python's memory for each login with its connection; OpenSSL's own buffers are not in it."""
    driver, logins = RedfishOobm({"ca_file": ca_file}), 20
    driver.power_state(view, 10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(logins):
        # A name of its own in the options makes a login of its own.
        driver.power_state(replace(view, options={**view.options, "certificate_fingerprint": _pins(view, number)}), 10)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    driver.close()
    return used / logins / 1024


def _pins(view: BmcView, number: int) -> str:
    return f"{view.options['certificate_fingerprint']},{number:064x}"


def main() -> None:
    """Print the figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        pair = authority.issue("127.0.0.1")
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=serve, args=(pair, there), daemon=True)
        process.start()
        port = here.recv()
        with StrictBmc() as template:
            view = replace(template.view(system="0", certificate_fingerprint=pair.fingerprint), port=str(port))
        figures = measure(str(authority.ca_file), view)
        here.send("end")
        process.join()
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
