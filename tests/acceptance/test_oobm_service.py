"""Out-of-band management as an operator uses it, through the API, against real `ipmi_sim` BMCs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance_site import Site, debian_program
from holdfast_cli.client import ApiError
from holdfast_cli.demo_bmcs import USER, EmulatedBmcs
from holdfast_cli.demo_ipmi import IpmiBmcs, IpmiSim

pytestmark = pytest.mark.slow

NEW_PASSWORD = "Fresh-pass-4711"  # made up; within the 16 bytes that every BMC keeps
ANOTHER_UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A host behind ipmi_sim, nothing configured. Each test has its own: they switch power, accounts and settings."""
    debian_program("ipmi_sim", "openipmi")
    folder = tmp_path / "service"
    folder.mkdir()
    with Site(folder, hosts=1, bmcs=IpmiBmcs(folder / "bmcs")) as site:
        site.open()
        site.start_bmcs()
        yield site


@pytest.fixture
def outlet(site: Site, tmp_path: Path) -> Iterator[IpmiSim]:
    """A second real device in front of the victim: it cuts the host's power by itself."""
    folder, world = tmp_path / "outlet", site.server.data_dir / "simulator.db"
    sim = IpmiSim(folder, site.cloud.victim, world, site.cloud.bmc_password)
    sim.start()
    yield sim
    sim.thaw()
    sim.stop()


def bmc(site: Site) -> IpmiSim:
    """The victim's own BMC."""
    assert isinstance(site.bmcs, EmulatedBmcs)
    found = site.bmcs.emulators[site.cloud.victim]
    assert isinstance(found, IpmiSim)
    return found


def configure(site: Site, sim: IpmiSim, **more: Any) -> Any:
    """Configure a device of the victim; what the answer shows."""
    values = {
        "driver": "ipmi", "address": "127.0.0.1", "port": str(sim.port), "username": USER,
        "password": site.cloud.bmc_password.reveal(),
    }  # fmt: skip
    return site.client.run("configureOutOfBandManagement", hostid=site.victim, **(values | more))["outofbandmanagement"]


def enable(site: Site) -> Any:
    """Enable it for the victim."""
    return site.client.run("enableOutOfBandManagementForHost", hostid=site.victim)["outofbandmanagement"]


def act(site: Site, action: str, **more: Any) -> Any:
    """A power action on the victim, and its answer."""
    answer = site.client.run("issueOutOfBandManagementPowerAction", hostid=site.victim, action=action, **more)
    return answer["outofbandmanagement"]


def refusal(site: Site, command: str, **values: Any) -> tuple[int, str]:
    """Code and text of what is refused, at once or by the job."""
    with pytest.raises(ApiError) as caught:
        site.client.run(command, hostid=site.victim, **values)
    return caught.value.code, str(caught.value)


def test_the_service_from_nothing_to_each_action(site: Site) -> None:
    """Not configured, not enabled, then each action; the power state in an answer is the one just read."""
    assert site.host()["outofbandmanagement"] == {"powerstate": "Disabled", "enabled": False}
    code, text = refusal(site, "enableOutOfBandManagementForHost")
    assert (code, "call configureOutOfBandManagement first" in text) == (530, True)

    shown = configure(site, bmc(site))
    assert (shown["powerstate"], shown["enabled"], shown["password"]) == ("Disabled", False, "****")
    code, text = refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")
    assert (code, "call enableOutOfBandManagementForHost" in text) == (530, True)
    assert enable(site)["powerstate"] == "On"

    for action, state in (
        ("STATUS", "On"), ("OFF", "Off"), ("OFF", "Off"), ("STATUS", "Off"), ("ON", "On"), ("RESET", "On"),
    ):  # fmt: skip
        answer = act(site, action, timeout=30)
        assert (answer["action"], answer["powerstate"], answer["status"]) == (action, state, True)
        assert answer["description"]
        assert site.host()["outofbandmanagement"]["powerstate"] == state
    for action in ("CYCLE", "SOFT"):
        assert act(site, action)["status"] is True
    site.until("the power is On again", lambda: act(site, "ON")["powerstate"] == "On")

    code, text = refusal(site, "issueOutOfBandManagementPowerAction", action="off")
    assert (code, "ON, OFF, CYCLE, RESET, SOFT, STATUS" in text) == (431, True)
    types = {event["type"] for event in site.client.items("listEvents")}
    assert {f"HOST.OOBM.{word}" for word in ("CONFIGURE", "ENABLE", "ACTION")} <= types


def test_zone_goes_before_cluster_and_cluster_before_host(site: Site) -> None:
    """Each switch has its own message, and the outermost that is off is named."""
    configure(site, bmc(site))
    enable(site)
    client, host = site.client, site.host()
    client.run("disableOutOfBandManagementForHost", hostid=site.victim)
    assert "disabled for host" in refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")[1]
    client.run("disableOutOfBandManagementForCluster", clusterid=host["clusterid"])
    assert "disabled for cluster" in refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")[1]
    client.run("disableOutOfBandManagementForZone", zoneid=host["zoneid"])
    assert "disabled for zone" in refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")[1]
    assert site.host()["outofbandmanagement"]["powerstate"] == "Disabled"
    client.run("enableOutOfBandManagementForZone", zoneid=host["zoneid"])
    client.run("enableOutOfBandManagementForCluster", clusterid=host["clusterid"])
    enable(site)
    assert act(site, "STATUS")["powerstate"] == "On"


