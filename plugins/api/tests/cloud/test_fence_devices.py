"""Several fence devices of one host, and options of a single BMC, through the API."""

import json
import logging

import pytest
from holdfast.model import AsyncJob, Event, Host, Oobm, PowerState, Secret
from holdfast.options import Option

BMC = {"driver": "ipmitool", "address": "bmc1", "port": "623", "username": "admin", "password": "p1"}
OUTLET = {"driver": "redfish", "address": "pdu1", "port": "443", "username": "pdu", "password": "p2"}


class Ipmi:
    BMC_OPTIONS = {  # noqa: RUF012 - a driver's own declaration
        "cipher_suite": Option(str, "auto", "suite", choices=("auto", "17", "3")),
        "kg": Option(Secret, Secret(""), "key", check=lambda kg: "it is too long" if len(kg.reveal()) > 20 else ""),
        "tries": Option(int, 3, "tries", low=1, high=9),
        "strict": Option(bool, True, "strictness"),
    }


class Redfish:
    BMC_OPTIONS = {"system": Option(str, "", "id of the system")}  # noqa: RUF012


@pytest.fixture
def host(cloud):
    cloud.plugins.installed["oobm"] |= {"ipmitool": Ipmi, "redfish": Redfish}
    return cloud.host(cloud.cluster(cloud.pod(cloud.zone())))


@pytest.fixture
def configure(cloud, host):
    """Configure one device of the host; what the answer shows."""

    def call(**values):
        return cloud.one("configureOutOfBandManagement", hostid=host["id"], **(BMC | values))

    return call


def rows(cloud):
    return [(row.level, row.device_index, row.address) for row in cloud.rows(Oobm)]


def test_further_devices_stand_beside_the_first(cloud, host, configure):
    """Level 1, index 0 is what upstream knows; the others have their places, and every list is in their order."""
    configure()
    configure(level=2, index=1, **OUTLET)
    shown = configure(level=2, index=0, timeout=7, **OUTLET | {"address": "pdu0"})
    assert (shown["level"], shown["index"], shown["timeout"], shown["address"]) == (2, 0, 7, "pdu0")
    assert rows(cloud) == [(1, 0, "bmc1"), (2, 1, "pdu1"), (2, 0, "pdu0")]
    listed = cloud.one("listHosts", id=host["id"])
    assert listed["outofbandmanagement"]["address"] == "bmc1"
    assert [one["address"] for one in listed["fencedevices"]] == ["bmc1", "pdu0", "pdu1"]
    explained = cloud.one("explainHostHA", id=host["id"])
    assert explained["fencedevices"] == listed["fencedevices"]
    assert "device 1 of level 2" in cloud.events("HOST.OOBM.CONFIGURE")[1]
    assert "level" not in cloud.events("HOST.OOBM.CONFIGURE")[0]


def test_a_device_is_configured_again_in_its_place(cloud, configure):
    """The others are left alone; a timeout that is not given stays, and 0 takes it away."""
    configure()
    configure(level=2, timeout=9, **OUTLET)
    assert configure(level=2, **OUTLET | {"address": "pdu9"})["timeout"] == 9
    assert "timeout" not in configure(level=2, timeout=0, **OUTLET)
    assert rows(cloud) == [(1, 0, "bmc1"), (2, 0, "pdu1")]


def test_a_device_that_joins_is_enabled_as_its_host_is(cloud, host, configure):
    """Enabling is the host's; nobody has to think of it again for each device."""
    configure()
    cloud.enable_oobm(host)
    assert configure(level=2, **OUTLET)["enabled"] is True
    assert [row.power_state for row in cloud.rows(Oobm)] == [PowerState.ON, PowerState.UNKNOWN]


@pytest.mark.parametrize("values", [{"level": 0}, {"level": 10}, {"index": -1}, {"index": 16}, {"timeout": 3601}])
def test_places_have_bounds(cloud, host, values):
    """431, and nothing is configured."""
    code, text = cloud.refused("configureOutOfBandManagement", hostid=host["id"], **BMC, **values)
    assert (code, next(iter(values)) in text) == (431, True)
    assert cloud.rows(Oobm) == []


def test_a_device_is_removed_by_its_place(cloud, host, configure):
    """With an event; one that is not there is refused with those that are."""
    configure()
    configure(level=2, **OUTLET)
    code, text = cloud.refused("removeOutOfBandManagementDevice", hostid=host["id"], level=3)
    assert code == 431
    assert "no fence device at level 3 index 0; it has level 1 index 0, level 2 index 0" in text
    assert cloud("removeOutOfBandManagementDevice", hostid=host["id"], level=2) == {"success": True}
    assert rows(cloud) == [(1, 0, "bmc1")]
    assert "driver redfish, address pdu1" in cloud.events("HOST.OOBM.REMOVE")[0]
    cloud("removeOutOfBandManagementDevice", hostid=host["id"])
    assert cloud.one("listHosts", id=host["id"])["outofbandmanagement"] == {"powerstate": "Disabled", "enabled": False}


def test_actions_may_name_one_device(cloud, host, configure):
    """Without a place they are for the host as a whole, and jobs say so by leaving it out."""
    configure()
    configure(level=2, index=1, **OUTLET)
    for device in cloud.rows(Oobm):
        cloud.set(device, enabled=True)
    row = cloud.row(Host, host["id"])

    def info(command, **values):
        return json.loads(cloud.job(command, hostid=host["id"], **values).job_cmd_info)

    assert info("issueOutOfBandManagementPowerAction", action="OFF") == {"hostid": row.id, "action": "OFF"}
    one = info("issueOutOfBandManagementPowerAction", action="OFF", level=2, index=1)
    assert one == {"hostid": row.id, "action": "OFF", "level": 2, "index": 1}
    assert info("changeOutOfBandManagementPassword", level=2, index=1, password="new") == {
        "hostid": row.id, "level": 2, "index": 1
    }  # fmt: skip
    assert [bool(row.new_password) for row in cloud.rows(Oobm)] == [False, True]
    code, text = cloud.refused("issueOutOfBandManagementPowerAction", hostid=host["id"], action="ON", level=2)
    assert (code, "no fence device at level 2 index 0" in text) == (431, True)


