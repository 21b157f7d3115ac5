"""Hosts lost in ways that nobody ordered: the VMs run once, elsewhere, on the strongest proof that can be had."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from acceptance_site import Site

pytestmark = pytest.mark.slow


def _power_loss(site: Site) -> None:
    site.strike("power-loss")


def _hang(site: Site) -> None:
    site.strike("hang")


def _power_loss_with_a_dead_bmc(site: Site) -> None:
    site.strike("bmc-dead")
    site.strike("power-loss")


CASES: dict[str, tuple[Callable[[Site], None], str]] = {
    "its power is lost": (_power_loss, "chassis-off"),
    "its kernel hangs with the chassis on": (_hang, "chassis-off"),
    "its power is lost and its BMC with it": (_power_loss_with_a_dead_bmc, "lease-expired"),
}
"""What happens, and the proof on which the VMs are started elsewhere."""


def _watchdog_armed(site: Site) -> bool:
    told = site.client.call("explainHostHA", id=site.victim)["hosthaexplanation"]
    return bool(told.get("live", {}).get("watchdogarmed"))


def _play(directory: Path, act: Callable[[Site], None], proof: str) -> None:
    with Site(directory) as site:
        site.open()
        site.prepare()
        site.until("the host's watchdog is armed", lambda: _watchdog_armed(site))
        act(site)
        site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
        for vm in site.vms():
            told = site.client.call("explainVirtualMachineHA", id=vm["id"])["virtualmachinehaexplanation"]
            assert told["permits"][-1]["proofkind"] == proof


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[None]"]]:
    """All cases at once, each with a server of its own."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        yield {name: pool.submit(_play, tmp_path_factory.mktemp("lost"), *case) for name, case in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_vms_of_a_lost_host_run_once_elsewhere(plays: dict[str, "Future[None]"], case: str) -> None:
    """Silence alone never does it: each restart rests on a proof."""
    plays[case].result()
