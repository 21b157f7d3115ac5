"""Host HA under scripted answers, seen as CloudStack's own integration tests see it."""

from collections.abc import Iterator
from typing import Any

import pytest
from acceptance_site import Site
from holdfast_cli.client import Answer, ApiError

pytestmark = pytest.mark.slow

PROVIDER = "simulatorhaprovider"


@pytest.fixture(scope="module")
def watched(site: Site) -> Site:
    """HA is on for the zone and the cluster, and for no host yet."""
    site.client.run("enableHAForZone", zoneid=site.cloud.zone)
    site.client.run("enableHAForCluster", clusterid=site.cloud.cluster)
    return site


@pytest.fixture
def scripted(watched: Site) -> Iterator[Site]:
    """HA of the first host is off and configured, so that a script can be written; off again afterwards."""
    _disable(watched)
    yield watched
    _disable(watched)


def _disable(site: Site) -> None:
    site.client.run("configureHAForHost", hostid=site.victim, provider=PROVIDER)
    disabled = site.client.run("disableHAForHost", hostid=site.victim)["hostha"]
    assert disabled["hostid"] == site.victim
    assert disabled["haenable"] is False


def _script(site: Site, health: bool, activity: bool, recover: bool, fence: bool) -> None:
    answer = site.client.call(
        "configureSimulatorHAProviderState", hostid=site.victim, health=health, activity=activity, recover=recover,
        fence=fence,
    )  # fmt: skip
    assert answer["success"] is True


def _enable(site: Site) -> None:
    assert site.client.run("enableHAForHost", hostid=site.victim)["hostha"]["haenable"] is True


def _reached(site: Site, state: str) -> tuple[Answer, Answer]:
    """The first transition into `state`, once there is one, and the transition before it."""

    def look() -> tuple[Answer, Answer] | None:
        found = site.client.items("listSimulatorHAStateTransitions", hostid=site.victim)
        for index, move in enumerate(found):
            if move["hastate"] == state:
                return (found[index - 1] if index else {}), move
        return None

    return site.until(f"a transition to {state}", look)


def _is(move: Answer, event: str, state: str, before: str) -> None:
    assert (move["event"], move["hastate"], move["prevhastate"]) == (event, state, before)


def test_a_healthy_host_is_available(scripted: Site) -> None:
    """Enabling is the first transition, with both counters at zero."""
    _script(scripted, health=True, activity=True, recover=True, fence=False)
    _enable(scripted)

    _, move = _reached(scripted, "available")

    _is(move, "enabled", "available", "disabled")
    assert (move["activitycounter"], move["recoverycounter"]) == (0, 0)


def test_a_host_that_cannot_be_managed_but_writes_is_degraded(scripted: Site) -> None:
    """Suspect, then activity checks, then Degraded: it is left alone."""
    _script(scripted, health=False, activity=True, recover=True, fence=False)
    _enable(scripted)

    _, suspect = _reached(scripted, "suspect")
    before, degraded = _reached(scripted, "degraded")

    _is(suspect, "healthcheckfailed", "suspect", "available")
    assert (suspect["activitycounter"], suspect["recoverycounter"]) == (0, 0)
    _is(before, "performactivitycheck", "checking", "suspect")
    assert before["activitycounter"] > 0
    assert before["recoverycounter"] == 0
    _is(degraded, "activitycheckfailureunderthresholdratio", "degraded", "checking")
    assert degraded["activitycounter"] > 0
    assert degraded["recoverycounter"] == 0


def test_a_silent_host_is_recovered_and_then_fenced(scripted: Site) -> None:
    """Recovery is tried as often as the provider allows; after that the host is fenced."""
    _script(scripted, health=False, activity=False, recover=True, fence=False)
    _enable(scripted)

    before, recovering = _reached(scripted, "recovering")
    _, fencing = _reached(scripted, "fencing")

    _is(before, "performactivitycheck", "checking", "suspect")
    assert before["activitycounter"] > 0
    assert before["recoverycounter"] == 0
    _is(recovering, "activitycheckfailureoverthresholdratio", "recovering", "checking")
    assert recovering["activitycounter"] > 0
    assert recovering["recoverycounter"] == 0
    _is(fencing, "recoveryoperationthresholdexceeded", "fencing", "recovering")
    assert fencing["recoverycounter"] > 0