def test_the_answer_shows_the_host_or_the_device_that_was_meant(cloud, host, configure):
    """A host whose outlets were cut is off, whatever its dark BMC last said."""
    configure()
    configure(level=2, index=1, **OUTLET)
    [first, second] = [cloud.set(row, enabled=True) for row in cloud.rows(Oobm)]
    cloud.set(first, power_state=PowerState.UNKNOWN)
    cloud.set(second, power_state=PowerState.OFF)
    said = {
        "object": "outofbandmanagement", "hostid": cloud.row(Host, host["id"]).id, "action": "OFF", "status": True,
        "description": "ok", "powerstate": "Off",
    }  # fmt: skip
    job = cloud.job("issueOutOfBandManagementPowerAction", hostid=host["id"], action="OFF")
    done = cloud.finish(job, said)
    assert (done["powerstate"], done["address"]) == ("Off", "bmc1")
    job = cloud.job("issueOutOfBandManagementPowerAction", hostid=host["id"], action="OFF", level=2, index=1)
    done = cloud.finish(job, said | {"level": 2, "index": 1})
    assert (done["powerstate"], done["address"]) == ("Off", "pdu1")


def options(**values):
    return {f"details[0].{name}": text for name, text in values.items()}


def test_options_of_one_bmc_are_kept_and_shown(cloud, configure):
    """What was given stays until it is given again; an empty value takes it away."""
    shown = configure(**options(cipher_suite="17", tries="4", strict="false"))
    assert shown["details"] == {"cipher_suite": "17", "tries": "4", "strict": "false"}
    assert configure()["details"] == shown["details"]
    shown = configure(**options(cipher_suite="", tries="5"))
    assert shown["details"] == {"tries": "5", "strict": "false"}
    assert json.loads(cloud.rows(Oobm)[0].options) == shown["details"]


def test_a_secret_option_is_never_shown_and_kept_apart(cloud, host, configure, caplog):
    """Not in an answer, an event, a log or the column that is not encrypted."""
    caplog.set_level(logging.DEBUG)
    shown = configure(**options(kg="k3y-of-the-bmc", cipher_suite="3"))
    assert shown["details"] == {"cipher_suite": "3", "kg": "****"}
    [row] = cloud.rows(Oobm)
    assert json.loads(row.options) == {"cipher_suite": "3"}
    assert json.loads(row.secret_options.reveal()) == {"kg": "k3y-of-the-bmc"}
    everything = json.dumps([cloud("listHosts"), cloud("listEvents"), cloud("explainHostHA", id=host["id"])])
    everything += repr([*cloud.rows(Event), *cloud.rows(AsyncJob), *cloud.rows(Oobm)])
    assert "k3y-of-the-bmc" not in everything
    ours = [record for record in caplog.records if record.name.startswith("holdfast")]
    assert not any("k3y-of-the-bmc" in record.getMessage() for record in ours)
    assert "details" in configure(**options(kg=""))
    assert cloud.rows(Oobm)[0].secret_options is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"ciphersuite": "17"},
            "has no option 'ciphersuite' for one BMC; did you mean \"cipher_suite\"? (it has ",
        ),
        (
            {"cipher_suite": "99"},
            "option cipher_suite of driver ipmitool: '99' is not accepted; give one of auto, 17, 3",
        ),
        ({"tries": "many"}, "'many' is not accepted; give a whole number from 1 to 9"),
        ({"tries": "10"}, "'10' is not accepted; give a whole number from 1 to 9"),
        ({"strict": "yes"}, "'yes' is not accepted; give true or false"),
        (
            {"kg": "a-key-that-is-much-too-long"},
            "option kg of driver ipmitool: (hidden) is not accepted; it is too long",
        ),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(cloud, host, given, said):
    """431 naming the option and the driver, and nothing is configured."""
    code, text = cloud.refused("configureOutOfBandManagement", hostid=host["id"], **BMC, **options(**given))
    assert (code, said in text) == (431, True), text
    assert "much-too-long" not in text
    assert cloud.rows(Oobm) == []


def test_another_driver_takes_over_no_option(cloud, configure):
    """They mean something else there, or nothing."""
    configure(**options(cipher_suite="17", kg="key"))
    shown = configure(driver="redfish", **options(system="blade3"))
    assert shown["details"] == {"system": "blade3"}
    shown = configure()
    assert "details" not in shown


def test_a_driver_that_is_broken_takes_no_options(cloud, host):
    """530 with its name: whether they are good cannot be known."""
    values = BMC | {"driver": "simulator"} | options(anything="1")
    code, text = cloud.refused("configureOutOfBandManagement", hostid=host["id"], **values)
    assert (code, "driver simulator cannot be used" in text) == (530, True)


def test_garbled_options_are_written_afresh(cloud, configure):
    """Somebody changed the row by hand; configuring it again mends it."""
    configure(**options(cipher_suite="17"))
    cloud.set(cloud.rows(Oobm)[0], options="{cipher")
    assert configure(**options(tries="2"))["details"] == {"tries": "2"}
