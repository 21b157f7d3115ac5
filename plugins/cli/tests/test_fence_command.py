"""`holdfast fence` shows what would fail when a host has to be fenced, and drills it."""

import json
from typing import Any

import pytest
from holdfast.__main__ import main
from holdfast_cli.explanation import host_story

READY = {"driver": "ipmi", "address": "10.0.0.9", "enabled": True, "powerstate": "On", "readiness": "Ready"}
BROKEN = {
    "driver": "redfish", "address": "10.0.0.8", "enabled": True, "powerstate": "Unknown", "readiness": "NotReady",
    "readinessdetail": "AuthenticationFailed: the password is wrong", "level": 2, "index": 0,
}  # fmt: skip
UUID = "11111111-2222-4333-8444-555555555555"


def _hosts(environment: Any, *hosts: dict[str, Any]) -> None:
    environment.says("listHosts", {"count": len(hosts), "host": list(hosts)})


def test_every_path_is_listed_by_host(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With several devices each has a line; status 1 says that some fence would fail."""
    _hosts(
        environment,
        {"name": "node2", "outofbandmanagement": {"enabled": False, "powerstate": "Disabled"}},
        {"name": "node1", "outofbandmanagement": READY, "fencedevices": [READY, BROKEN]},
        {"name": "node3", "outofbandmanagement": {**READY, "readiness": None}},
        {"name": "node4", "outofbandmanagement": {**READY, "enabled": False}},
    )

    assert main(["fence", "list"]) == 1
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["HOST", "PATH", "DEVICE", "POWER", "READINESS", "DETAIL"]
    assert [line.split()[:2] for line in lines] == [
        ["node1", "1.0"], ["node1", "2.0"], ["node2", "1.0"], ["node3", "1.0"], ["node4", "1.0"],
    ]  # fmt: skip
    assert lines[0].split()[2:] == ["ipmi", "10.0.0.9", "On", "Ready"]
    assert lines[1].endswith(BROKEN["readinessdetail"])
    assert "not configured" in lines[2]
    assert "disabled" in lines[4]


def test_when_all_are_well_the_status_says_so(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """For a cron job: a warning is no failure yet."""
    _hosts(environment, {"name": "node1", "outofbandmanagement": {**READY, "readiness": "Warning"}})

    assert main(["fence", "list", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["host"], row["readiness"]) == ("node1", "Warning")


def test_only_those_that_are_not_ready(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What an operator has to do today."""
    _hosts(environment, {"name": "node1", "outofbandmanagement": READY, "fencedevices": [READY, BROKEN]})

    assert main(["fence", "list", "--not-ready"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_drill_tells_its_stages(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds since OFF was sent, and since the stage before; each level begins anew."""
    _hosts(environment, {"name": "node1", "id": UUID})
    environment.says("runFenceDrill", {"jobid": "j"})
    stages = [
        {"level": 1, "stage": "OFF accepted", "seconds": 0.05},
        {"level": 1, "stage": "agent back", "seconds": 30.0},
        {"level": 2, "stage": "OFF accepted", "seconds": 0.2},
    ]
    environment.says("queryAsyncJobResult", {"jobstatus": 1, "jobresult": {"fencedrill": {"stages": stages}}})

    assert main(["fence", "drill", "node1", "--timeout", "60"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[-2:] for line in told.splitlines()[1:4]] == [
        ["0.05", "+0.05"], ["30.00", "+29.95"], ["0.20", "+0.20"],
    ]  # fmt: skip
    assert "passed" in told
    assert "cancelHostMaintenance" in told
    [asked] = [one for one in environment.asked if one["command"] == "runFenceDrill"]
    assert (asked["hostid"], asked["timeout"], "level" in asked) == (UUID, "60", False)


def test_a_drill_that_fails_says_why(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and status 1."""
    _hosts(environment, {"name": "node1", "id": UUID})
    environment.says("runFenceDrill", {"jobid": "j"})
    failed = {"errorcode": 530, "errortext": "fence drill of host node1 failed: OFF was not accepted"}
    environment.says("queryAsyncJobResult", {"jobstatus": 2, "jobresultcode": 530, "jobresult": failed})

    assert main(["fence", "drill", "node1", "--level", "2"]) == 1
    captured = capsys.readouterr()
    assert "OFF was not accepted" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(("hosts", "words"), [((), "there is no host 'node1'"), (("a", "b"), "several hosts: a, b")])
def test_a_host_has_to_be_one(
    environment: Any, capsys: pytest.CaptureFixture[str], hosts: tuple[str, ...], words: str
) -> None:
    """Nothing is drilled on a guess."""
    _hosts(environment, *({"name": "node1", "id": uuid} for uuid in hosts))

    assert main(["fence", "drill", "node1"]) == 1
    assert words in capsys.readouterr().err
    assert [one["command"] for one in environment.asked] == ["listHosts"]


def test_an_explanation_tells_the_fence_paths() -> None:
    """One word and when it was looked at; each path that is not well, with its level where there are several."""
    told = {"hostname": "node1", "hastate": "Available", "fencereadiness": "Warning", "outofbandmanagement": READY}
    several = {**told, "fencedevices": [READY, BROKEN], "live": {"fencepaths": [{"age": 4.0}, {"age": 31.0}]}}

    assert "fence path Warning, looked at 31 s ago" in host_story(several)
    assert "level 2: NotReady: AuthenticationFailed: the password is wrong" in host_story(several)
    assert "fence path Warning\n" in host_story(told)
    assert "fence path" not in host_story({**told, "fencereadiness": None})


def test_hosts_are_not_counted_by_pages(environment: Any) -> None:
    """A host that was left out would pass for one that can be fenced."""
    _hosts(environment, {"name": "node1", "outofbandmanagement": READY})
    assert main(["fence", "list", "--not-ready"]) == 0
    assert (environment.asked[0]["page"], environment.asked[0]["pagesize"]) == ("-1", "-1")
