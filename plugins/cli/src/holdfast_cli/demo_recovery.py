"""Watching a host's VMs come back elsewhere, and telling the stages of that by their moments."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from holdfast_cli.client import Answer, Client
from holdfast_cli.demo_cloud import Cloud, DemoFailed
from holdfast_cli.simulated_truth import TrueRun
from holdfast_cli.waiting import Waiting

RECOVERY_SECONDS = 45.0
TARGET_SECONDS = 8.0
_LOOK = 0.05

Truth = Callable[[], dict[str, list[TrueRun]]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: what was reached, and how many seconds after the beginning."""

    name: str
    seconds: float


@dataclass(slots=True)
class Sightings:
    """What was seen while waiting: seconds since 1970 at which it was first so."""

    began: float
    chassis_off: float = 0.0
    running: dict[str, float] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    powers: list[str] = field(default_factory=list)


def watch(client: Client, cloud: Cloud, truth: Truth, waiting: Waiting, began: float) -> Sightings:
    """Wait until every VM runs on another host. `DemoFailed` as soon as one runs twice."""
    seen = Sightings(began)

    def look() -> bool:
        true = truth()
        refuse_doubles(true)
        if not seen.chassis_off and not any(run.host == cloud.victim for runs in true.values() for run in runs):
            seen.chassis_off = time.time()
        for vm in client.items("listVirtualMachines", zoneid=cloud.zone):
            moved = vm.get("hostid") not in (None, cloud.hosts[cloud.victim])
            if vm["state"] == "Running" and moved and vm["name"] not in seen.running:
                seen.running[vm["name"]], seen.hosts[vm["name"]] = time.time(), vm["hostname"]
        return len(seen.running) == len(cloud.vms)

    waiting.until("all VMs run on another host", RECOVERY_SECONDS, look, _LOOK)
    return seen


def refuse_doubles(true: dict[str, list[TrueRun]]) -> None:
    """`DemoFailed` if any VM has two runs that can write."""
    for vm, runs in true.items():
        if len(runs) > 1:
            where = ", ".join(f"{run.host} (run {run.run_epoch})" for run in runs)
            raise DemoFailed(f"VM {vm} runs more than once: on {where}")


def verify(client: Client, cloud: Cloud, true: dict[str, list[TrueRun]]) -> None:
    """Each VM runs exactly once, elsewhere, and where the API says. `DemoFailed` names the first that does not."""
    refuse_doubles(true)
    for vm in client.items("listVirtualMachines", zoneid=cloud.zone):
        runs = true.get(vm["id"], [])
        said = vm.get("hostname")
        if vm["state"] != "Running" or said == cloud.victim:
            raise DemoFailed(f"{vm['name']} is {vm['state']} on {said}: it should run elsewhere than on {cloud.victim}")
        if [run.host for run in runs] != [said] or not runs[0].host_up:
            where = ", ".join(run.host for run in runs) or "nowhere"
            raise DemoFailed(f"{vm['name']} runs on {said} says the API, but truly on {where}")


def stages(seen: Sightings, host: Answer, vms: Iterable[Answer]) -> list[Stage]:
    """What happened after the beginning, in order, from the stored moments; from sightings where none is stored."""
    found: list[Stage] = []
    if seen.chassis_off:
        found.append(Stage("chassis off", seen.chassis_off - seen.began))
    names = {
        "Suspect": "silence seen (Suspect)",
        "Fencing": "confirmed off (Fencing)",
        "Fenced": "fenced with proof (Fenced)",
    }
    for move in host.get("story", []):
        if move.get("at", 0.0) >= seen.began and move["hastate"] in names:
            found.append(Stage(names.pop(move["hastate"]), move["at"] - seen.began))
    permits = [vm["permits"][-1] for vm in vms if vm.get("permits")]
    moments: list[Any] = [permit["at"] for permit in permits if permit.get("at", 0.0) >= seen.began]
    if moments:
        found.append(Stage(f"restarts permitted ({len(moments)} of {len(permits)} VMs)", max(moments) - seen.began))
    found += [Stage(f"{name} runs on {seen.hosts[name]}", at - seen.began) for name, at in seen.running.items()]
    return sorted(found, key=lambda stage: stage.seconds)


def recovery_seconds(seen: Sightings) -> float:
    """From the beginning to the last VM running."""
    return max(seen.running.values()) - seen.began
