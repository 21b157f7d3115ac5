"""What is printed of a trial: the timeline, the verdict with its evidence, and the double-run check."""

import time
from collections.abc import Iterator

from holdfast_cli.explanation import host_story, vm_story

from holdfast_lab.trial import Trial

_FLIPS = ("PerformActivityCheck", "TooFewActivityCheckSamples")
"""Looks at the storage come again and again: the first stands for all."""


def tell(trial: Trial) -> None:
    """Print it all."""
    hosts, vms = trial.hosts_explained(), trial.vms_explained()
    print(f"\nTimeline: {trial.title}, at {time.strftime('%H:%M:%S', time.gmtime(trial.struck))} UTC")
    for at, text in sorted(set(_moments(trial, hosts, vms))):
        print(f"  {at - trial.struck:8.2f} s  {text}")
    print("\nVerdict, with its evidence (explainHostHA, explainVirtualMachineHA)")
    for told in hosts.values():
        print(_indented(host_story(told)))
    for told in vms.values():
        print(_indented(vm_story(told)))
    print("Double-run check, from the disks alone")
    for name in trial.cloud_vms:
        lives = trial.site.lives(name)
        words = ", then ".join(
            f"{life} wrote {life.words} times from {life.first_seen - trial.struck:+.2f} s"
            f" to {life.last_seen - trial.struck:+.2f} s"
            for life in lives
        )
        print(f"  {name}: {words or 'wrote nothing'}")
    seen = trial.site.watch.seen
    print(f"  {seen.looks} looks, the longest time between two {seen.longest_gap:.2f} s")
    for text in trial.faults_found:
        print(f"  FAILED: {text}")
    print(f"{trial.title}: {'holds' if trial.holds else 'FAILED'}", flush=True)


def _moments(trial: Trial, hosts: dict[str, dict], vms: dict[str, dict]) -> Iterator[tuple[float, str]]:  # type: ignore[type-arg]
    yield from trial.marks
    for name, told in hosts.items():
        looked = False
        for move in told.get("story", []):
            flips = move["event"] in _FLIPS
            if move.get("at", 0.0) >= trial.struck and not (flips and looked):
                looked = looked or flips
                reason = f": {move['reason']}" if move.get("reason") else ""
                yield move["at"], f"{name} {move.get('prevhastate') or 'new'} → {move['hastate']}{reason}"
    for name, told in vms.items():
        for permit in told.get("permits", []):
            if permit.get("at", 0.0) >= trial.struck:
                yield (
                    permit["at"],
                    f"{name} run {permit['runepoch']} permitted on {permit['hostname']} ({permit['proofkind']})",
                )
    for name in trial.cloud_vms:
        for life in trial.site.lives(name):
            if life.first_seen > trial.struck:
                yield life.first_seen, f"{name} run {life.run}: first word on its disk"
            if life.last_seen > trial.struck and life is not trial.site.life(name):
                yield life.last_seen, f"{name} run {life.run}: last word on its disk"
    for name, (at, host) in trial.running.items():
        if at > trial.struck:
            yield at, f"{name} Running on {host}, says the API"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
