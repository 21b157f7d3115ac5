"""BMCs that are configured wrongly: each mistake has its own text, and the power is Unknown, never Off.

The BMCs are real `ipmi_sim` and `sushy-emulator` processes, asked through the whole server.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance_site import Site, debian_program
from holdfast_cli.client import Answer, ApiError
from holdfast_cli.demo_bmcs import EmulatedBmcs
from holdfast_cli.demo_ipmi import IpmiBmcs
from holdfast_cli.demo_redfish import RedfishBmcs
from holdfast_cli.server_process import free_port

pytestmark = pytest.mark.slow

SECRET = "not-the-password"
STRANGER = "11111111-2222-4333-8444-555555555555"
NOWHERE = "127.99.0.1"  # of this machine, and nothing listens there


class _StrangersPinned(RedfishBmcs):
    """The server is told to expect another certificate than the emulators show."""

    def configuration(self) -> str:
        return super().configuration().replace(self.fingerprint, "ab" * 32)


def _site(folder: Path, bmcs: EmulatedBmcs) -> Iterator[Site]:
    with Site(folder, hosts=2, bmcs=bmcs) as site:
        site.open()
        site.start_bmcs()
        yield site


@pytest.fixture(scope="module")
def ipmi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two hosts behind ipmi_sim, nothing configured."""
    debian_program("ipmi_sim", "openipmi")
    folder = tmp_path_factory.mktemp("ipmi")
    yield from _site(folder, IpmiBmcs(folder / "bmcs"))


@pytest.fixture(scope="module")
def redfish(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two hosts behind sushy-emulator, nothing configured."""
    folder = tmp_path_factory.mktemp("redfish")
    yield from _site(folder, RedfishBmcs(folder / "bmcs"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same, with a wrong pin."""
    folder = tmp_path_factory.mktemp("strangers")
    yield from _site(folder, _StrangersPinned(folder / "bmcs"))


def _configure(site: Site, **wrong: str) -> Answer:
    place = site.places[site.cloud.victim]
    right = {
        "driver": place.driver, "address": place.address, "port": place.port, "username": place.username,
        "password": site.cloud.bmc_password.reveal(),
    }  # fmt: skip
    if site.host()["outofbandmanagement"].get("driver"):
        # Else options of the mistake before would still be there.
        site.client.run("removeOutOfBandManagementDevice", hostid=site.victim)
    site.client.run("configureOutOfBandManagement", hostid=site.victim, **{**right, **wrong})
    shown: Answer = site.client.run("enableOutOfBandManagementForHost", hostid=site.victim)["outofbandmanagement"]
    return shown


def _complaint(site: Site, **wrong: str) -> str:
    """What a STATUS says; the host shows the power as Unknown then, with a reason, and never as Off."""
    shown = [_configure(site, **wrong)["powerstate"]]
    with pytest.raises(ApiError) as caught:
        site.client.run("issueOutOfBandManagementPowerAction", hostid=site.victim, action="STATUS", timeout=5)
    assert caught.value.code == 530

    def unknown() -> Any:
        power = site.host()["outofbandmanagement"]
        shown.append(power["powerstate"])
        return power if power["powerstate"] == "Unknown" and power.get("problem") else None

    power = site.until("the power is Unknown, with a reason", unknown)
    assert "Off" not in shown
    text = f"{caught.value} | {power['problem']}"
    for secret in (SECRET, site.cloud.bmc_password.reveal()):
        assert secret not in text
        assert secret not in site.server.log.read_text()
    return text


WRONG: dict[str, tuple[str, dict[str, str], str]] = {
    "ipmi address": ("ipmi", {"address": NOWHERE}, f"BMC {NOWHERE}:"),
    "ipmi port": ("ipmi", {"port": "closed"}, "check address and port"),
    "ipmi port that is none": ("ipmi", {"port": "ninety"}, "is not a UDP port"),
    "ipmi user": ("ipmi", {"username": "nobody"}, "the user 'nobody' is not known"),
    "ipmi password": ("ipmi", {"password": SECRET}, "the password of user 'admin' is wrong"),
    "ipmi cipher suite": ("ipmi", {"details[0].cipher_suite": "17"}, "cipher suite 17 not accepted"),
    "ipmi key Kg": ("ipmi", {"details[0].kg": SECRET}, "the key Kg is wrong"),
    "ipmi host": ("ipmi", {"details[0].uuid": STRANGER}, "belongs to another system"),
    "redfish address": ("redfish", {"address": NOWHERE}, f"BMC {NOWHERE}:"),
    "redfish port": ("redfish", {"port": "closed"}, "check address and port"),
    "redfish port that is none": ("redfish", {"port": "ninety"}, "is not a TCP port"),
    "redfish user": ("redfish", {"username": "nobody"}, "check user name and password"),
    "redfish password": ("redfish", {"password": SECRET}, "check user name and password"),
    "redfish host": ("redfish", {"details[0].uuid": STRANGER}, "another host answers there"),
    "redfish system": ("redfish", {"details[0].system": "Node7"}, "no system 'Node7'"),
    "redfish certificate": ("strangers", {}, "fingerprint mismatch"),
}
"""Which site, what is wrong there, and a word that only its text has to have."""


@pytest.mark.parametrize("mistake", WRONG)
def test_each_mistake_has_its_text_and_shows_no_power(mistake: str, request: pytest.FixtureRequest) -> None:
    """In the answer to STATUS and in listHosts; no password is in either, nor in the log."""
    fixture, wrong, word = WRONG[mistake]
    site: Site = request.getfixturevalue(fixture)
    if wrong.get("port") == "closed":
        wrong = {"port": str(free_port())}

    assert word in _complaint(site, **wrong)


def test_an_unknown_driver_is_refused_with_those_there_are(ipmi: Site) -> None:
    """And what was configured before stays."""
    _configure(ipmi)
    with pytest.raises(ApiError, match=r"'ilo'.*ipmi.*redfish"):
        ipmi.client.run(
            "configureOutOfBandManagement", hostid=ipmi.victim, driver="ilo", address=NOWHERE, port="623",
            username="admin", password=SECRET,
        )  # fmt: skip

    assert ipmi.host()["outofbandmanagement"]["driver"] == "ipmi"


def test_put_right_it_works_at_once(ipmi: Site) -> None:
    """The power is read as it is, and the reason is gone."""
    _complaint(ipmi, password=SECRET)

    assert _configure(ipmi)["powerstate"] == "On"
    assert "problem" not in ipmi.host()["outofbandmanagement"]
