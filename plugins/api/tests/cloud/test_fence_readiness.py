"""Fence readiness and fence drills through the API."""

import json

import pytest
from holdfast.model import AsyncJob, Host, Moment, Oobm, ResourceState


@pytest.fixture
def host(cloud):
    """A host whose out-of-band management is configured and enabled."""
    host = cloud.host(cloud.cluster(cloud.pod(cloud.zone())))
    cloud.configure_oobm(host)
    cloud.enable_oobm(host)
    return host


def test_what_was_found_is_shown_with_the_host_and_explained(cloud, host):
    """One word for the host, and the reason beside the device and among the warnings."""
    assert "fencereadiness" not in cloud.one("listHosts", id=host["id"])
    row = cloud.rows(Oobm)[0]
    cloud.set(row, readiness="NotReady", readiness_detail="the password is wrong", readiness_since=Moment(1.8e9))
    for shown in (cloud.one("listHosts", id=host["id"]), cloud.one("explainHostHA", id=host["id"])):
        assert shown["fencereadiness"] == "NotReady"
        device = shown["outofbandmanagement"]
        assert (device["readiness"], device["readinessdetail"]) == ("NotReady", "the password is wrong")
        assert device["readinesssince"].startswith("2027-01-15T")
    assert cloud.one("listHosts", id=host["id"])["hawarnings"] == ["the password is wrong"]


def test_a_host_that_is_ready_has_no_warning(cloud, host):
    """And a device that is switched off does not count."""
    row = cloud.rows(Oobm)[0]
    cloud.set(row, readiness="Ready")
    shown = cloud.one("listHosts", id=host["id"])
    assert (shown["fencereadiness"], shown["hawarnings"]) == ("Ready", [])
    cloud.set(row, enabled=False)
    assert "fencereadiness" not in cloud.one("listHosts", id=host["id"])


def test_a_drill_is_ordered_of_a_host_in_maintenance_only(cloud, host):
    """The job names the host, the level and the time to boot, and goes to the host's owner."""
    code, text = cloud.refused("runFenceDrill", hostid=host["id"])
    assert (code, "is Enabled, not in Maintenance" in text) == (431, True), text
    cloud.set(cloud.rows(Host)[0], resource_state=ResourceState.MAINTENANCE)
    for bad in ({"level": 0}, {"timeout": 0}, {"level": "x"}):
        assert cloud.refused("runFenceDrill", hostid=host["id"], **bad)[0] == 431

    assert "jobid" in cloud("runFenceDrill", hostid=host["id"], level=2, timeout=300)

    [job] = [job for job in cloud.rows(AsyncJob) if job.job_cmd == "runFenceDrill"]
    assert json.loads(job.job_cmd_info) == {"hostid": job.host_id, "level": 2, "timeout": 300}
    assert len(cloud.events("HOST.OOBM.FENCE.DRILL")) == 1


def test_a_drill_needs_fence_devices_that_may_be_used(cloud, host):
    """530, naming the switch, as for a power action."""
    cloud.set(cloud.rows(Oobm)[0], enabled=False)
    code, text = cloud.refused("runFenceDrill", hostid=host["id"])
    assert (code, "enableOutOfBandManagementForHost" in text) == (530, True), text


def test_what_came_of_a_drill_is_shown(cloud, host):
    """By queryAsyncJobResult, stage by stage."""
    cloud.set(cloud.rows(Host)[0], resource_state=ResourceState.MAINTENANCE)
    asked = cloud("runFenceDrill", hostid=host["id"])
    [job] = [job for job in cloud.rows(AsyncJob) if job.uuid == asked["jobid"]]
    stages = [{"level": 1, "stage": "OFF accepted", "seconds": 0.05}]
    result = {"object": "fencedrill", "hostid": job.host_id, "description": "OFF accepted 0.05 s", "stages": stages}
    cloud.set(job, job_status=1, job_result=json.dumps(result))

    shown = cloud("queryAsyncJobResult", jobid=asked["jobid"])["jobresult"]["fencedrill"]

    assert shown == {
        "hostid": host["id"], "hostname": host["name"], "description": "OFF accepted 0.05 s", "status": True,
        "stages": stages,
    }  # fmt: skip
