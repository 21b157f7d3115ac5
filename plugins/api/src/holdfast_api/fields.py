"""Response objects, declared: what a command answers with, field by field.

`listApis` publishes these tables and the tests hold every answer against them, so a field that is not declared here
does not exist.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from holdfast.model import Row

if TYPE_CHECKING:
    from holdfast_api.call import Call

FieldType = Literal[
    "string",
    "uuid",
    "boolean",
    "short",
    "integer",
    "long",
    "float",
    "date",
    "list",
    "set",
    "map",
    "object",
    "responseobject",
]
Answer = dict[str, Any]
"""One rendered object: field name → JSON value. Fields that are None are left out of the answer."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `fields` declares the inside of a nested object or of a list's objects; a "map" is free inside."""

    name: str
    type: FieldType
    description: str
    fields: tuple["Field", ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True)
class ResponseObject:
    """A kind of object that commands answer with.

    `build(call, items)` renders many at once, so that a list of hosts costs a fixed number of store reads; items are
    rows of `record`, or whatever the handlers hand over where there is no record. `from_job(call, result)` renders the
    object that a finished job names; the default reads the row `result["id"]` of `record`. `wrapped` says whether a
    single object stands under its name, as nearly all do, or its fields stand in the envelope itself.
    """

    name: str
    fields: tuple[Field, ...]
    build: Callable[["Call", Sequence[Any]], list[Answer]]
    record: type[Row] | None = None
    from_job: Callable[["Call", Mapping[str, Any]], Answer] | None = None
    wrapped: bool = True


def as_given(_call: "Call", items: Sequence[Any]) -> list[Answer]:
    """A `build` for objects that handlers render themselves."""
    return [dict(item) for item in items]


SUCCESS = ResponseObject(
    name="success",
    fields=(
        Field("success", "boolean", "true if the operation was carried out"),
        Field("displaytext", "string", "a remark on it, if there is one"),
    ),
    build=as_given,
    wrapped=False,
)
"""What commands answer with that only succeed or fail."""
