"""Standing readiness and the fence drill on real BMC emulators, through server, API and command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from acceptance_site import Site, debian_program
from holdfast.model import Secret
from holdfast_cli.client import Answer, ApiError
from holdfast_cli.credentials import as_file, write_file
from holdfast_cli.demo_bmcs import EmulatedBmcs
from holdfast_cli.demo_ipmi import IpmiBmcs, IpmiSim

pytestmark = pytest.mark.slow

ALERT = "ALERT.OOBM.NOTREADY"
STAGES = ["OFF accepted", "OFF proven", "agent silent", "ON accepted", "ON proven", "agent back"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three hosts behind ipmi_sim; three HA VMs run on the first one. Fence paths are looked at every 10 s."""
    debian_program("ipmi_sim", "openipmi")
    folder = tmp_path_factory.mktemp("fence-paths")
    with Site(folder, bmcs=IpmiBmcs(folder / "bmcs")) as made:
        made.open()
        made.client.call("updateConfiguration", name="outofbandmanagement.readiness.interval", value="10")
        made.prepare()
        yield made


def _bmc(site: Site, host: str) -> IpmiSim:
    assert isinstance(site.bmcs, EmulatedBmcs)
    found = site.bmcs.emulators[host]
    assert isinstance(found, IpmiSim)
    return found


def _holdfast(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as an operator has it."""
    keys = site.server.directory / "api.toml"
    if not keys.exists():
        write_file(keys, as_file(site.server.endpoint, site.keys))
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *words, "--credentials", str(keys)],
        capture_output=True, text=True, timeout=240, check=False, env=dict(os.environ),
    )  # fmt: skip


def _readiness(site: Site, host: str) -> Any:
    return site.host(site.cloud.hosts[host]).get("fencereadiness")


def _open_alerts(site: Site) -> list[Answer]:
    return [alert for alert in site.client.items("listAlerts", name=ALERT) if "resolved" not in alert]


def test_a_path_that_would_fail_shows_today_and_is_closed_when_it_is_well(site: Site) -> None:
    """Somebody changes a password on a BMC; readings in the kept session go on as if nothing were."""
    for host in site.cloud.hosts:
        site.until(f"{host} is ready", lambda name=host: _readiness(site, name) == "Ready")  # type: ignore[misc]
    listed = _holdfast(site, "fence", "list")
    assert (listed.returncode, listed.stdout.count("Ready")) == (0, 3), listed
    assert _open_alerts(site) == []

    bmc = _bmc(site, "ablecube32")
    good = bmc.password
    bmc.stop()
    bmc.password = Secret("ch4nged-by-hand")
    bmc.start()
    site.until("the path is not ready", lambda: _readiness(site, "ablecube32") == "NotReady")

    [alert] = _open_alerts(site)
    assert "ablecube32" in str(alert)
    assert "the password of user 'admin' is wrong" in str(alert)
    assert "the password of user 'admin' is wrong" in str(site.host(site.cloud.hosts["ablecube32"])["hawarnings"])
    listed = _holdfast(site, "fence", "list", "--not-ready")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (1, 2), listed
    explained = _holdfast(site, "explain", "ablecube32")
    assert "fence path NotReady, looked at" in explained.stdout
    for text in (listed.stdout, explained.stdout, str(alert), site.server.log.read_text()):
        assert good.reveal() not in text

    bmc.stop()
    bmc.password = good
    bmc.start()
    site.until("the path is ready again", lambda: _readiness(site, "ablecube32") == "Ready")
    assert _open_alerts(site) == []
    assert len(site.client.items("listAlerts", name=ALERT)) == 1


def test_a_host_that_is_not_in_maintenance_is_not_drilled(site: Site) -> None:
    """Its VMs go on."""
    ended = _holdfast(site, "fence", "drill", site.cloud.victim)

    assert ended.returncode == 1
    assert "not in Maintenance" in ended.stderr
    assert all(run.host_up for runs in site.truth().values() for run in runs)


def test_an_empty_host_in_maintenance_is_drilled(site: Site) -> None:
    """The stages with their times, and an event; the VMs of the others never notice."""
    uuid = site.cloud.hosts["ablecube33"]
    before = site.truth()
    site.client.run("prepareHostForMaintenance", id=uuid)

    ended = _holdfast(site, "fence", "drill", "ablecube33", "--json")

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [stage["stage"] for stage in told["stages"]] == STAGES
    seconds = {stage["stage"]: stage["seconds"] for stage in told["stages"]}
    # What the simulated chassis and host take at least: nothing was believed before it was so.
    assert seconds["OFF proven"] >= 1.5
    assert seconds["agent back"] - seconds["ON accepted"] >= 20
    assert any("passed: OFF accepted" in str(event) for event in site.client.items("listEvents", keyword="drill"))
    assert site.host(uuid)["resourcestate"] == "Maintenance"
    assert site.truth() == before
    site.client.run("cancelHostMaintenance", id=uuid)
    site.until("the host is available", lambda: site.state(uuid) == "Available")


def test_a_drill_finds_a_bmc_that_switches_another_host(site: Site) -> None:
    """Two BMCs with their cables changed: readings are fine, readiness is fine, and a fence would be a disaster."""
    uuid = site.cloud.hosts["ablecube33"]
    site.client.run("prepareHostForMaintenance", id=uuid)
    bmc = _bmc(site, "ablecube33")
    honest = (bmc.folder / "chassis").read_text().splitlines()[1]
    # The other machine is a file: none of the site's hosts should lose its power to this test.
    other = bmc.folder / "other-machine"
    other.write_text("1")
    bmc.write_switch(
        f'[ "$1" = get ] && echo "power:$(cat {other})"; [ "$1 $2" = "set power" ] && echo "$3" > {other}; exit 0'
    )

    with pytest.raises(ApiError, match="this fence device switches another machine") as caught:
        site.client.run("runFenceDrill", hostid=uuid)

    assert caught.value.code == 530
    assert other.read_text().strip() == "1"
    bmc.write_switch(honest)
    site.client.run("cancelHostMaintenance", id=uuid)
