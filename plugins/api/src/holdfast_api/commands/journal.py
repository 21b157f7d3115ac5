"""Events and alerts: what happened, and what an operator should look at."""

from typing import Any

from holdfast.errors import InvalidRequest
from holdfast.hooks.store import Change, Delete, Query, Update
from holdfast.model import Alert, Event
from holdfast.model.alerts import ALERT_TYPES

from holdfast_api.call import Call, Listing, Success
from holdfast_api.event_types import EVENT_TYPES
from holdfast_api.paging import given, select_page
from holdfast_api.registry import Parameter, command
from holdfast_api.times import just_after, just_before

_BATCH = 500
_LEVELS = ("INFO", "WARN", "ERROR")
_DATES = (
    Parameter("startdate", "date", "from this time on"),
    Parameter("enddate", "date", "until this time; a date alone means its beginning"),
)


@command(
    "listEvents",
    "Lists events, newest first. Plain users see those of their account.",
    kind="list",
    responds="event",
    access="user",
    parameters=(
        Parameter("id", "uuid", "the UUID of an event", of="event"),
        Parameter("type", "string", "events of this type"),
        Parameter("level", "string", "events of this level", choices=_LEVELS, words=_LEVELS),
        Parameter("state", "string", "events of this state"),
        Parameter("resourceid", "string", "the UUID of what they happened to", length=64),
        Parameter("resourcetype", "string", "kind of what they happened to"),
        Parameter("archived", "boolean", "true: archived ones too; false, the default: only others"),
        Parameter("startid", "uuid", "the event that began a course of events", of="event"),
        *_DATES,
    ),
)
def list_events(call: Call) -> Listing:
    """`keyword` is looked for in types and descriptions."""
    fields = {"id": "id", "type": "type", "level": "level", "state": "state", "start_id": "startid"}
    equal = given(call, **fields, resource_id="resourceid", resource_type="resourcetype")
    if not call.flag("archived"):
        equal["archived"] = False
    if not call.caller.is_admin:
        equal["account_id"] = call.caller.account.id
    above, below = _between(call)
    search = ("type", "description")
    return select_page(call, Event, equal=equal, above=above, below=below, search=search, order=("-created", "-id"))


@command("listEventTypes", "Lists the types of events.", kind="list", responds="eventtype", access="user", paged=False)
def list_event_types(_call: Call) -> Listing:
    """By name."""
    return Listing.of([{"name": name} for name in sorted(EVENT_TYPES)])


@command(
    "archiveEvents",
    "Archives events: those given by ids, or by type and time.",
    kind="sync",
    responds="success",
    parameters=(
        Parameter("ids", "list", "UUIDs of events", of="event", length=0),
        Parameter("type", "string", "events of this type"),
        *_DATES,
    ),
)
def archive_events(call: Call) -> Success:
    """Archived events are kept, and listed only when asked for."""
    return _each(call, Event, lambda row: Update(Event, row.id, {"archived": True}))


@command(
    "listAlerts",
    "Lists alerts that were not archived, newest first.",
    kind="list",
    responds="alert",
    parameters=(
        Parameter("id", "uuid", "the UUID of an alert", of="alert"),
        Parameter("type", "short", "number of a type"),
        Parameter("name", "string", "name of a type"),
        Parameter("resourceid", "string", "the UUID of what they are about", length=64, since="0.1"),
    ),
)
def list_alerts(call: Call) -> Listing:
    """`keyword` is looked for in what the alert says."""
    equal = {"archived": False, **given(call, id="id", type="type", name="name", resource_id="resourceid")}
    return select_page(call, Alert, equal=equal, search=("subject", "name"), order=("-last_sent", "-id"))


_WHICH_ALERTS = (
    Parameter("ids", "list", "UUIDs of alerts", of="alert", length=0),
    Parameter("type", "string", "alerts of this type: its number or its name"),
    *_DATES,
)


@command(
    "archiveAlerts",
    "Archives alerts: those given by ids, or by type and time.",
    kind="sync",
    responds="success",
    parameters=_WHICH_ALERTS,
)
def archive_alerts(call: Call) -> Success:
    """Archived alerts are kept in the table `alert`, and listed no more."""
    return _each(call, Alert, lambda row: Update(Alert, row.id, {"archived": True}))


@command(
    "deleteAlerts",
    "Deletes alerts: those given by ids, or by type and time.",
    kind="sync",
    responds="success",
    parameters=_WHICH_ALERTS,
)
def delete_alerts(call: Call) -> Success:
    """They are gone for good."""
    return _each(call, Alert, lambda row: Delete(Alert, row.id))


def _between(call: Call, field: str = "created") -> tuple[dict[str, Any], dict[str, Any]]:
    """Bounds for a query; both ends count, and the store's bounds are exclusive."""
    start, end = call.moment("startdate"), call.moment("enddate")
    if start is not None and end is not None and end < start:
        raise InvalidRequest("parameter enddate: it lies before startdate")
    above = {} if start is None else {field: just_before(start)}
    return above, {} if end is None else {field: just_after(end)}


def _each(call: Call, record: type[Event] | type[Alert], change: Any) -> Success:
    """Apply `change` to every row that the parameters name, some hundreds at a time."""
    if not any(call.has(name) for name in ("ids", "type", "startdate", "enddate")):
        raise InvalidRequest("give ids, or type, startdate or enddate: without any of them all would be meant")
    equal: dict[str, Any] = _type(call, record)
    above, below = _between(call)
    picked = {"id": tuple(row.id for row in call.rows("ids", record))} if call.has("ids") else {}
    newest = 0
    while True:
        bounds = {**above, "id": newest}
        query = Query(equal=equal, among=picked, above=bounds, below=below, order=("id",), limit=_BATCH)
        rows: list[Any] = call.store.select(record, query)
        if not rows:
            return Success()
        changes: list[Change] = [change(row) for row in rows]
        call.store.commit(changes)
        newest = rows[-1].id


def _type(call: Call, record: type[Event] | type[Alert]) -> dict[str, Any]:
    if not call.has("type"):
        return {}
    text = call.text("type")
    if record is Event:
        return {"type": text}
    if text.isdecimal() and len(text) < 6:
        return {"type": int(text)}
    if text not in ALERT_TYPES:
        raise InvalidRequest(
            f"parameter type: there is no alert type {text[:60]!r}; there are {', '.join(ALERT_TYPES)}"
        )
    return {"type": ALERT_TYPES[text]}
