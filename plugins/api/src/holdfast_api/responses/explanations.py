"""Explanations: why a host is in its state, why a VM is where it is, and what they wait for."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.model import HaTransition, Host, Moment, Permit, Work

from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.responses.out_of_band import OOBM_FIELDS
from holdfast_api.rows import by_id
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call

_AT = Field("at", "float", "the same in seconds since 1970, to the millisecond")
_EVIDENCE = Field("evidence", "list", "what was seen: kind, subject, opinion, source, detail")


def document(text: str, empty: Any) -> Any:
    """A stored JSON document; `empty` if it cannot be read or is of another shape."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return empty
    return found if isinstance(found, type(empty)) else empty


def moment(at: Moment | None) -> float | None:
    """Seconds since 1970 to the millisecond: recovery is a matter of tenths, which the dates do not show."""
    return None if at is None else round(at, 3)


def proof(text: str) -> Answer | None:
    """A stored proof; its evidence, which is stored as a text of its own, as a list."""
    found = document(text, {})
    evidence = found.get("evidence")
    pieces = document(evidence, []) if isinstance(evidence, str) else []
    return (found | {"evidence": pieces} if pieces else found) or None


def story(rows: Sequence[HaTransition]) -> list[Answer]:
    """Transitions as a story, oldest first."""
    return [
        {
            "created": moment_text(row.created),
            "at": moment(row.created),
            "event": row.event,
            "prevhastate": row.prev_state,
            "hastate": row.state,
            "reason": row.reason or None,
            "evidence": document(row.evidence, []),
            "activitycounter": row.activity_counter,
            "recoverycounter": row.recovery_counter,
        }
        for row in rows
    ]


def permit_history(call: "Call", rows: Sequence[Permit]) -> list[Answer]:
    """Permits with the proofs that they rest on and were ended by, oldest first."""
    hosts = by_id(call.store, Host, (row.host_id for row in rows))
    return [
        {
            "runepoch": row.run_epoch,
            "hostid": hosts[row.host_id].uuid if row.host_id in hosts else None,
            "hostname": hosts[row.host_id].name if row.host_id in hosts else None,
            "state": str(row.state),
            "proofkind": row.proof_kind,
            "proof": proof(row.proof),
            "created": moment_text(row.created),
            "at": moment(row.created),
            "ended": moment_text(row.ended),
            "endedat": moment(row.ended),
            "endedby": proof(row.ended_by),
        }
        for row in rows
    ]


def work_item(row: Work) -> Answer:
    """A VM-HA work item, with the refusal of every host that was looked at."""
    return {
        "step": str(row.step),
        "reason": str(row.reason),
        "tried": row.tried,
        "investigations": row.investigations,
        "timetotry": moment_text(row.time_to_try),
        "created": moment_text(row.created),
        "at": moment(row.created),
        "finished": moment_text(row.finished),
        "finishedat": moment(row.finished),
        "proof": proof(row.proof),
        "explanation": document(row.explanation, {}) or None,
    }


HOST_HA_EXPLANATION = ResponseObject(
    name="hosthaexplanation",
    fields=(
        Field("hostid", "string", "the UUID of the host"),
        Field("hostname", "string", "name of the host"),
        Field("state", "string", "state of its agent"),
        Field("resourcestate", "string", "Enabled, Disabled, Maintenance …"),
        Field("haenable", "boolean", "whether host HA is enabled for the host"),
        Field("hastate", "string", "Available, Suspect, Fencing …"),
        Field("haprovider", "string", "name of the HA provider"),
        Field("reason", "string", "why it is in this state"),
        Field("waitingfor", "list", "what it waits for"),
        Field("switchedoff", "string", "the switch above the host that is off: a zone's or a cluster's"),
        Field(
            "story",
            "list",
            "its last transitions, oldest first",
            (
                Field("created", "date", "when"),
                _AT,
                Field("event", "string", "what moved it"),
                Field("prevhastate", "string", "state before"),
                Field("hastate", "string", "state after"),
                Field("reason", "string", "why"),
                _EVIDENCE,
                Field("activitycounter", "long", "activity checks done at that moment"),
                Field("recoverycounter", "long", "recovery attempts made at that moment"),
            ),
        ),
        Field("outofbandmanagement", "responseobject", "its out-of-band management", OOBM_FIELDS),
        Field("fencedevices", "list", "all of its fence devices, by level and index", OOBM_FIELDS),
        Field("fencereadiness", "string", "Ready, Warning or NotReady: whether it could be fenced now"),
        Field(
            "heartbeats",
            "list",
            "storage pools whose heartbeats speak of it",
            (
                Field("storageid", "string", "the UUID of the storage pool"),
                Field("storagename", "string", "name of the storage pool"),
                Field("heartbeat", "string", "driver of the heartbeat"),
            ),
        ),
        Field(
            "virtualmachines",
            "list",
            "VMs that are, or may be, on it",
            (
                Field("id", "string", "the UUID of the VM"),
                Field("name", "string", "name of the VM"),
                Field("state", "string", "state of the VM"),
                Field("haenable", "boolean", "whether HA restarts it"),
            ),
        ),
        Field("hawarnings", "list", "why HA would not do its work here"),
        Field("live", "map", "what the management server that answers sees at this moment, if it looks after the host"),
    ),
    build=as_given,
)

VM_HA_EXPLANATION = ResponseObject(
    name="virtualmachinehaexplanation",
    fields=(
        Field("id", "string", "the UUID of the VM"),
        Field("name", "string", "name of the VM"),
        Field("state", "string", "state of the VM"),
        Field("reason", "string", "why it is in this state"),
        Field("haenable", "boolean", "whether HA restarts it"),
        Field("haverdict", "string", "what HA would do, or does, with it"),
        Field("hostid", "string", "the UUID of the host where it runs, or may run"),
        Field("hostname", "string", "name of that host"),
        Field("runepoch", "integer", "number of its newest run"),
        Field(
            "permits",
            "list",
            "its runs, oldest first: each was permitted by a proof that the one before could not write any more",
            (
                Field("runepoch", "integer", "number of the run"),
                Field("hostid", "string", "the UUID of the host"),
                Field("hostname", "string", "name of the host"),
                Field("state", "string", "issued, running or ended"),
                Field("proofkind", "string", "kind of the proof"),
                Field("proof", "map", "the proof, with its evidence"),
                Field("created", "date", "when it was issued"),
                _AT,
                Field("ended", "date", "when it ended"),
                Field("endedat", "float", "the same in seconds since 1970, to the millisecond"),
                Field("endedby", "map", "the proof that ended it"),
            ),
        ),
        Field(
            "work",
            "list",
            "its restarts, newest first",
            (
                Field("step", "string", "Investigating, Scheduled, Restarting, Done …"),
                Field("reason", "string", "why there is one"),
                Field("tried", "integer", "starts that failed"),
                Field("investigations", "integer", "waits for evidence"),
                Field("timetotry", "date", "when it is tried again"),
                Field("created", "date", "when it was ordered"),
                _AT,
                Field("finished", "date", "when it ended"),
                Field("finishedat", "float", "the same in seconds since 1970, to the millisecond"),
                Field("proof", "map", "the proof that the VM's last run is over"),
                Field("explanation", "map", "the host chosen, and why each other was refused"),
            ),
        ),
        Field("hawarnings", "list", "why HA would not restart it"),
        Field("live", "map", "what the management server that answers sees at this moment"),
    ),
    build=as_given,
)
