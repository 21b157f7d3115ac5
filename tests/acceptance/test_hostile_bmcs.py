"""BMCs that lie, are dark, or say what is so already: what becomes of the VMs, through the whole server.

The BMCs are real `ipmi_sim` processes. Traffic to a stopped one vanishes, as it does behind a firewall that drops.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_site import Site, debian_program, play_all
from holdfast_cli.client import Answer
from holdfast_cli.demo_bmcs import EmulatedBmcs
from holdfast_cli.demo_ipmi import IpmiBmcs, IpmiSim

pytestmark = pytest.mark.slow

_QUICK_TO_SPEAK_UP = {
    "kvm.ha.power.check.timeout": "1",
    "kvm.ha.fence.timeout": "4",
    "ha.fence.retry.interval": "0.5",
    "ha.fence.retry.max.interval": "1",
    "ha.fence.max.attempts": "2",
}
"""So that a test sees all attempts that an operator would see in minutes."""
_ROUNDS = 2
"""How often the attempts of a healthy BMC are used up before the test has seen enough."""


def _bmc(site: Site) -> IpmiSim:
    assert isinstance(site.bmcs, EmulatedBmcs)
    found = site.bmcs.emulators[site.cloud.victim]
    assert isinstance(found, IpmiSim)
    return found


def _explained(site: Site) -> Answer:
    told: Answer = site.client.call("explainHostHA", id=site.victim)["hosthaexplanation"]
    return told


def _speak_up_early(site: Site) -> None:
    for name, value in _QUICK_TO_SPEAK_UP.items():
        site.client.call("updateConfiguration", name=name, value=value)


def _lose_the_watchdog(site: Site) -> None:
    site.strike("watchdog-gone")
    site.until("the watchdog is gone", lambda: _explained(site)["live"].get("watchdogarmed") is False)


def _stuck(site: Site) -> list[Answer]:
    alerts = site.client.items("listAlerts", name="ALERT.HA.FENCE.STUCK")
    return [alert for alert in alerts if site.cloud.victim in alert["name"] + alert["description"] + str(alert)]


def _see_it_stuck(site: Site, problem: str) -> Answer:
    """Use up the attempts, `_ROUNDS` times: no VM starts all the while, and the state says why, to whoever asks."""

    enough = _ROUNDS * int(_QUICK_TO_SPEAK_UP["ha.fence.max.attempts"])

    def enough_attempts() -> Answer | None:
        assert site.started_elsewhere() == 0
        told = _explained(site)
        attempt = int((told.get("live", {}).get("fence") or {}).get("attempt", 0))
        # The reason is that of the newest attempt; on a busy machine one may have failed by silence.
        return told if attempt > enough and problem in told["reason"] else None

    told = site.until(f"{enough} attempts are over, and the reason says {problem}", enough_attempts)
    assert _stuck(site), "no alert"
    assert told["hastate"] == "Fencing"
    assert any("declareHostDead" in sentence for sentence in told["live"]["waitingfor"])
    assert site.host()["resourcestate"] == "Maintenance"
    assert {vm["hostname"] for vm in site.vms()} == {site.cloud.victim}
    return told


def _see_it_recovered(site: Site, proof: str) -> None:
    site.until("every VM runs once, elsewhere", site.run_elsewhere_once)
    for vm in site.vms():
        told = site.client.call("explainVirtualMachineHA", id=vm["id"])["virtualmachinehaexplanation"]
        assert told["permits"][-1]["proofkind"] == proof


def _accepts_off_and_stays_on(site: Site) -> None:
    """The host hangs, able to go on writing at any moment; its BMC says yes to OFF and does nothing."""
    _speak_up_early(site)
    _lose_the_watchdog(site)
    bmc = _bmc(site)
    honest = (bmc.folder / "chassis").read_text().splitlines()[1]
    bmc.write_switch(f'[ "$1" = set ] && exit 0\n{honest}')
    site.strike("hang")

    _see_it_stuck(site, "OFF was accepted, but: chassis power is On")

    bmc.write_switch(honest)
    _see_it_recovered(site, "chassis-off")


def _refuses_to_switch(site: Site) -> None:
    """The same, but it says no."""
    _speak_up_early(site)
    _lose_the_watchdog(site)
    bmc = _bmc(site)
    honest = (bmc.folder / "chassis").read_text().splitlines()[1]
    bmc.write_switch(f'[ "$1" = set ] && exit 1\n{honest}')
    site.strike("hang")

    _see_it_stuck(site, "OFF at ipmi 127.0.0.1: Refused")

    bmc.write_switch(honest)
    _see_it_recovered(site, "chassis-off")


def _is_dark_with_its_host(site: Site) -> None:
    """A lost rack feed takes both. The watchdog was armed, so the lease proves the host dead in its time."""
    site.until("the watchdog is armed", lambda: _explained(site)["live"].get("watchdogarmed") is True)
    _bmc(site).freeze()
    site.strike("power-loss")

    site.until("the host is being fenced, or was", lambda: site.state() in ("Fencing", "Fenced"))
    _see_it_recovered(site, "lease-expired")


def _is_dark_and_nothing_else_proves(site: Site) -> None:
    """No watchdog: only an admin can know. Until then every second of the wait has its reason on display."""
    _speak_up_early(site)
    _lose_the_watchdog(site)
    _bmc(site).freeze()
    site.strike("power-loss")

    told = _see_it_stuck(site, "no answer")
    assert any("watchdog" in sentence for sentence in told["live"]["waitingfor"])

    site.client.run("declareHostDead", id=site.victim, name=site.cloud.victim)
    _see_it_recovered(site, "declared-dead")


def _says_what_is_so_already(site: Site) -> None:
    """The chassis is off before anybody asks: OFF succeeds at the first attempt, and is read back all the same."""
    site.strike("power-loss")

    _see_it_recovered(site, "chassis-off")
    told = _explained(site)
    moves = [move["hastate"] for move in told["story"]]
    assert moves.count("Fencing") == 1
    assert moves[-1] in ("Fenced", "Ineligible")
    [fenced] = [move for move in told["story"] if move["hastate"] == "Fenced"]
    assert sum("ipmi 127.0.0.1" in str(piece) for piece in fenced["evidence"]) >= 3
    assert not _stuck(site)


CASES: dict[str, Callable[[Site], None]] = {
    "accepts OFF and stays on": _accepts_off_and_stays_on,
    "refuses to switch": _refuses_to_switch,
    "is dark with its host, under an armed watchdog": _is_dark_with_its_host,
    "is dark, and nothing else proves the host dead": _is_dark_and_nothing_else_proves,
    "is off already": _says_what_is_so_already,
}


def test_a_hostile_bmc_never_leads_to_a_guess(tmp_path: Path) -> None:
    """Each case on a server of its own: a VM starts elsewhere on proof alone, and no wait is without its reason."""
    debian_program("ipmi_sim", "openipmi")
    play_all(tmp_path, CASES, IpmiBmcs)