def test_a_fenced_host_returns_once_its_maintenance_is_cancelled(scripted: Site) -> None:
    """Fenced puts it into maintenance; healthy again and cancelled, it goes by Ineligible to Available."""
    _script(scripted, health=False, activity=False, recover=False, fence=True)
    _enable(scripted)

    before, fenced = _reached(scripted, "fenced")

    _is(before, "recoveryoperationthresholdexceeded", "fencing", "recovering")
    assert before["activitycounter"] == 0
    assert before["recoverycounter"] > 0
    _is(fenced, "fenced", "fenced", "fencing")
    assert (fenced["activitycounter"], fenced["recoverycounter"]) == (0, 0)
    assert scripted.host()["resourcestate"] == "Maintenance"

    _script(scripted, health=True, activity=True, recover=True, fence=False)
    scripted.client.run("cancelHostMaintenance", id=scripted.victim)
    _, back = _reached(scripted, "available")

    _is(back, "eligible", "available", "ineligible")
    assert (back["activitycounter"], back["recoverycounter"]) == (0, 0)
    scripted.until("the host is in service", lambda: scripted.host()["resourcestate"] == "Enabled")


def test_the_switches_of_zone_cluster_and_host_all_count(scripted: Site) -> None:
    """Any of them turns HA off; only all of them together turn it on."""
    site, client = scripted, scripted.client
    _script(site, health=True, activity=True, recover=True, fence=False)
    _enable(site)
    site.until("HA is on", lambda: site.state() == "Available")

    client.run("disableHAForHost", hostid=site.victim)
    client.run("disableHAForCluster", clusterid=site.cloud.cluster)
    client.run("disableHAForZone", zoneid=site.cloud.zone)
    site.until("HA is off", lambda: site.state() == "Disabled")
    client.run("enableHAForHost", hostid=site.victim)
    client.run("enableHAForCluster", clusterid=site.cloud.cluster)
    assert site.state() == "Disabled"

    client.run("enableHAForZone", zoneid=site.cloud.zone)
    site.until("HA is on again", lambda: site.state() == "Available")


def test_providers_and_resources_are_listed(watched: Site) -> None:
    """By hypervisor, spelled as CloudStack's classes; and each host that was configured once."""
    [simulator] = watched.client.items("listHostHAProviders", hypervisor="Simulator")
    assert simulator["haprovider"] == "SimulatorHAProvider"

    watched.client.run("configureHAForHost", hostid=watched.victim, provider="SimulatorHAProvider")
    [resource] = watched.client.items("listHostHAResources", hostid=watched.victim)
    assert resource["hostid"] == watched.victim
    assert resource["haprovider"] == PROVIDER


@pytest.mark.parametrize(
    ("command", "parameters", "code"),
    [
        ("enableHAForHost", {"hostid": "-1"}, 431),
        ("enableHAForHost", {}, 431),
        ("enableHAForCluster", {}, 431),
        ("enableHAForZone", {}, 431),
        ("listHostHAResources", {"hostid": "someinvalidvalue"}, 431),
        ("listHostHAProviders", {"hypervisor": "simulator"}, 431),
        ("configureHAForHost", {"hostid": "victim", "provider": "randomDriverThatDoesNotExist"}, 530),
        ("enableHAForHost", {"hostid": "unconfigured"}, 431),
    ],
)
def test_what_is_malformed_is_refused(watched: Site, command: str, parameters: dict[str, str], code: int) -> None:
    """With the code that clients expect, and a text."""
    hosts = {"victim": watched.victim, "unconfigured": list(watched.cloud.hosts.values())[-1]}
    sent: dict[str, Any] = {name: hosts.get(value, value) for name, value in parameters.items()}

    with pytest.raises(ApiError) as caught:
        watched.client.run(command, **sent)

    assert caught.value.code == code
    assert str(caught.value)
