"""Hosts lost in ways that nobody ordered: the VMs run once, elsewhere, on the strongest proof that can be had."""

from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_site import Site, play_all

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


def _judged(act: Callable[[Site], None], proof: str) -> Callable[[Site], None]:
    def play(site: Site) -> None:
        site.until("the host's watchdog is armed", lambda: _watchdog_armed(site))
        act(site)
        site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
        for vm in site.vms():
            told = site.client.call("explainVirtualMachineHA", id=vm["id"])["virtualmachinehaexplanation"]
            assert told["permits"][-1]["proofkind"] == proof

    return play


def test_the_vms_of_a_lost_host_run_once_elsewhere(tmp_path: Path) -> None:
    """Silence alone never does it: each restart rests on a proof."""
    play_all(tmp_path, {name: _judged(*case) for name, case in CASES.items()})
