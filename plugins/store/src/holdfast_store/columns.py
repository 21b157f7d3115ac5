"""What each field of each record is: the one place where annotations become columns."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from holdfast.errors import InvalidRequest
from holdfast.model.rows import Json, Moment, Row
from holdfast.model.secret import Secret
from sqlalchemy.types import TypeEngine

from holdfast_store import column_types as types

Kind = Literal["number", "real", "flag", "moment", "text", "json", "secret"]

KINDS: dict[Any, Kind] = {
    int: "number",
    float: "real",
    bool: "flag",
    Moment: "moment",
    str: "text",
    Json: "json",
    Secret: "secret",
}

LONG_TEXTS = frozenset(
    (
        *("certificate", "content", "depends_on", "description", "display_text", "path", "problem"),
        "readiness_detail",
        *("reason", "subject", "tags", "url", "value"),
    )
)
"""Fields of type `str` whose text may be long, in whatever record; the others hold up to 255 characters."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field as a column. `length` is the most characters that a text may have."""

    table: str
    name: str
    kind: Kind
    optional: bool
    keyed: bool

    @property
    def place(self) -> str:
        """For messages, and the associated data of a cipher text."""
        return f"{self.table}.{self.name}"

    @property
    def sql_type(self) -> TypeEngine[Any]:
        """The SQL type."""
        if self.name == "id":
            return types.ID
        return _TEXTS[self.length] if self.kind == "text" else _SQL_TYPES[self.kind]

    @property
    def length(self) -> int:
        """The most characters that fit."""
        if self.kind != "text" or self.name in LONG_TEXTS:
            return types.LONG_LENGTH
        return types.KEY_LENGTH if self.keyed else types.SHORT_LENGTH


_TEXTS: dict[int, TypeEngine[Any]] = {
    types.KEY_LENGTH: types.KEY,
    types.SHORT_LENGTH: types.SHORT,
    types.LONG_LENGTH: types.LONG,
}
_SQL_TYPES: dict[Kind, TypeEngine[Any]] = {
    "number": types.NUMBER,
    "real": types.REAL,
    "flag": types.FLAG,
    "moment": types.MOMENT,
    "json": types.LONG,
    "secret": types.LONG,
}


_FOUND: dict[type[Row], dict[str, Column]] = {}


def columns_of(record: type[Row]) -> dict[str, Column]:
    """All columns of a record by name, in the order of its fields."""
    found = _FOUND.get(record)
    if found is None:
        found = _FOUND[record] = _columns(record)
    return found


def _columns(record: type[Row]) -> dict[str, Column]:
    hints = get_type_hints(record)
    keyed = {name for group in (*record.UNIQUE, *record.INDEXED) for name in group}
    found = {}
    for field in fields(record):  # type: ignore[arg-type]
        parts = [part for part in get_args(hints[field.name]) if part is not type(None)] or [hints[field.name]]
        found[field.name] = Column(
            table=record.TABLE,
            name=field.name,
            kind=KINDS[parts[0]],
            optional=type(None) in get_args(hints[field.name]),
            keyed=field.name in keyed,
        )
    return found


def column_of(record: type[Row], name: str) -> Column:
    """One column, or `InvalidRequest` saying which there are."""
    columns = columns_of(record)
    if name not in columns:
        raise InvalidRequest(f"{record.TABLE} has no field {name!r}; its fields are {', '.join(columns)}")
    return columns[name]
