"""What the demo has to show in the end: who moved where, how long it took by stage, and why."""

from typing import Any

from holdfast.commands.tables import table

from holdfast_cli.client import Answer
from holdfast_cli.demo_cloud import Cloud
from holdfast_cli.demo_recovery import TARGET_SECONDS, Sightings, Stage, recovery_seconds
from holdfast_cli.demo_steps import TITLES
from holdfast_cli.demo_teller import Teller
from holdfast_cli.explanation import host_story, vm_story
from holdfast_cli.simulated_truth import TrueRun


def moves(cloud: Cloud, seen: Sightings, true: dict[str, list[TrueRun]]) -> list[dict[str, Any]]:
    """One row per VM: from where, to where, and how many runs of it there truly are."""
    return [
        {"vm": name, "from": cloud.victim, "to": seen.hosts[name], "runs": len(true.get(uuid, []))}
        for name, uuid in cloud.vms.items()
    ]


def tell(
    teller: Teller, cloud: Cloud, seen: Sightings, true: dict[str, list[TrueRun]], reached: list[Stage], beginning: str
) -> None:
    """The moves, and the stages with the seconds between them."""
    teller.stage("The VMs, by the API and by the simulated world itself")
    teller.say(table(moves(cloud, seen, true), ("vm", "from", "to", "runs")))
    teller.stage("Recovery by stage")
    teller.say(f"{0.0:6.2f} s          {beginning}")
    before = 0.0
    for stage in reached:
        teller.say(f"{stage.seconds:6.2f} s  {stage.seconds - before:+5.2f}  {stage.name}")
        before = stage.seconds
    total = recovery_seconds(seen)
    verdict = "within" if total <= TARGET_SECONDS else "MISSED"
    teller.say(f"{total:6.2f} s from {beginning} to the last VM running; target {TARGET_SECONDS:g} s: {verdict}")


def explain(teller: Teller, host: Answer, vms: list[Answer]) -> None:
    """Why all of that happened."""
    teller.stage("Why: the host (explainHostHA)")
    teller.say(host_story(host))
    teller.stage("Why: the VMs (explainVirtualMachineHA)")
    for vm in vms:
        teller.say(vm_story(vm))


def document(
    teller: Teller,
    cloud: Cloud,
    seen: Sightings,
    true: dict[str, list[TrueRun]],
    reached: list[Stage],
    host: Answer,
    vms: list[Answer],
) -> dict[str, Any]:
    """All of it for --json."""
    total = recovery_seconds(seen)
    return {
        "steps": [
            {"number": number, "title": title, "seconds": teller.seconds.get(number)}
            for number, title in enumerate(TITLES, 1)
        ],
        "virtualmachines": moves(cloud, seen, true),
        "stages": [{"stage": stage.name, "seconds": round(stage.seconds, 3)} for stage in reached],
        "recoveryseconds": round(total, 3),
        "targetseconds": TARGET_SECONDS,
        "withintarget": total <= TARGET_SECONDS,
        "host": host,
        "explanations": vms,
    }
