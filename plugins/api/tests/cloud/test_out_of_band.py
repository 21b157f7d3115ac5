"""Out-of-band management through the API."""

import json
import logging

import pytest
from holdfast.hooks.store import Insert
from holdfast.model import AsyncJob, Cluster, ClusterDetail, Event, Host, Moment, Oobm, Zone, ZoneDetail

UNKNOWN = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def host(cloud):
    return cloud.host(cloud.cluster(cloud.pod(cloud.zone())))


@pytest.fixture
def usable(cloud, host):
    """A host whose out-of-band management is configured and enabled."""
    cloud.configure_oobm(host)
    cloud.enable_oobm(host)
    return host


def test_it_is_configured_and_shown_with_the_password_masked(cloud, host):
    """Upstream shows the first character too; nothing of a secret leaves here."""
    shown = cloud.configure_oobm(host, driver="IpmiTool", manageconsoleprotocol="https", manageconsoleport="443")
    assert (shown["hostid"], shown["driver"], shown["address"]) == (host["id"], "ipmitool", "bmc1")
    assert (shown["port"], shown["username"], shown["password"]) == ("623", "admin", "****")
    assert (shown["manageconsoleprotocol"], shown["manageconsoleport"]) == ("https", "443")
    assert (shown["enabled"], shown["powerstate"], shown["status"]) == (False, "Disabled", True)
    nested = cloud.one("listHosts", id=host["id"])["outofbandmanagement"]
    assert nested.items() <= shown.items()
    assert cloud.rows(Oobm)[0].password.reveal() == "bmc-password"


def test_it_is_configured_again_over_what_was_there(cloud, usable):
    """The switch stays; the old trouble says nothing of the new address."""
    cloud.set(cloud.rows(Oobm)[0], problem="no answer")
    shown = cloud.configure_oobm(usable, address="bmc2", password="another")
    assert (shown["address"], shown["enabled"], shown.get("problem")) == ("bmc2", True, None)
    [row] = cloud.rows(Oobm)
    assert (row.password.reveal(), row.update_count) == ("another", 1)
    assert len(cloud.events("HOST.OOBM.CONFIGURE")) == 2


def test_what_was_seen_of_the_old_device_is_not_shown_of_the_new_one(cloud, usable):
    """Neither its power nor that it was ready; what is configured as it was keeps them."""
    [row] = cloud.rows(Oobm)
    seen = {"power_state": "On", "readiness": "Ready", "readiness_since": Moment(1000.0)}
    again = {"address": row.address, "username": row.username, "password": row.password.reveal()}

    def shown(**changed):
        cloud.set(cloud.rows(Oobm)[0], **seen)
        answer = cloud.configure_oobm(usable, **again | changed)
        return answer["powerstate"], answer.get("readiness"), answer.get("readinesssince") is not None

    assert shown() == ("On", "Ready", True)
    assert shown(password="another") == ("On", None, False)
    assert shown(address="bmc2") == ("Unknown", None, False)
    assert "enable it with" not in cloud.configure_oobm(usable)["description"]


def test_bad_configurations_are_refused(cloud, host):
    """An unknown driver is 530, as CloudStack has it; all else 431."""
    good = {"driver": "simulator", "address": "b", "port": "623", "username": "u", "password": "p"}
    for change, code, said in (
        ({"driver": "randomDriverThatDoesNotExist"}, 530, "there are ipmitool, redfish, simulator"),
        ({"address": "a b"}, 431, "has a blank in it"),
        ({"hostid": UNKNOWN}, 431, "there is no host with this id"),
        ({"hostid": "-1"}, 431, "a UUID is needed"),
        ({"password": ""}, 431, "required parameter password is empty"),
    ):
        found, text = cloud.refused("configureOutOfBandManagement", **({"hostid": host["id"]} | good | change))
        assert (found, said in text) == (code, True), text
    assert cloud.rows(Oobm) == []


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_switches_are_jobs(cloud, host, word):
    """For a host, a cluster and a zone."""
    command = f"{word}OutOfBandManagementFor"
    code, text = cloud.refused(f"{command}Host", hostid=host["id"])
    assert (code, "call configureOutOfBandManagement first" in text) == (530, True)
    cloud.configure_oobm(host)
    row = cloud.row(Host, host["id"])
    job = cloud.job(f"{command}Host", hostid=host["id"])
    assert (json.loads(job.job_cmd_info), job.host_id) == ({"hostid": row.id}, row.id)
    done = cloud.finish(job, {"object": "outofbandmanagement", "hostid": row.id, "status": True})
    assert done == {"hostid": host["id"], "enabled": False, "powerstate": "Disabled", "status": True}
    cluster, zone = cloud.rows(Cluster)[0], cloud.rows(Zone)[0]
    for kind, one in (("Cluster", cluster), ("Zone", zone)):
        job = cloud.job(f"{command}{kind}", **{f"{kind.lower()}id": one.uuid})
        assert (json.loads(job.job_cmd_info), job.host_id) == ({f"{kind.lower()}id": one.id}, None)
        result = {"object": "outofbandmanagement", "enabled": word == "enable", "status": True}
        assert cloud.finish(job, result) == {"enabled": word == "enable", "status": True}
        assert cloud.refused(f"{command}{kind}")[0] == 431
    assert len(cloud.events(f"HOST.OOBM.{word.upper()}")) == 3


