"""`kill -9` of the server at any point of the scenario: after a restart the VMs run once, elsewhere."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from acceptance_site import Site

pytestmark = pytest.mark.slow

_AT_ONCE = 4
_ON_THE_WAY = ("Suspect", "Checking", "Fencing", "Fenced")
_LAST_SECOND = 6.5
"""The recovery takes about so long."""


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


def _at(point: str, site: Site) -> None:
    site.order_off()
    site.until(point, lambda: POINTS[point](site))
    site.kill_and_restart()


def _before(site: Site) -> None:
    site.kill_and_restart()
    site.order_off()


def _twice(site: Site) -> None:
    _at("the host is Fencing", site)
    site.until("the first restart is permitted", lambda: _placed(site))
    site.kill_and_restart()


def _some_time(seed: int) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        site.order_off()
        site.pause(random.Random(seed).uniform(0.0, _LAST_SECOND))
        site.kill_and_restart()

    return act


CASES: dict[str, Callable[[Site], None]] = {
    "before the order": _before,
    **{point: lambda site, point=point: _at(point, site) for point in POINTS},  # type: ignore[misc]
    **{f"some time after the order, seed {seed}": _some_time(seed) for seed in (1, 2)},
    "the host is Fencing, and again when a restart is permitted": _twice,
}


def _play(directory: Path, act: Callable[[Site], None]) -> None:
    with Site(directory) as site:
        site.open()
        site.prepare()
        act(site)
        site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
        for vm in site.vms():
            permits = site.client.call("explainVirtualMachineHA", id=vm["id"])["virtualmachinehaexplanation"]["permits"]
            assert [permit["state"] for permit in permits].count("ended") == len(permits) - 1
            assert permits[0]["endedby"]["kind"] == "chassis-off"
        assert site.state() == "Fenced"


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[None]"]]:
    """All cases, each with a server of its own, some at a time: they wait far more than they work."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = {name: pool.submit(_play, tmp_path_factory.mktemp("killed"), act) for name, act in CASES.items()}
        try:
            yield found
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES)
def test_the_vms_run_once_elsewhere_although_the_server_was_killed(plays: dict[str, "Future[None]"], case: str) -> None:
    """Whenever that was; no run of theirs is ever doubled, and the proof is the chassis read OFF."""
    plays[case].result()
