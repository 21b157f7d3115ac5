"""The demo believes neither the API nor itself: it succeeds only if every VM truly runs once, elsewhere."""

from typing import Any

import pytest
from holdfast.__main__ import main
from holdfast.model import Secret
from holdfast_cli.client import Client, Keys
from holdfast_cli.demo_cloud import Cloud, DemoFailed
from holdfast_cli.demo_recovery import Sightings, recovery_seconds, refuse_doubles, stages, verify
from holdfast_cli.simulated_truth import TrueRun

_CLOUD = Cloud(zone="z", hosts={"h1": "u1", "h2": "u2"}, vms={"vm1": "v1"})


def _vm(api: Any, **changed: Any) -> Client:
    api.says("listVirtualMachines", {"virtualmachine": [
        {"id": "v1", "name": "vm1", "state": "Running", "hostid": "u2", "hostname": "h2", **changed}
    ]})  # fmt: skip
    return Client(api.endpoint, Keys("k", Secret("s")))


def test_a_vm_that_runs_once_elsewhere_is_well(api: Any) -> None:
    """By the API and by the world."""
    verify(_vm(api), _CLOUD, {"v1": [TrueRun("v1", "h2", 2, True)]})


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({"state": "Starting"}, [TrueRun("v1", "h2", 2, True)]),
        ({"hostid": "u1", "hostname": "h1"}, [TrueRun("v1", "h1", 1, True)]),
        ({}, []),
        ({}, [TrueRun("v1", "h1", 1, True)]),
        ({}, [TrueRun("v1", "h2", 2, False)]),
        ({}, [TrueRun("v1", "h2", 2, True), TrueRun("v1", "h1", 1, True)]),
    ],
    ids=["not running", "not elsewhere", "runs nowhere", "API is wrong", "on a host that is down", "runs twice"],
)
def test_anything_else_fails_the_demo(api: Any, changed: dict[str, str], runs: list[TrueRun]) -> None:
    """However convincing the rest looks."""
    with pytest.raises(DemoFailed):
        verify(_vm(api, **changed), _CLOUD, {"v1": runs})


def test_a_double_run_is_told_with_its_places() -> None:
    """The catastrophe that must never be."""
    with pytest.raises(DemoFailed, match=r"more than once: on h1 \(run 1\), h2 \(run 2\)"):
        refuse_doubles({"v1": [TrueRun("v1", "h1", 1, True), TrueRun("v1", "h2", 2, True)]})


def test_stages_come_from_stored_moments_in_their_order() -> None:
    """What was before the beginning does not count; of several suspicions the first does."""
    seen = Sightings(100.0, chassis_off=101.5, running={"vm1": 106.4}, hosts={"vm1": "h2"})
    story = [
        {"at": 90.0, "hastate": "Suspect"},
        {"at": 103.0, "hastate": "Suspect"},
        {"at": 103.5, "hastate": "Suspect"},
        {"at": 104.0, "hastate": "Fencing"},
        {"at": 105.0, "hastate": "Fenced"},
    ]

    found = stages(seen, {"story": story}, [{"permits": [{"at": 50.0}, {"at": 105.1}]}])

    assert [(stage.name.split(" (")[0], round(stage.seconds, 1)) for stage in found] == [
        ("chassis off", 1.5),
        ("silence seen", 3.0),
        ("confirmed off", 4.0),
        ("fenced with proof", 5.0),
        ("restarts permitted", 5.1),
        ("vm1 runs on h2", 6.4),
    ]
    assert recovery_seconds(seen) == pytest.approx(6.4)


def test_too_few_hosts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The VMs would have nowhere to go."""
    assert main(["demo", "--host-count", "1"]) == 2
    assert "allowed is 2 to 64" in capsys.readouterr().err


def test_a_directory_to_keep_must_be_new(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    """Nothing of somebody else's is overwritten."""
    assert main(["demo", "--keep", str(tmp_path)]) == 2
    assert "name a new directory" in capsys.readouterr().err
