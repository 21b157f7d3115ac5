"""Status sweeps over many BMCs: our driver, forked `ipmitool` and `ipmipower`, side by side in one run.

    python tests/bench/bench_ipmi.py [--bmcs 200] [--sweeps 10] [--full]

The BMCs are tests/integration/ipmi/emulated_bmcs.py, one process on the same machine: `emulator` is what it used of a
processor per status, and bounds how fast any client can be here. `cpu` is the client's own, children included.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from holdfast.model.secret import Secret
from holdfast.model.states import PowerAction, PowerState
from holdfast.model.views import BmcView
from holdfast_oobm_ipmi.driver import IpmiOobm

EMULATOR = Path(__file__).resolve().parents[1] / "integration" / "ipmi" / "emulated_bmcs.py"
USER = "fencer"
PASSWORD = "Emulated-secret"  # made up for this benchmark
FORKS = 50
FULL = 1000
DARK_SHARE = 0.2
FENCED = 100
BMC_SECONDS = 0.05
GOAL_CPU_RATIO = 50
GOAL_SESSION_KIB = 50
GOAL_SLOWDOWN = 0.20
DEADLINE = 30.0


class Emulator:
    """The BMCs' process."""

    def __init__(self, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(EMULATOR), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"BMC_PASSWORD": PASSWORD},
        )
        assert self._process.stdout is not None
        self.ports = self._process.stdout.readline().split()

    def tell(self, words: str) -> str:
        """Advise, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one sweep took: seconds of wall time; milliseconds of processor time per status."""

    wall: float
    cpu: float
    emulator: float
    answered: int


def measured(emulator: Emulator, count: int, sweep: Callable[[], int]) -> Cost:
    """The cost of one sweep, which returns how many BMCs answered."""
    there = float(emulator.tell("cpu"))
    own = _cpu()
    began = time.perf_counter()
    answered = sweep()
    wall = time.perf_counter() - began
    return Cost(wall, (_cpu() - own) / count * 1000, (float(emulator.tell("cpu")) - there) / count * 1000, answered)


def _cpu() -> float:
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def show(name: str, cost: Cost, count: int) -> None:
    """One line of the table."""
    print(
        f"{name:<42}{cost.wall:>9.3f} s{cost.wall / count * 1000:>9.3f} ms{cost.cpu:>10.3f} ms"
        f"{cost.emulator:>10.3f} ms{cost.answered:>9}"
    )


def typical(costs: list[Cost]) -> Cost:
    """The medians."""
    return Cost(
        wall=statistics.median(cost.wall for cost in costs),
        cpu=statistics.median(cost.cpu for cost in costs),
        emulator=statistics.median(cost.emulator for cost in costs),
        answered=min(cost.answered for cost in costs),
    )


def ours(driver: IpmiOobm, bmcs: list[BmcView]) -> int:
    """One call for all."""
    found = driver.power_states(bmcs, DEADLINE)
    return Counter(state for state in found.values() if isinstance(state, PowerState))[PowerState.ON]


def one_by_one(driver: IpmiOobm, bmcs: list[BmcView]) -> int:
    """As a caller without the batch does: a bounded pool of threads, one call each."""
    with ThreadPoolExecutor(FORKS) as pool:
        return sum(state is PowerState.ON for state in pool.map(lambda bmc: driver.power_state(bmc, DEADLINE), bmcs))


def forked_ipmitool(ports: list[str]) -> int:
    """What CloudStack does, 50 at a time; the cipher suite is given, which spares ipmitool a question."""
    environment = os.environ | {"IPMI_PASSWORD": PASSWORD}

    def ask(port: str) -> bool:
        words = ["-I", "lanplus", "-C", "17", "-R", "1", "-H", "127.0.0.1", "-p", port, "-U", USER, "-E"]
        command = ["ipmitool", *words, "chassis", "power", "status"]
        return subprocess.run(command, env=environment, capture_output=True, check=False).stdout.strip().endswith(b"on")

    with ThreadPoolExecutor(FORKS) as pool:
        return sum(pool.map(ask, ports))


def ipmipower(ports: list[str], folder: Path) -> int:
    """One process for all, with its own parallel engine."""
    configuration = folder / "ipmipower.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(f"username {USER}\npassword {PASSWORD}\n", encoding="ascii")
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    words = ["--config-file", str(configuration), "-D", "LAN_2_0", "-I", "17", "-h", hosts, "--stat"]
    done = subprocess.run(["ipmipower", *words], capture_output=True, text=True, check=False)
    return len(re.findall(r": on$", done.stdout, re.MULTILINE))


