"""Immutable values to JSON and back, led by their classes' annotations.

Strict where it matters (a value of another type is refused, naming its place) and lenient where versions differ: a
field that is not known is passed over, one that is absent takes its default.
"""

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from holdfast.model.secret import Secret
from holdfast.protocol.frames import ProtocolError

T = TypeVar("T")

_DEEPEST = 32


def to_document(value: Any) -> Any:
    """What `json.dumps` takes. Secrets are revealed: only for a connection that is encrypted and authenticated."""
    if value is None or isinstance(value, (bool, int, str)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ProtocolError(f"{value} is no number that can be sent")
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if is_dataclass(value):
        return {one.name: to_document(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_document(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_document(item) for item in value]
    raise ProtocolError(f"a {type(value).__name__} cannot be sent")


def from_document(kind: type[T], document: Any, where: str = "message") -> T:
    """A value of `kind`. `ProtocolError` names the first place that does not fit; what stands there is not shown."""
    return cast(T, _value(kind, document, where, 0))


def _value(kind: Any, found: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ProtocolError(f"{where} is nested too deeply")
    if kind is Any or kind is object:
        return found
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain(found, where)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), found, where, depth)
    if origin is tuple:
        if not isinstance(found, list):
            raise _mismatch("a list", found, where)
        item = get_args(kind)[0]
        return tuple(_value(item, one, f"{where}[{index}]", depth + 1) for index, one in enumerate(found))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(found, dict):
            raise _mismatch("an object", found, where)
        item = get_args(kind)[1]
        return {key: _value(item, one, f"{where}.{key}", depth + 1) for key, one in found.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind, found, where)
    if is_dataclass(kind):
        return _object(cast(type, kind), found, where, depth)
    raise ProtocolError(f"{where} has a type that cannot be received: {kind}")


def _object(kind: type, found: Any, where: str, depth: int) -> Any:
    if not isinstance(found, dict):
        raise _mismatch("an object", found, where)
    values = {}
    for name, hint, needed in _layout(kind):
        if name in found:
            values[name] = _value(hint, found[name], f"{where}.{name}", depth + 1)
        elif needed:
            raise ProtocolError(f"{where}.{name} is missing")
    return kind(**values)


@cache
def _layout(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(kind)
    return tuple((one.name, hints[one.name], _needed(one)) for one in fields(kind))


def _needed(one: "Field[Any]") -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _one_of(kinds: tuple[Any, ...], found: Any, where: str, depth: int) -> Any:
    if found is None and types.NoneType in kinds:
        return None
    for kind in kinds:
        if kind is not types.NoneType:
            return _value(kind, found, where, depth)
    raise _mismatch("nothing", found, where)


def _member(kind: type[Enum], found: Any, where: str) -> Enum:
    try:
        return kind(found)
    except ValueError:
        raise ProtocolError(f"{where} is not one of {', '.join(str(one.value) for one in kind)}") from None


def _text(found: Any, where: str) -> str:
    if not isinstance(found, str):
        raise _mismatch("text", found, where)
    return found


def _whole(found: Any, where: str) -> int:
    if type(found) is not int:
        raise _mismatch("a whole number", found, where)
    return found


def _number(found: Any, where: str) -> float:
    if type(found) not in (int, float) or not math.isfinite(found):
        raise _mismatch("a number", found, where)
    return float(found)


def _flag(found: Any, where: str) -> bool:
    if type(found) is not bool:
        raise _mismatch("true or false", found, where)
    return found


def _secret(found: Any, where: str) -> Secret:
    return Secret(_text(found, where))


def _mismatch(wanted: str, found: Any, where: str) -> ProtocolError:
    return ProtocolError(f"{where} is {type(found).__name__}, not {wanted}")


_PLAIN: dict[Any, Any] = {str: _text, int: _whole, float: _number, bool: _flag, Secret: _secret}
