"""Answers of the API for people: lists as tables, single things as lines of name and value."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.commands.tables import table

from holdfast_cli.client import Answer

_COLUMNS: dict[str, tuple[str, ...]] = {
    "host": ("name", "state", "resourcestate", "hostha.hastate", "outofbandmanagement.powerstate", "clustername", "id"),
    "virtualmachine": ("name", "state", "hostname", "haenable", "serviceofferingname", "id"),
    "zone": ("name", "allocationstate", "networktype", "id"),
    "pod": ("name", "zonename", "allocationstate", "id"),
    "cluster": ("name", "hypervisortype", "allocationstate", "podname", "zonename", "id"),
    "storagepool": ("name", "type", "scope", "state", "clustername", "id"),
    "serviceoffering": ("name", "cpunumber", "cpuspeed", "memory", "offerha", "id"),
    "template": ("name", "hypervisor", "isready", "id"),
    "network": ("name", "type", "zonename", "id"),
    "hostha": ("hostid", "haenable", "hastate", "haprovider"),
    "event": ("created", "level", "type", "description"),
    "alert": ("sent", "name", "description"),
    "configuration": ("name", "value", "scope", "description"),
    "api": ("name", "isasync", "description"),
    "user": ("username", "account", "state", "id"),
    "managementserver": ("name", "state", "version", "id"),
    "asyncjobs": ("created", "cmd", "jobstatus", "jobid"),
    "hastatetransition": ("prevhastate", "event", "hastate", "activitycounter", "recoverycounter"),
}
"""What is worth a column, for the lists that are looked at most; of other lists, whatever fits."""

_WIDEST = 70
_MOST_COLUMNS = 6


def shown(answer: Answer) -> str:
    """An envelope's contents, or a job's result, as text."""
    items = {name: value for name, value in answer.items() if name != "count"}
    if not items:
        return "nothing found\n"
    if len(items) == 1:
        [(name, value)] = items.items()
        if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            return _list(name, value, answer.get("count", len(value)))
        if isinstance(value, Mapping):
            return _lines(value)
    return _lines(items)


def _list(name: str, items: Sequence[Mapping[str, Any]], count: int) -> str:
    flat = [flattened(item) for item in items]
    columns = _COLUMNS.get(name) or _fitting(flat)
    columns = tuple(column for column in columns if any(column in item for item in flat)) or _fitting(flat)
    rows = [{column.rsplit(".", 1)[-1]: _cell(item.get(column, "")) for column in columns} for item in flat]
    text = table(rows, [column.rsplit(".", 1)[-1] for column in columns])
    return text if count <= len(items) else f"{text}{len(items)} of {count}; give page and pagesize for more\n"


def _fitting(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names and states first, the UUID last."""
    found = dict.fromkeys(name for item in items for name in item)
    first = [name for name in found if name in ("name", "displayname", "state", "type")]
    rest = [name for name in found if name not in first and name != "id" and not name.endswith("id")]
    return (*(first + rest)[: _MOST_COLUMNS - 1], *(["id"] if "id" in found else []))


def _lines(item: Mapping[str, Any]) -> str:
    flat = flattened(item)
    width = max((len(name) for name in flat), default=0)
    return "".join(f"{name.ljust(width)}  {_word(value)}\n" for name, value in flat.items())


def flattened(item: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted names: {"hostha": {"hastate": "Fenced"}} gives {"hostha.hastate": "Fenced"}."""
    found: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, Mapping):
            found.update(flattened(value, f"{prefix}{name}."))
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for index, one in enumerate(value):
                found.update(flattened(one, f"{prefix}{name}[{index}]."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _cell(value: Any) -> str:
    text = _word(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_word(one) for one in value)
    # What comes from elsewhere must not steer the terminal.
    return "".join(c if c.isprintable() else " " for c in str(value))