def resident_kib() -> float:
    """This process's memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


def verdict(name: str, met: bool, words: str) -> None:
    """One line per goal."""
    print(f"  {'met   ' if met else 'MISSED'}  {name}: {words}")


def run(count: int, sweeps: int) -> None:
    """All of it."""
    emulator = Emulator(count)
    driver = IpmiOobm({})
    bmcs = [
        BmcView(f"host-{index}", "ipmi", "127.0.0.1", port, USER, Secret(PASSWORD))
        for index, port in enumerate(emulator.ports)
    ]
    print(
        f"{count} emulated BMCs, {os.cpu_count()} processors shared with their emulator, medians of {sweeps} sweeps\n"
    )
    print(f"{'':<42}{'wall':>11}{'per BMC':>12}{'cpu/status':>13}{'emulator':>13}{'answers':>9}")
    ours(driver, bmcs[:1])
    before = resident_kib()
    cold = measured(emulator, count, lambda: ours(driver, bmcs))
    per_session = (resident_kib() - before) / count
    show("holdfast, first sweep (logins)", cold, count)
    warm = typical([measured(emulator, count, lambda: ours(driver, bmcs)) for _ in range(sweeps)])
    show("holdfast, steady state", warm, count)
    threads = typical([measured(emulator, count, lambda: one_by_one(driver, bmcs)) for _ in range(max(1, sweeps // 3))])
    show(f"holdfast, single calls from {FORKS} threads", threads, count)
    rivals = {}
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("ipmitool"):
            rivals["ipmitool"] = measured(emulator, count, lambda: forked_ipmitool(emulator.ports))
            show(f"ipmitool, forked, {FORKS} at a time", rivals["ipmitool"], count)
        if shutil.which("ipmipower"):
            rivals["ipmipower"] = measured(emulator, count, lambda: ipmipower(emulator.ports, Path(folder)))
            show("ipmipower, one process", rivals["ipmipower"], count)
    lit, dark = with_dark(emulator, driver, bmcs, sweeps)
    one, many = fences(emulator, driver, bmcs)
    emulator.close()
    driver.close()
    print("\ngoals")
    judge(warm, rivals, per_session, lit, dark)
    verdict(
        f"{FENCED} hosts fenced at once take at most twice as long as one", many <= 2 * one, f"{many / one:.2f} times"
    )


def with_dark(emulator: Emulator, driver: IpmiOobm, bmcs: list[BmcView], sweeps: int) -> tuple[float, float]:
    """How long a BMC that answers takes, alone and while every fifth of all BMCs is dark: medians, in seconds."""
    emulator.tell(f"dark {DARK_SHARE}")
    lights = [bmc for index, bmc in enumerate(bmcs) if int((index + 1) * DARK_SHARE) == int(index * DARK_SHARE)]
    darks = [bmc for bmc in bmcs if bmc not in lights]
    count = len(lights)
    sweeps *= 3
    alone = [measured(emulator, count, lambda: ours(driver, lights)) for _ in range(sweeps)]
    show(f"the {count} that answer, alone", typical(alone), count)
    whole = measured(emulator, len(bmcs), lambda: ours(driver, bmcs))
    show(f"all, {len(darks)} of them dark, in one call", whole, len(bmcs))
    with ThreadPoolExecutor(1) as pool:
        # The dark ones are asked all the time meanwhile, each sweep of them until its patience ends.
        stop: list[bool] = []

        def ask_the_dark() -> None:
            while not stop:
                driver.power_states(darks, DEADLINE)

        asking = pool.submit(ask_the_dark)
        beside = [measured(emulator, count, lambda: ours(driver, lights)) for _ in range(sweeps)]
        stop.append(True)
        asking.result()
    alone += [measured(emulator, count, lambda: ours(driver, lights)) for _ in range(sweeps)]
    show(f"the {count} while the {len(darks)} dark ones are asked", typical(beside), count)
    return typical(alone).wall, typical(beside).wall


def fences(emulator: Emulator, driver: IpmiOobm, bmcs: list[BmcView]) -> tuple[float, float]:
    """OFF and two readings that say so, with BMCs that take their time: for one host, and for many at once; seconds."""
    emulator.tell("dark 0")
    emulator.tell(f"delay {BMC_SECONDS}")

    def fence(bmc: BmcView) -> None:
        driver.power_action(bmc, PowerAction.OFF, DEADLINE)
        for _ in range(2):
            assert driver.power_state(bmc, DEADLINE) is PowerState.OFF

    chosen = bmcs[:FENCED]
    driver.power_states(chosen, DEADLINE)
    with ThreadPoolExecutor(FENCED) as pool:
        list(pool.map(lambda _: time.sleep(0.01), chosen))
        ones, alls = [], []
        for _ in range(5):
            began = time.perf_counter()
            fence(bmcs[0])
            ones.append(time.perf_counter() - began)
            began = time.perf_counter()
            list(pool.map(fence, chosen))
            alls.append(time.perf_counter() - began)
    one, many = statistics.median(ones), statistics.median(alls)
    print(
        f"OFF and two read-backs, BMCs that answer after {BMC_SECONDS * 1000:g} ms: one host {one:.3f} s, "
        f"{len(chosen)} at once {many:.3f} s"
    )
    return one, many


def judge(warm: Cost, rivals: dict[str, Cost], per_session: float, lit: float, dark: float) -> None:
    """Goals and figures."""
    if "ipmitool" in rivals:
        ratio = rivals["ipmitool"].cpu / warm.cpu
        verdict(f"{GOAL_CPU_RATIO} times less cpu per status than ipmitool", ratio >= GOAL_CPU_RATIO, f"{ratio:.0f}")
    if "ipmipower" in rivals:
        faster = rivals["ipmipower"].wall / warm.wall
        verdict("faster than ipmipower in wall time", faster > 1, f"{faster:.1f} times")
    verdict(f"under {GOAL_SESSION_KIB} KiB per session", per_session < GOAL_SESSION_KIB, f"{per_session:.1f} KiB")
    slower = dark / lit - 1
    verdict("dark BMCs slow the others by at most 20 %", slower <= GOAL_SLOWDOWN, f"{slower:+.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bmcs", type=int, default=200)
    parser.add_argument("--sweeps", type=int, default=10)
    parser.add_argument("--full", action="store_true", help=f"{FULL} BMCs")
    chosen = parser.parse_args()
    run(FULL if chosen.full else chosen.bmcs, chosen.sweeps)
