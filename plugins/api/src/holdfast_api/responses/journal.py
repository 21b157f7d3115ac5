"""Events and alerts."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.hooks.store import Query
from holdfast.model import Account, Alert, Cluster, Event, Pod, Row, User, Zone

from holdfast_api.domains import ROOT_NAME, ROOT_UUID
from holdfast_api.fields import Answer, Field, ResponseObject, as_given
from holdfast_api.times import moment_text

if TYPE_CHECKING:
    from holdfast_api.call import Call


def _by_id(call: "Call", record: type[Row], ids: Sequence[int | None]) -> dict[int | None, Any]:
    wanted = tuple({number for number in ids if number})
    return {row.id: row for row in call.store.select(record, Query(among={"id": wanted}))} if wanted else {}


def _build_events(call: "Call", events: Sequence[Event]) -> list[Answer]:
    users = _by_id(call, User, [event.user_id for event in events])
    accounts = _by_id(call, Account, [event.account_id for event in events])
    parents = _by_id(call, Event, [event.start_id for event in events])
    return [_event(event, users, accounts, parents) for event in events]


def _event(event: Event, users: dict[Any, Any], accounts: dict[Any, Any], parents: dict[Any, Any]) -> Answer:
    user, account, parent = users.get(event.user_id), accounts.get(event.account_id), parents.get(event.start_id)
    return {
        "id": event.uuid,
        "type": event.type,
        "level": event.level,
        "state": event.state,
        "description": event.description,
        "username": user.username if user else "system",
        "account": account.account_name if account else "system",
        "domain": ROOT_NAME,
        "domainid": ROOT_UUID,
        "created": moment_text(event.created),
        "resourceid": event.resource_id or None,
        "resourcetype": event.resource_type or None,
        "parentid": parent.uuid if parent else None,
        "archived": event.archived,
        "evidence": _evidence(event.evidence) or None,
    }


def _evidence(text: str) -> list[Any]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return [{"detail": text}]
    items = found if isinstance(found, list) else [found]
    return [item if isinstance(item, dict) else {"detail": str(item)} for item in items]


EVENT = ResponseObject(
    name="event",
    fields=(
        Field("id", "string", "the UUID of the event"),
        Field("type", "string", "type of the event"),
        Field("level", "string", "INFO, WARN or ERROR"),
        Field("state", "string", "Scheduled, Started or Completed"),
        Field("description", "string", "what happened"),
        Field("username", "string", "who asked for it; system if nobody did"),
        Field("account", "string", "account of that user"),
        Field("domain", "string", "domain of that user"),
        Field("domainid", "string", "the UUID of that domain"),
        Field("created", "date", "when it happened"),
        Field("resourceid", "string", "the UUID of what it happened to"),
        Field("resourcetype", "string", "kind of what it happened to"),
        Field("parentid", "string", "the event that began what this one goes on with"),
        Field("archived", "boolean", "whether it was archived"),
        Field("evidence", "map", "the observations that led to it", since="0.1"),
    ),
    build=_build_events,
    record=Event,
)

EVENT_TYPE = ResponseObject(name="eventtype", fields=(Field("name", "string", "name of the type"),), build=as_given)


def _build_alerts(call: "Call", alerts: Sequence[Alert]) -> list[Answer]:
    zones = _by_id(call, Zone, [alert.data_center_id for alert in alerts])
    pods = _by_id(call, Pod, [alert.pod_id for alert in alerts])
    clusters = _by_id(call, Cluster, [alert.cluster_id for alert in alerts])
    return [
        {
            "id": alert.uuid,
            "type": alert.type,
            "name": alert.name,
            "description": alert.subject,
            "content": alert.content or None,
            "sent": moment_text(alert.last_sent or alert.created),
            "created": moment_text(alert.created),
            "sentcount": alert.sent_count,
            "resolved": moment_text(alert.resolved),
            "archived": alert.archived,
            "resourceid": alert.resource_id or None,
            "zoneid": _uuid(zones.get(alert.data_center_id)),
            "podid": _uuid(pods.get(alert.pod_id)),
            "clusterid": _uuid(clusters.get(alert.cluster_id)),
        }
        for alert in alerts
    ]


def _uuid(row: Any) -> str | None:
    return row.uuid if row is not None else None


ALERT = ResponseObject(
    name="alert",
    fields=(
        Field("id", "string", "the UUID of the alert"),
        Field("type", "short", "number of its type"),
        Field("name", "string", "name of its type"),
        Field("description", "string", "what to look at"),
        Field("content", "string", "more about it", since="0.1"),
        Field("sent", "date", "when it was last raised"),
        Field("created", "date", "when it was first raised", since="0.1"),
        Field("sentcount", "integer", "how often it was raised", since="0.1"),
        Field("resolved", "date", "when its cause went away", since="0.1"),
        Field("archived", "boolean", "whether it was archived", since="0.1"),
        Field("resourceid", "string", "the UUID of what it is about", since="0.1"),
        Field("zoneid", "string", "the UUID of the zone", since="0.1"),
        Field("podid", "string", "the UUID of the pod", since="0.1"),
        Field("clusterid", "string", "the UUID of the cluster", since="0.1"),
    ),
    build=_build_alerts,
    record=Alert,
)