@pytest.mark.parametrize("action", ["ON", "OFF", "CYCLE", "RESET", "SOFT", "STATUS"])
def test_power_actions_are_jobs(cloud, usable, action):
    """The result is the whole row, with the action and what the driver said."""
    row = cloud.row(Host, usable["id"])
    job = cloud.job("issueOutOfBandManagementPowerAction", hostid=usable["id"], action=action, timeout=9)
    assert json.loads(job.job_cmd_info) == {"hostid": row.id, "action": action, "timeout": 9}
    said = {"hostid": row.id, "action": action, "description": "ok", "status": True}
    done = cloud.finish(job, {"object": "outofbandmanagement", **said})
    assert (done["action"], done["description"], done["powerstate"]) == (action, "ok", "On")
    assert (done["driver"], done["password"], done["hostid"]) == ("simulator", "****", usable["id"])


@pytest.mark.parametrize("action", ["off", "EXPLODE", "", "STATUS "])
def test_a_bad_power_action_is_refused_at_once(cloud, usable, action):
    """431 with the actions there are; CloudStack lets the job fail with 530."""
    code, text = cloud.refused("issueOutOfBandManagementPowerAction", hostid=usable["id"], action=action)
    assert (code, "ON, OFF, CYCLE, RESET, SOFT, STATUS" in text) == (431, True)


def test_a_power_action_says_which_switch_is_off(cloud, host):
    """Not configured, host, cluster, zone: each in its own words, with the command that helps."""

    def refusal():
        code, text = cloud.refused("issueOutOfBandManagementPowerAction", hostid=host["id"], action="STATUS")
        assert code == 530
        return text

    assert "of host ablecube31 is not configured" in refusal()
    cloud.configure_oobm(host)
    assert "is disabled for host ablecube31: call enableOutOfBandManagementForHost" in refusal()
    cloud.enable_oobm(host)
    switch = {"name": "outOfBandManagementEnabled", "value": "false"}
    cloud.store.commit([Insert(ClusterDetail(cluster_id=cloud.rows(Cluster)[0].id, **switch))])
    assert "is disabled for cluster c1" in refusal()
    cloud.store.commit([Insert(ZoneDetail(dc_id=cloud.rows(Zone)[0].id, **switch))])
    assert "is disabled for zone z1" in refusal()
    assert "call enableOutOfBandManagementForZone" in refusal()


def test_a_new_password_waits_encrypted_and_not_in_the_job(cloud, usable):
    """The job's parameters are stored in the clear."""
    job = cloud.job("changeOutOfBandManagementPassword", hostid=usable["id"], password="new-secret")
    row = cloud.row(Host, usable["id"])
    assert json.loads(job.job_cmd_info) == {"hostid": row.id}
    assert cloud.rows(Oobm)[0].new_password.reveal() == "new-secret"
    assert cloud.rows(Oobm)[0].password.reveal() == "bmc-password"
    done = cloud.finish(job, {"object": "outofbandmanagement", "hostid": row.id, "status": True})
    assert (done["hostid"], done["status"]) == (usable["id"], True)


def test_a_password_that_is_not_given_is_made_up(cloud, usable):
    """Sixteen characters: what IPMI takes."""
    made = []
    for _ in range(2):
        cloud.job("changeOutOfBandManagementPassword", hostid=usable["id"])
        made.append(cloud.rows(Oobm)[0].new_password.reveal())
        # One that still waits is not thrown away: the BMC may have taken it.
        code, text = cloud.refused("changeOutOfBandManagementPassword", hostid=usable["id"])
        assert (code, "not settled" in text, made[-1] in text) == (536, True, False)
        cloud.set(cloud.rows(Oobm)[0], new_password=None)
    assert made[0] != made[1]
    assert [len(one) for one in made] == [16, 16]
    text = cloud.refused("changeOutOfBandManagementPassword", hostid=usable["id"], password="x" * 17)[1]
    assert "x" * 17 not in text


def test_passwords_appear_nowhere(cloud, host, caplog):
    """Not in answers, events, jobs or logs."""
    caplog.set_level(logging.DEBUG)
    cloud.configure_oobm(host, password="s3cr3t-one")
    cloud.enable_oobm(host)
    cloud.job("changeOutOfBandManagementPassword", hostid=host["id"], password="s3cr3t-two")
    everything = [
        cloud("listHosts"),
        cloud("listEvents"),
        cloud("listAsyncJobs"),
        cloud("explainHostHA", id=host["id"]),
    ]
    for text in (json.dumps(everything), repr([*cloud.rows(Event), *cloud.rows(AsyncJob), *cloud.rows(Oobm)])):
        assert "s3cr3t" not in text
    ours = [record for record in caplog.records if record.name.startswith("holdfast")]
    assert not any("s3cr3t" in record.getMessage() for record in ours)
