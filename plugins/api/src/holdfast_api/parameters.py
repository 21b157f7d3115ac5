"""Checks what was sent against what is declared, and turns text into typed values.

Every refusal is 431 and names the parameter, what was found and what is allowed. Parameters that no command declares
are ignored, as CloudStack's clients expect, and named in the debug log.
"""

import logging
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from holdfast.hooks.store import Query, Store
from holdfast.model import Row, Secret

from holdfast_api.faults import PARAMETER, ApiFault
from holdfast_api.registry import Command, Parameter, Registry
from holdfast_api.times import read_moment

logger = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_MAP_KEY = re.compile(r"\[(\d{1,4})\]\.?(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_SPANS = {"short": 2**15, "integer": 2**31, "long": 2**63}
_SHOWN = 60
_LONGEST_LIST = 1000
_RESERVED = frozenset({"command", "response", "apikey", "signature", "signatureversion", "expires", "sessionkey"})


def refuse(name: str, found: str, allowed: str) -> NoReturn:
    """Refuse one parameter's value."""
    shown = _CONTROL.sub("�", found if len(found) <= _SHOWN else found[:_SHOWN] + "…")
    raise ApiFault(PARAMETER, f"parameter {name}: {shown!r} is not accepted; {allowed}")


def _refuse(parameter: Parameter, found: str, allowed: str) -> NoReturn:
    refuse(parameter.name, "(hidden)" if parameter.secret else found, allowed)


class ParameterCheck:
    """Checks parameters; references are looked up in `store`."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store

    def check(self, command: Command, raw: Mapping[str, str]) -> dict[str, Any]:
        """The typed values of the declared parameters that were sent. `ApiFault` 431 for the first that is wrong."""
        sent, maps = _arrange(raw)
        checked: dict[str, Any] = {}
        for parameter in command.parameters:
            key = parameter.name.lower()
            if parameter.type == "map" and key in maps:
                checked[parameter.name] = _flatten(parameter, maps[key])
                continue
            text = sent.get(key)
            if text is None or (text.strip() == "" and not parameter.allow_empty):
                if parameter.required:
                    _miss(command, parameter, text)
                continue
            checked[parameter.name] = self._read(parameter, text)
        known = {parameter.name.lower() for parameter in command.parameters} | _RESERVED
        unknown = sorted(key for key in (*sent, *maps) if key not in known)
        if unknown:
            logger.debug("%s: ignored unknown parameters %s", command.name, unknown[:20])
        return checked

    def _read(self, parameter: Parameter, text: str) -> Any:
        if parameter.length and len(text) > parameter.length:
            _refuse(parameter, text, f"it has {len(text)} characters, {parameter.length} are allowed")
        value: Any
        if parameter.type == "list":
            value = [part.strip() for part in text.split(",") if part.strip()]
            if len(value) > _LONGEST_LIST:
                _refuse(parameter, text, f"a list may have {_LONGEST_LIST} items, this one has {len(value)}")
            value = [_read_text(parameter, part) for part in value]
        else:
            value = _READERS.get(parameter.type, _read_text)(parameter, text)
        if parameter.of:
            found = self._rows(parameter, value if isinstance(value, list) else [value])
            return found if isinstance(value, list) else found[0]
        return Secret(value) if parameter.secret else value

    def _rows(self, parameter: Parameter, uuids: list[str]) -> list[Row]:
        record = self._registry.record_of(parameter.of)
        assert record is not None
        wanted = [_read_uuid(parameter, uuid) for uuid in uuids]
        rows: dict[str, Row] = {
            row.uuid.lower(): row  # type: ignore[attr-defined]
            for row in self._store.select(record, Query(among={"uuid": tuple(wanted)}))
            if getattr(row, "removed", None) is None
        }
        for uuid in wanted:
            if uuid not in rows:
                listing = self._registry.responding(parameter.of)
                hint = next((f"; {name} shows the ids there are" for name in listing if name.startswith("list")), "")
                _refuse(parameter, uuid, f"there is no {parameter.of} with this id{hint}")
        return [rows[uuid] for uuid in wanted]


def _arrange(raw: Mapping[str, str]) -> tuple[dict[str, str], dict[str, dict[int, dict[str, str]]]]:
    """Plain parameters by lower-case name, and maps by lower-case name, index and key."""
    sent: dict[str, str] = {}
    maps: dict[str, dict[int, dict[str, str]]] = {}
    for name, text in raw.items():
        stem, bracket, _ = name.partition("[")
        match = _MAP_KEY.fullmatch(name[len(stem) :]) if bracket else None
        if match:
            maps.setdefault(stem.lower(), {}).setdefault(int(match[1]), {})[match[2]] = text
        else:
            sent.setdefault(name.lower(), text)
    return sent, maps


def _flatten(parameter: Parameter, parts: Mapping[int, Mapping[str, str]]) -> dict[str, str]:
    """`d[0].key=a&d[0].value=b` and `d[0].a=b` both mean {"a": "b"}."""
    found: dict[str, str] = {}
    for index in sorted(parts):
        part = parts[index]
        pairs = {part["key"]: part["value"]} if set(part) == {"key", "value"} else part
        for key, value in pairs.items():
            if not key or len(key) > 255 or _CONTROL.search(key):
                refuse(f"{parameter.name}[{index}]", key, f"write {parameter.name}[{index}].KEY=VALUE")
            _read_text(parameter, value)
            found[key] = value
    return found


def _miss(command: Command, parameter: Parameter, text: str | None) -> NoReturn:
    found = "is missing" if text is None else "is empty"
    allowed = _allowed(parameter)
    raise ApiFault(
        PARAMETER,
        f"{command.name}: required parameter {parameter.name} {found}; it is {allowed}: {parameter.description}",
    )


def _allowed(parameter: Parameter) -> str:
    if parameter.choices:
        return "one of " + ", ".join(parameter.choices)
    words = {"uuid": "a UUID", "boolean": "true or false", "date": "a date as yyyy-MM-ddTHH:mm:ss+0000"}
    if parameter.type == "list":
        return "a comma-separated list of UUIDs" if parameter.of else "a comma-separated list"
    if parameter.type == "map":
        return f"a map as {parameter.name}[0].key=…"
    if parameter.type in ("integer", "long", "short", "float"):
        return ("a number" if parameter.type == "float" else "a whole number") + _bounds(parameter)
    return words.get(parameter.type, "text")


def _bounds(parameter: Parameter) -> str:
    low = "" if parameter.low is None else f" from {parameter.low:g}"
    return low + ("" if parameter.high is None else f" up to {parameter.high:g}")


def _read_text(parameter: Parameter, text: str) -> str:
    if _CONTROL.search(text):
        _refuse(parameter, text, "control characters are not allowed")
    text = next((word for word in parameter.words if word.lower() == text.strip().lower()), text)
    if parameter.choices and text not in parameter.choices:
        _refuse(parameter, text, f"allowed is {_allowed(parameter)}")
    return text


def _read_uuid(parameter: Parameter, text: str) -> str:
    if not _UUID.fullmatch(text.strip()):
        _refuse(parameter, text, "a UUID is needed (8-4-4-4-12 hexadecimal digits)")
    return text.strip().lower()


def _read_whole(parameter: Parameter, text: str) -> int:
    span = _SPANS[parameter.type]
    if not _WHOLE.fullmatch(text.strip()) or not -span <= int(text) < span:
        _refuse(parameter, text, f"allowed is {_allowed(parameter)}")
    return int(_within(parameter, int(text), text))


def _read_float(parameter: Parameter, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        _refuse(parameter, text, f"allowed is {_allowed(parameter)}")
    return _within(parameter, value, text)


def _within(parameter: Parameter, value: float, text: str) -> float:
    too_low = parameter.low is not None and value < parameter.low
    if too_low or (parameter.high is not None and value > parameter.high):
        _refuse(parameter, text, f"allowed is {_allowed(parameter)}")
    return value


def _read_flag(parameter: Parameter, text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        _refuse(parameter, text, "allowed is true or false")
    return word == "true"


def _read_date(parameter: Parameter, text: str) -> float:
    try:
        return read_moment(text.strip())
    except (ValueError, OverflowError):
        _refuse(parameter, text, "allowed is yyyy-MM-dd, yyyy-MM-dd HH:mm:ss or yyyy-MM-ddTHH:mm:ss+0000, UTC")


def _read_map(parameter: Parameter, text: str) -> Any:
    _refuse(parameter, text, f"a map is written {parameter.name}[0].key=…")


_READERS: dict[str, Callable[[Parameter, str], Any]] = {
    "uuid": _read_uuid,
    "integer": _read_whole,
    "long": _read_whole,
    "short": _read_whole,
    "float": _read_float,
    "boolean": _read_flag,
    "date": _read_date,
    "map": _read_map,
}


def job_info(checked: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Checked parameters as a job stores them: database ids for references; `changes` laid over, None removes."""
    found = {name: _storable(value) for name, value in checked.items() if not isinstance(value, Secret)}
    found |= {name: _storable(value) for name, value in changes.items()}
    return {name: value for name, value in found.items() if value is not None}


def _storable(value: Any) -> Any:
    if isinstance(value, Secret):
        raise TypeError("a job never stores a secret")
    if isinstance(value, Row):
        return value.id
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value
