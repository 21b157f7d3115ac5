"""Host HA of hosts, its providers, and the transitions that the simulator's provider records."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.model import HaConfig, HAState, HaTransition, Host

from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.rows import among

if TYPE_CHECKING:
    from holdfast_api.call import Call

logger = logging.getLogger(__name__)

_IN_DOUBT = frozenset(HAState) - {HAState.AVAILABLE, HAState.INELIGIBLE, HAState.DISABLED}

HOST_HA_FIELDS = (
    Field("hostid", "string", "the UUID of the host"),
    Field("haenable", "boolean", "whether host HA is enabled for the host"),
    Field("hastate", "string", "Available, Suspect, Fencing …"),
    Field("haprovider", "string", "name of the HA provider, lower case"),
    Field("status", "boolean", "whether it was done"),
    Field("reason", "string", "why it is in this state", since="0.1"),
    Field("waitingfor", "list", "what it waits for; as of its last step where another server watches it", since="0.1"),
)


def ha_answer(row: HaConfig | None, host_uuid: str = "") -> Answer:
    """What is shown of a host's HA; a host without any shows as Disabled."""
    if row is None:
        return {"hostid": host_uuid or None, "haenable": False, "hastate": HAState.DISABLED.value}
    waiting = texts(row.waiting_for)
    return {
        "hostid": host_uuid or None,
        "haenable": row.enabled,
        "hastate": str(row.ha_state or HAState.DISABLED),
        "haprovider": row.provider or None,
        "reason": row.reason or None,
        "waitingfor": waiting or None,
    }


def ha_now(call: "Call", row: HaConfig | None, host: Host, host_uuid: str = "") -> Answer:
    """`ha_answer`, with what a host in doubt waits for at this moment, if a manager of this process watches it."""
    return ha_beside(row, live_part(call, "manager.explain_host", host.uuid) if _in_doubt(row) else None, host_uuid)


def ha_beside(row: HaConfig | None, live: Answer | None, host_uuid: str = "") -> Answer:
    """The same beside the live part of an explanation.

    What is stored was true when the host last took a step: its seconds have gone by since.
    """
    shown = ha_answer(row, host_uuid)
    if live is None or "state" not in live or not _in_doubt(row):
        return shown
    return shown | {"waitingfor": live["waitingfor"] or None}


def _in_doubt(row: HaConfig | None) -> bool:
    return row is not None and row.ha_state in _IN_DOUBT


def live_part(call: "Call", name: str, uuid: str) -> Answer | None:
    """What a manager of this process says of a host or VM; None if it has nothing to say."""
    explain = call.context.live.get(name)
    if explain is None:
        return None
    try:
        found = explain(uuid)
    except Exception:
        # What is stored explains much already; a manager that stumbles must not hide it.
        logger.warning("%s cannot explain %s", name, uuid, exc_info=True)
        return None
    return found if isinstance(found, dict) and found else None


def ha_by_host(call: "Call", hosts: Iterable[int]) -> dict[int, HaConfig]:
    """Host id → its row, for hosts that have one."""
    return {
        row.resource_id: row for row in among(call.store, HaConfig, "resource_id", hosts) if row.resource_type == "Host"
    }


def texts(document: str) -> list[str]:
    """The entries of a stored list, as text; a document that cannot be read shows as none."""
    try:
        found = json.loads(document or "[]")
    except ValueError:
        return []
    return [str(item) for item in found] if isinstance(found, list) else []


def _from_job(call: "Call", result: Mapping[str, Any]) -> Answer:
    host_id = int(result["hostid"])
    host = call.store.get(Host, host_id)
    row = ha_by_host(call, [host_id]).get(host_id)
    shown = ha_now(call, row, host, host.uuid) if host else ha_answer(row)
    return shown | ({"status": result["status"]} if "status" in result else {})


HOST_HA = ResponseObject(name="hostha", fields=HOST_HA_FIELDS, build=as_given, from_job=_from_job)

HA_PROVIDER = ResponseObject(
    name="haprovider",
    fields=(Field("haprovider", "string", "name of the HA provider, as CloudStack spells it"),),
    build=as_given,
)


def _transitions(_call: "Call", rows: Sequence[HaTransition]) -> list[Answer]:
    return [
        {
            "event": row.event.lower(),
            "hastate": row.state.lower(),
            "prevhastate": row.prev_state.lower(),
            "activitycounter": row.activity_counter,
            "recoverycounter": row.recovery_counter,
        }
        for row in rows
    ]


HA_STATE_TRANSITION = ResponseObject(
    name="hastatetransition",
    fields=(
        Field("event", "string", "what moved it, lower case"),
        Field("hastate", "string", "state after it, lower case"),
        Field("prevhastate", "string", "state before it, lower case"),
        Field("activitycounter", "long", "activity checks done at that moment"),
        Field("recoverycounter", "long", "recovery attempts made at that moment"),
    ),
    build=_transitions,
)
