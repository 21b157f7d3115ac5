"""Writes to the cloud's inventory: checked, planned and written as if nobody else were writing.

Names are unique among rows that are not removed, and nothing is added to a part of the cloud that goes away: no key of
a table says so. Every change of the inventory therefore raises one number, and is planned afresh if somebody else was
first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.errors import Conflict, InvalidRequest
from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model import Configuration, Row

from holdfast_api.call import Call, R

_LATCH = "holdfast.inventory.version"
_ATTEMPTS = 50


def change_inventory(call: Call, plan: Callable[[], Sequence[Change]], *, topic: str = "inventory") -> tuple[int, ...]:
    """Write what `plan` returns and ring the bell. Returns the ids of its Inserts.

    `plan` reads, refuses, and returns the whole batch; it is called again whenever another change came in between.
    `Conflict` if that happens too often: nothing was written.
    """
    for _ in range(_ATTEMPTS):
        latch = _raised(call.store)
        changes = plan()
        try:
            ids = call.store.commit([*changes, latch])
        except Conflict:
            continue
        call.context.bell.ring(topic)
        return ids[: sum(isinstance(change, Insert) for change in changes)]
    raise Conflict(f"{call.command.name}: others keep changing the inventory; nothing was done, try again")


def edit(
    call: Call,
    record: type[R],
    values: Mapping[str, Any],
    *,
    event: tuple[str, str, str],
    check: Callable[[R], None] = lambda _row: None,
    rename: Callable[[R, str], None] = lambda _row, _name: None,
) -> R:
    """Change the row that parameter `id` names; what is not in `values` stays. Returns it as it stands then.

    `event` is the event's type, the word for such a row, and its kind, as in `Call.event`. `check` refuses what the
    row itself does not allow, `rename` a new name. Nothing is written, and no event told, where nothing changes.
    """
    type_, word, kind = event

    def plan() -> list[Change]:
        row = fresh(call, call.row("id", record))
        check(row)
        changed = {key: value for key, value in values.items() if getattr(row, key) != value}
        if not changed:
            return []
        if "name" in changed:
            rename(row, changed["name"])
        text = f"changed {word} {_name(row)}: {', '.join(f'{key}={value}' for key, value in sorted(changed.items()))}"
        told = call.event(type_, text, resource=(kind, str(getattr(row, "uuid", ""))))
        return [Update(record, row.id, changed, expect={"removed": None}), Insert(told)]

    change_inventory(call, plan)
    return stored(call, record, call.row("id", record).id)


def refuse_taken(call: Call, record: type[Row], word: str, name: str, zone_id: int, *, parameter: str = "name") -> None:
    """`InvalidRequest` if the zone has a `word` of that name: names are unique in their zone."""
    if call.store.count(record, Query(equal={"name": name, "data_center_id": zone_id, "removed": None})):
        raise InvalidRequest(f"parameter {parameter}: the zone has a {word} {name!r} already; choose another name")


def _raised(store: Store) -> Change:
    rows = store.select(Configuration, Query(equal={"name": _LATCH}))
    if not rows:
        return Insert(Configuration(name=_LATCH, value="1"))
    [row] = rows
    following = str(int(row.value) + 1) if row.value.isdecimal() else "1"
    return Update(Configuration, row.id, {"value": following}, expect={"value": row.value})


def fresh(call: Call, row: R) -> R:
    """The row as it stands now; `Conflict` if it was removed since the call was checked."""
    found = call.store.get(type(row), row.id)
    if found is None or getattr(found, "removed", None) is not None:
        raise Conflict(f"{type(row).__name__.lower()} {_name(row)} was removed meanwhile")
    return found


def stored(call: Call, record: type[R], row_id: int) -> R:
    """A row that was just written."""
    found = call.store.get(record, row_id)
    if found is None:
        raise Conflict(f"{record.__name__.lower()} was removed meanwhile")
    return found


def _name(row: Row) -> str:
    return str(getattr(row, "name", "") or row.id)
