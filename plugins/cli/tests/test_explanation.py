"""Explanations are told as a story: state, why, what is waited for, evidence with its age, and the seconds between."""

from typing import Any

import pytest
from holdfast.__main__ import main
from holdfast_cli.explanation import host_story, vm_story

_OFF = {"kind": "chassis-power", "opinion": "dead", "detail": "chassis power is Off", "source": "ipmi 10.0.0.9"}
_HOST: dict[str, Any] = {
    "hostname": "ablecube31",
    "hastate": "Fenced",
    "state": "Down",
    "resourcestate": "Maintenance",
    "haprovider": "kvmhaprovider",
    "reason": "proof of death: chassis-off",
    "waitingfor": ["an older sentence"],
    "story": [
        {"at": 100.0, "event": "HealthCheckFailed", "prevhastate": "Available", "hastate": "Suspect"},
        {"at": 100.2, "event": "PerformActivityCheck", "prevhastate": "Suspect", "hastate": "Checking"},
        {"at": 100.3, "event": "TooFewActivityCheckSamples", "prevhastate": "Checking", "hastate": "Suspect"},
        {"at": 100.5, "event": "PerformActivityCheck", "prevhastate": "Suspect", "hastate": "Checking"},
        {"at": 100.6, "event": "TooFewActivityCheckSamples", "prevhastate": "Checking", "hastate": "Suspect"},
        {
            "at": 102.1, "event": "Fenced", "prevhastate": "Fencing", "hastate": "Fenced", "reason": "proof",
            "evidence": [_OFF, _OFF, _OFF],
        },
    ],
    "live": {
        "waitingfor": ["its agent to answer"], "owner": "ms1", "leaseleft": 4.2, "lastbeat": 5.0,
        "evidence": [{**_OFF, "age": 1.5}],
    },
}  # fmt: skip


def test_a_host_says_what_it_waits_for_now() -> None:
    """What the live server says counts for more than what was stored."""
    told = host_story(_HOST)

    assert "Host ablecube31: HA state Fenced (agent Down, Maintenance), provider kvmhaprovider" in told
    assert "waits for  its agent to answer" in told
    assert "an older sentence" not in told
    assert "ms1, its lease has 4.2 s left; last beat 5 s ago" in told
    assert "dead by chassis-power: chassis power is Off [ipmi 10.0.0.9], 1.5 s ago" in told


def test_a_timeline_counts_the_seconds_between_and_the_looks() -> None:
    """Looks at the storage are told once for all; equal readings are counted."""
    lines = host_story(_HOST).splitlines()

    [looks] = [line for line in lines if "Suspect ⇄ Checking" in line]
    assert "2 times" in looks
    assert "+0.6 s" in looks
    [fenced] = [line for line in lines if "Fencing → Fenced" in line]
    assert "+1.5 s" in fenced
    assert "00:01:42.100" in fenced
    assert any(line.endswith("(3 readings)") for line in lines)


def test_a_host_without_a_live_server_is_told_from_what_is_stored() -> None:
    """Also when it was never watched."""
    told = host_story({"hostname": "h", "hastate": "Disabled", "reason": "host HA was never configured for it"})

    assert "HA state Disabled" in told
    assert "why        host HA was never configured for it" in told


def test_a_vm_tells_its_runs_with_their_proofs() -> None:
    """Each run rests on the end of the one before; the restart names the host chosen and those refused."""
    told = vm_story(
        {
            "name": "vm1", "state": "Running", "hostname": "ablecube33", "runepoch": 2, "haenable": True,
            "permits": [
                {
                    "runepoch": 1, "hostname": "ablecube31", "state": "ended", "proofkind": "never-ran", "at": 1.0,
                    "endedat": 9.0, "endedby": {"kind": "chassis-off", "evidence": [_OFF]},
                },
                {
                    "runepoch": 2, "hostname": "ablecube33", "state": "running", "proofkind": "chassis-off", "at": 9.5,
                    "proof": {"kind": "chassis-off", "evidence": [_OFF]},
                },
            ],
            "work": [
                {
                    "step": "Done", "reason": "HostFenced", "tried": 0, "investigations": 1, "at": 9.1,
                    "explanation": {
                        "chosen": {"name": "ablecube33"}, "score": {"spread": 0.9},
                        "looked_at": [{"refused": {"lacks memory": ["ablecube32"]}}],
                    },
                }
            ],
        }
    )  # fmt: skip

    assert "VM vm1: Running on ablecube33, run 2, HA on" in told
    assert "permitted at 00:00:01.000: it had never run" in told
    assert "ended at 00:00:09.000: chassis-off: dead by chassis-power" in told
    assert "chose ablecube33 (scores: spread 0.9)" in told
    assert 'refused: ["ablecube32"] lacks memory' in told
    assert "waits 1" in told


def test_a_name_is_explained(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Found among hosts and VMs."""
    environment.says("listHosts", {})
    environment.says("listVirtualMachines", {"count": 1, "virtualmachine": [{"id": "v", "name": "vm1"}]})
    environment.says("explainVirtualMachineHA", {"virtualmachinehaexplanation": {"name": "vm1", "state": "Stopped"}})

    assert main(["explain", "vm1"]) == 0
    assert capsys.readouterr().out.startswith("VM vm1: Stopped")
    assert environment.asked[-1]["id"] == "v"


def test_a_uuid_that_names_a_host_is_explained(environment: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The API's refusal of it as a VM is no error."""
    uuid = "0b8f2f0a-6a2e-4ed1-9d5a-0d3a2f7f9a11"
    environment.says("listHosts", {"count": 1, "host": [{"id": uuid}]})
    environment.says("listVirtualMachines", {"errorcode": 431, "errortext": "no such VM"}, status=431)
    environment.says("explainHostHA", {"hosthaexplanation": _HOST})

    assert main(["explain", uuid]) == 0
    assert capsys.readouterr().out.startswith("Host ablecube31")


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [({}, "there is no host or VM 'x'"), ({"host": [{"id": "a"}, {"id": "b"}]}, "names several: host a, host b")],
)
def test_an_undecided_name_is_told(
    environment: Any, capsys: pytest.CaptureFixture[str], hosts: dict[str, Any], complaint: str
) -> None:
    """With status 1."""
    environment.says("listHosts", hosts)
    environment.says("listVirtualMachines", {})

    assert main(["explain", "x"]) == 1
    assert complaint in capsys.readouterr().err


def test_a_vm_that_waits_tells_its_place_and_its_attempts() -> None:
    """What the management server sees now, in words."""
    restart = {
        "place": 2, "of": 9, "failedstarts": 1, "mostfailedstarts": 5, "waits": 3, "planner": "ms1", "starter": "",
    }  # fmt: skip
    text = vm_story({"name": "a", "state": "Stopped", "live": {"waitingfor": ["room"], "restart": restart}})
    assert "  waits for  room\n" in text
    assert (
        "place 2 of 9 in the order of restarts; failed starts 1 of 5, waits for a host 3; planned by server ms1" in text
    )
