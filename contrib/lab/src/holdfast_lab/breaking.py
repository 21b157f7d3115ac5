"""Strikes a fault at a lab, again and again if so wished, and judges what becomes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

from holdfast_cli.waiting import WaitedInVain

from holdfast_lab.faults import Fault, Outcome, Struck
from holdfast_lab.layout import Lab
from holdfast_lab.problems import LabError
from holdfast_lab.scenario import VM_NAMES, prepare
from holdfast_lab.site import Site
from holdfast_lab.stories import tell
from holdfast_lab.token_watch import TokenWatch
from holdfast_lab.trial import Trial

FENCE_SECONDS = 60.0
RECOVER_SECONDS = 300.0


def play(lab: Lab, fault: Fault, repeat: int, document: Path | None, say: Callable[[str], None]) -> int:
    """0 if the fault became what it has to become each time, else 1."""
    if len(lab.hosts) <= fault.hosts:
        raise LabError(f"{fault.name} strikes {fault.hosts} hosts, and one must be left; the lab has {len(lab.hosts)}")
    done: list[dict[str, float]] = []
    failed = 0
    for number in range(repeat):
        if repeat > 1:
            say(f"repetition {number + 1} of {repeat}")
        with TokenWatch(lab.storage.disks) as watch:
            site = Site.of(lab, watch, say)
            if any(name not in site.cloud.vms for name in VM_NAMES):
                prepare(site)
            restore(site)
            trial = strike(site, fault)
            done.append(trial.stages())
            failed += not trial.holds
    _conclude(fault, done, failed, document)
    return 1 if failed else 0


def strike(site: Site, fault: Fault) -> Trial:
    """One trial of a fault; the lab is whole again on return, as far as its own parts go."""
    names = _victims(site, fault.hosts)
    struck = Struck(site.lab, tuple(site.lab.host(name) for name in names))
    trial = Trial(site, names)
    trial.begin(f"{fault.name} on {', '.join(names)}: {fault.summary}")
    fault.strike(struck)
    healed = False
    try:
        if fault.after_fence is not None:
            _until_fenced(trial)
            fault.after_fence(struck)
            trial.mark("what of the host is left goes on")
        if fault.heal_after is not None:
            trial.wait(fault.heal_after)
            fault.heal(struck)
            healed = True
            trial.mark("undone")
        outcome = fault.outcome_in(site.lab.options)
        if outcome is Outcome.MOVED:
            trial.until_moved(fault.seconds)
        elif outcome is Outcome.RETURNED:
            trial.until_back(fault.seconds)
        elif outcome is Outcome.RESUMED:
            trial.until_resumed(fault.seconds)
        elif outcome is Outcome.RESTARTED:
            trial.until_restarted(fault.seconds)
        else:
            trial.untouched(fault.hold)
    finally:
        if not healed:
            fault.heal(struck)
            trial.mark("undone")
    trial.settle()
    tell(trial)
    return trial


def restore(site: Site) -> None:
    """Hosts back in service, HA Available, VMs running: what every trial begins with."""
    for host in site.lab.hosts:
        if not host.is_on:
            host.power_on()

    def look() -> bool:
        for name, host in site.hosts().items():
            if host["resourcestate"] in ("Maintenance", "ErrorInMaintenance") and host["state"] == "Up":
                site.say(f"{name}: back, its maintenance is cancelled")
                site.run("cancelHostMaintenance", id=site.cloud.hosts[name])
        return bool(site.all_available())

    site.until("every host is in service and its HA Available", RECOVER_SECONDS, look, 0.5)
    for name, vm in site.vms().items():
        if vm["state"] == "Stopped":
            site.say(f"{name} is stopped; started again")
            site.run("startVirtualMachine", id=site.cloud.vms[name])
    site.until("every guest writes to its disk", RECOVER_SECONDS, site.all_alive, 0.3)


def _victims(site: Site, count: int) -> tuple[str, ...]:
    """The hosts with the most VMs."""
    vms = site.vms().values()
    load = {name: sum(vm.get("hostname") == name for vm in vms) for name in site.cloud.hosts}
    return tuple(sorted(load, key=lambda name: (-load[name], name))[:count])


def _until_fenced(trial: Trial) -> None:
    site = trial.site
    try:
        site.until(
            "every victim is Fenced",
            FENCE_SECONDS,
            lambda: all(site.ha_state(name) == "Fenced" for name in trial.victims),
        )
    except WaitedInVain as problem:
        trial.faults_found.append(str(problem))


def _conclude(fault: Fault, done: list[dict[str, float]], failed: int, document: Path | None) -> None:
    if document is not None:
        found = {"fault": fault.name, "repetitions": done, "failed": failed}
        document.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if len(done) > 1:
        print(f"\n{fault.name}, {len(done)} times: median (least to most), in seconds from the strike")
        for stage in {stage: None for stages in done for stage in stages}:
            values = [stages[stage] for stages in done if stage in stages]
            print(f"  {stage:24}{median(values):7.2f}  ({min(values):.2f} to {max(values):.2f}, {len(values)} times)")
    if failed:
        print(f"{fault.name}: FAILED {failed} of {len(done)} times", flush=True)
