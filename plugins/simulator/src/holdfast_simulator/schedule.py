"""Random fault schedules: the same seed always gives the same one."""

import random

from holdfast_simulator.faults import KINDS
from holdfast_simulator.scenario import Fault, Scenario
from holdfast_simulator.world.bmc import BmcMode
from holdfast_simulator.world.host import device_key

_OFTEN = ("power-loss", "hang", "cut-agent", "cut-storage", "isolate-host", "bmc", "server-crash")
_HARMFUL_MODES = tuple(mode.value for mode in BmcMode if mode is not BmcMode.OK)


def random_faults(scenario: Scenario, seed: int) -> tuple[Fault, ...]:
    """Up to `scenario.random.faults` faults, each mended before the end. Some strike together, as they do in life."""
    chance = random.Random(f"{scenario.name}/{seed}/faults")  # noqa: S311 - reproducible on purpose
    wanted = scenario.random
    kinds = wanted.kinds or tuple(KINDS)
    if scenario.world.pools == 0:
        kinds = tuple(kind for kind in kinds if "pool" not in KINDS[kind].needs)
    if scenario.world.vms == 0:
        kinds = tuple(kind for kind in kinds if "vm" not in KINDS[kind].needs)
    favoured = tuple(kind for kind in kinds if kind in _OFTEN) or kinds
    faults: list[Fault] = []
    at = 0.0
    for _ in range(chance.randint(1, max(1, wanted.faults))):
        if not faults or chance.random() < 0.7:
            at = round(chance.uniform(0.0, wanted.window), 3)
        kind = chance.choice(favoured if chance.random() < 0.6 else kinds)
        faults.append(_draw(chance, scenario, kind, at))
    return tuple(sorted(faults, key=lambda fault: (fault.at, fault.kind)))


def _draw(chance: random.Random, scenario: Scenario, kind: str, at: float) -> Fault:
    world = scenario.world
    names = {
        "host": f"h{chance.randint(1, world.hosts)}",
        "server": f"ms{chance.randint(1, world.servers)}",
        "pool": f"p{chance.randint(1, max(1, world.pools))}",
        "vm": f"vm{chance.randint(1, max(1, world.vms))}",
        "mode": chance.choice(_HARMFUL_MODES),
    }
    needs = {name: names[name] for name in KINDS[kind].needs}
    lasts = round(chance.choice((1.0, 5.0, 15.0, 40.0, 80.0)) * chance.uniform(0.5, 1.5), 3)
    way = chance.choice(("both", "both", "to", "from"))
    amount = round(chance.uniform(0.5, 5.0), 3)
    step = chance.randint(1, 400) if kind == "server-crash" and chance.random() < 0.7 else 0
    if kind == "order-stop":
        needs["mode"] = chance.choice(("", "forced"))
    if kind == "order-migrate" and chance.random() < 0.7:
        needs["host"] = names["host"]
    if kind == "clock-jump":
        amount = round(chance.choice((-1, 1)) * chance.uniform(1, 100_000), 3)
    devices = [device_key(level, index) for level, index, _ in world.devices()]
    # Chance is asked only where there is a choice: the schedules of older scenarios stay as they are.
    device = chance.choice(devices) if kind == "bmc" and len(devices) > 1 else ""
    return Fault(at=at, kind=kind, lasts=lasts, way=way, amount=amount, step=step, device=device, **needs)
