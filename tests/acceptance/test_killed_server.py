"""`kill -9` of the server at any point of the scenario: after a restart the VMs run once, elsewhere."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_site import Site, play_all

pytestmark = pytest.mark.slow

_ON_THE_WAY = ("Suspect", "Checking", "Fencing", "Fenced")
_LAST_SECOND = 6.5
"""The recovery takes about so long."""
_CLOSE_LOOK = 0.02
"""Seconds between two looks for the moment to kill at: some last no longer than a few of them."""


def _state(*states: str) -> Callable[[Site], bool]:
    return lambda site: site.state() in states


def _placed(site: Site) -> bool:
    return any(vm.get("hostid") not in (None, site.victim) for vm in site.vms())


POINTS: dict[str, Callable[[Site], bool]] = {
    "the order was accepted": lambda site: True,
    "the chassis is off": lambda site: (
        not any(run.host == site.cloud.victim for runs in site.truth().values() for run in runs)
    ),
    "the host is Suspect": _state(*_ON_THE_WAY),
    "the host is Fencing": _state("Fencing", "Fenced"),
    "the host is Fenced": _state("Fenced"),
    "the first restart is permitted": _placed,
    "the first VM starts elsewhere": lambda site: site.started_elsewhere() > 0,
    "all VMs start elsewhere": lambda site: site.started_elsewhere() == len(site.cloud.vms),
    "the API shows all of them running": lambda site: site.run_elsewhere_once(),
}


def _at(point: str) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        site.order_off()
        site.until(point, lambda: POINTS[point](site), pause=_CLOSE_LOOK)
        site.kill_and_restart()

    return act


def _before(site: Site) -> None:
    site.kill_and_restart()
    site.order_off()


def _twice(site: Site) -> None:
    _at("the host is Fencing")(site)
    site.until("the first restart is permitted", lambda: _placed(site), pause=_CLOSE_LOOK)
    site.kill_and_restart()


def _some_time(seed: int) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        site.order_off()
        site.pause(random.Random(seed).uniform(0.0, _LAST_SECOND))
        site.kill_and_restart()

    return act


CASES: dict[str, dict[str, Callable[[Site], None]]] = {
    "early": {
        "before the order": _before,
        "the order was accepted": _at("the order was accepted"),
        "the chassis is off": _at("the chassis is off"),
        "the host is Suspect": _at("the host is Suspect"),
    },
    "late": {
        "the host is Fencing": _at("the host is Fencing"),
        "the host is Fenced": _at("the host is Fenced"),
        "the first restart is permitted": _at("the first restart is permitted"),
        "the first VM starts elsewhere": _at("the first VM starts elsewhere"),
        "all VMs start elsewhere": _at("all VMs start elsewhere"),
    },
    "odd": {
        "the API shows all of them running": _at("the API shows all of them running"),
        "some time after the order, seed 1": _some_time(1),
        "some time after the order, seed 2": _some_time(2),
        "the host is Fencing, and again when a restart is permitted": _twice,
    },
}


def _judged(act: Callable[[Site], None]) -> Callable[[Site], None]:
    def play(site: Site) -> None:
        act(site)
        site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
        for vm in site.vms():
            permits = site.client.call("explainVirtualMachineHA", id=vm["id"])["virtualmachinehaexplanation"]["permits"]
            assert [permit["state"] for permit in permits].count("ended") == len(permits) - 1
            assert permits[0]["endedby"]["kind"] == "chassis-off"
        assert site.state() == "Fenced"

    return play


@pytest.mark.parametrize("when", CASES)
def test_the_vms_run_once_elsewhere_although_the_server_was_killed(when: str, tmp_path: Path) -> None:
    """Whenever that was; no run of theirs is ever doubled, and the proof is the chassis read OFF."""
    play_all(tmp_path, {name: _judged(act) for name, act in CASES[when].items()})
