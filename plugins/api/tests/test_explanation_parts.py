"""The parts of explanations say when to the millisecond, and on what evidence."""

import pytest
from holdfast.model import HaTransition, Json, Moment, Work, WorkReason
from holdfast_api.responses.explanations import proof, story, work_item


def test_a_story_tells_moments_to_the_millisecond() -> None:
    """Beside the date that clients of CloudStack read."""
    row = HaTransition(host_id=1, event="Fenced", state="Fenced", prev_state="Fencing", created=Moment(1.23456))

    [told] = story([row])

    assert told["at"] == 1.235
    assert told["created"] == "1970-01-01T00:00:01+0000"


def test_a_restart_that_goes_on_has_no_end() -> None:
    """Only what has ended has a moment for it."""
    told = work_item(Work(instance_id=1, reason=WorkReason.HOST_FENCED, host_id=1, created=Moment(5.0)))

    assert told["at"] == 5.0
    assert told["finishedat"] is None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"kind": "chassis-off", "evidence": "[{\\"kind\\": \\"chassis-power\\"}]"}', [{"kind": "chassis-power"}]),
        ('{"kind": "chassis-off", "evidence": [{"kind": "chassis-power"}]}', [{"kind": "chassis-power"}]),
    ],
)
def test_a_proof_shows_its_evidence_as_a_list(stored: str, shown: object) -> None:
    """However it was stored."""
    told = proof(stored)

    assert told is not None
    assert told["evidence"] == shown


def test_a_hosts_own_word_stays_a_text() -> None:
    """Evidence that is a sentence is shown as it is."""
    told = proof(Json('{"kind": "agent-report", "evidence": "stopped by order"}'))

    assert told == {"kind": "agent-report", "evidence": "stopped by order"}
