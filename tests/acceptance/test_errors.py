"""What cannot be done is refused with a text that reaches the client, and changes nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from acceptance_site import Site
from holdfast.model import Secret
from holdfast_cli.client import ApiError, Client, Keys

pytestmark = pytest.mark.slow


def _offering(site: Site, name: str, memory: int) -> str:
    made = site.client.call(
        "createServiceOffering", name=name, displaytext=name, cpunumber=1, cpuspeed=1000, memory=memory, offerha=True
    )
    return str(made["serviceoffering"]["id"])


def _deploy(site: Site, name: str, offering: str, **more: Any) -> Any:
    return site.client.run(
        "deployVirtualMachine", name=name, zoneid=site.cloud.zone, templateid=site.cloud.template,
        serviceofferingid=offering, networkids=site.cloud.network, **more,
    )  # fmt: skip


def test_a_power_action_without_out_of_band_management(site: Site) -> None:
    """530, naming the host and what to call first; once configured but disabled, the same."""
    with pytest.raises(ApiError, match=r"ablecube31.*configure") as caught:
        site.client.run("issueOutOfBandManagementPowerAction", hostid=site.victim, action="OFF")
    assert caught.value.code == 530

    site.client.run(
        "configureOutOfBandManagement", hostid=site.victim, driver="simulator", address="203.0.113.11", port="623",
        username="admin", password="s3cret-word",
    )  # fmt: skip
    with pytest.raises(ApiError, match=r"ablecube31.*enable") as caught:
        site.client.run("issueOutOfBandManagementPowerAction", hostid=site.victim, action="OFF")

    assert caught.value.code == 530
    assert "s3cret-word" not in site.server.log.read_text()


def test_a_vm_for_a_host_that_lacks_room(site: Site) -> None:
    """533 with host and amounts, and no VM is left behind."""
    with pytest.raises(ApiError, match="ablecube31 has no room") as caught:
        _deploy(site, "too-big", _offering(site, "huge", 1_000_000), hostid=site.victim)

    assert caught.value.code == 533
    assert site.client.items("listVirtualMachines", name="too-big") == []


def test_a_vm_that_no_host_has_room_for(site: Site) -> None:
    """The job fails with 533 and says why each host was refused."""
    with pytest.raises(ApiError, match="memory") as caught:
        _deploy(site, "too-big-anywhere", _offering(site, "huger", 2_000_000))

    assert caught.value.code == 533


@pytest.mark.parametrize(
    ("command", "parameters", "code", "text"),
    [
        ("listHosts", {"page": 1}, 431, "pagesize"),
        ("createPod", {"name": "p"}, 431, "zoneid"),
        ("noSuchCommand", {}, 432, "noSuchCommand"),
        ("updateConfiguration", {"name": "ha.storage.beat.stale", "value": "2"}, 431, "ha.storage.beat.stale"),
        ("queryAsyncJobResult", {"jobid": "00000000-0000-0000-0000-000000000000"}, 431, "jobid"),
    ],
)
def test_what_is_malformed(site: Site, command: str, parameters: dict[str, Any], code: int, text: str) -> None:
    """The text names what is wrong."""
    with pytest.raises(ApiError, match=text) as caught:
        site.client.call(command, **parameters)

    assert caught.value.code == code


def test_a_wrong_secret(site: Site) -> None:
    """401, whatever was asked."""
    with pytest.raises(ApiError, match="signature") as caught:
        Client(site.server.endpoint, Keys("no-such-key", Secret("wrong"))).call("listHosts")

    assert caught.value.code == 401


def test_a_second_server_on_the_same_data(site: Site, tmp_path: Path) -> None:
    """Refused before it does anything, naming the first one's process and what to do."""
    second = tmp_path / "second.toml"
    text = site.server.configuration.read_text().replace(f"port = {site.server.port}", "port = 0")
    second.write_text(text)

    words = [sys.executable, "-m", "holdfast", "--config", str(second), "server"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 2
    assert f"pid {site.server.pid}" in ended.stderr
    assert "data_dir of its own" in ended.stderr
    assert site.client.items("listHosts")