def test_options_of_one_bmc_reach_it(site: Site) -> None:
    """Its suite and privilege are used, its UUID is compared; a BMC that answers for another host is refused."""
    options = {"details[0].cipher_suite": "3", "details[0].privilege": "operator"}
    shown = configure(site, bmc(site), **options, **{"details[0].uuid": str(bmc(site).guid)})
    assert shown["details"] == {"cipher_suite": "3", "privilege": "operator", "uuid": str(bmc(site).guid)}
    enable(site)
    assert act(site, "STATUS")["powerstate"] == "On"

    configure(site, bmc(site), **{"details[0].uuid": ANOTHER_UUID})
    code, text = refusal(site, "issueOutOfBandManagementPowerAction", action="OFF")
    assert (code, "belongs to another system" in text) == (530, True)
    assert refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")[0] == 530
    assert site.host()["outofbandmanagement"]["powerstate"] == "Unknown"

    configure(site, bmc(site), **{"details[0].uuid": "", "details[0].cipher_suite": "17"})
    assert "cipher suite 17 not accepted" in refusal(site, "issueOutOfBandManagementPowerAction", action="STATUS")[1]
    configure(site, bmc(site), **dict.fromkeys((*options, "details[0].cipher_suite"), ""))
    assert act(site, "STATUS")["powerstate"] == "On"


def test_refused_credentials_are_alerted_once_and_told_once(site: Site) -> None:
    """Ten readings later there is still one alert and one event, and nothing secret anywhere."""
    configure(site, bmc(site), password="Wr0ng-one-4711")
    site.client.call("updateConfiguration", name="outofbandmanagement.background.task.execution.interval", value="0.5")

    def alerts() -> list[Any]:
        found = site.client.items("listAlerts", name="ALERT.OOBM.AUTHERROR")
        return [alert for alert in found if site.cloud.victim in str(alert)]

    before = len(alerts())
    enable(site)
    site.until("it is alerted", lambda: len(alerts()) > before)
    code, text = refusal(site, "issueOutOfBandManagementPowerAction", action="OFF")
    assert (code, "the BMC refuses the credentials" in text) == (530, True)
    told = len(site.client.items("listEvents", type="HOST.OOBM.POWERSTATE.TRANSITION"))
    site.pause(5.0)
    assert len(alerts()) == before + 1
    assert len(site.client.items("listEvents", type="HOST.OOBM.POWERSTATE.TRANSITION")) == told
    assert "Wr0ng-one-4711" not in site.server.log.read_text()
    configure(site, bmc(site))
    assert act(site, "STATUS")["powerstate"] == "On"


def test_a_password_is_changed_on_the_bmc_and_here(site: Site) -> None:
    """The next action uses it, the old one is refused, and no text has either."""
    configure(site, bmc(site))
    enable(site)
    answer = site.client.run("changeOutOfBandManagementPassword", hostid=site.victim, password=NEW_PASSWORD)
    assert answer["outofbandmanagement"]["status"] is True
    assert act(site, "STATUS")["powerstate"] == "On"
    configure(site, bmc(site))
    assert "credentials" in refusal(site, "issueOutOfBandManagementPowerAction", action="OFF")[1]
    configure(site, bmc(site), password=NEW_PASSWORD)
    old = site.cloud.bmc_password.reveal()
    site.client.run("changeOutOfBandManagementPassword", hostid=site.victim, password=old)
    configure(site, bmc(site))
    assert act(site, "STATUS")["powerstate"] == "On"
    assert NEW_PASSWORD not in site.server.log.read_text()
    assert NEW_PASSWORD not in str(site.client.items("listEvents"))


def test_a_second_level_takes_over_from_a_dark_bmc(site: Site, outlet: IpmiSim) -> None:
    """Off by order goes on to the next real device, and says what the first one did; both are shown to whoever asks."""
    configure(site, bmc(site), timeout=3)
    configure(site, outlet, level=2)
    enable(site)
    assert [one["level"] for one in site.host()["fencedevices"]] == [1, 2]
    bmc(site).freeze()
    try:
        answer = act(site, "OFF", timeout=20)
        assert answer["powerstate"] == "Off"
        assert "level 1: OFF at ipmi 127.0.0.1" in answer["description"]
        assert [one["powerstate"] for one in site.host()["fencedevices"]] == ["Unknown", "Off"]
        assert act(site, "STATUS", level=2)["powerstate"] == "Off"
    finally:
        bmc(site).thaw()
    assert act(site, "ON", timeout=30)["powerstate"] == "On"
    site.client.run("removeOutOfBandManagementDevice", hostid=site.victim, level=2)
    assert [one["level"] for one in site.host()["fencedevices"]] == [1]
