"""What every record of the store has in common: a table, an `id`, and frozen fields.

Fields are `int`, `str`, `bool`, `float`, `Moment` (wall-clock seconds since 1970, UTC), `Json` (a JSON text) or
`Secret`, or one of these or None. The store adapter maps them to columns; nothing else knows SQL.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NewType, TypeVar, dataclass_transform

Moment = NewType("Moment", float)
"""Wall-clock time: seconds since 1970-01-01 UTC. Only for people; no decision compares two machines' moments."""

Json = NewType("Json", str)
"""A JSON document kept as text."""


class Row:
    """Parent of all records. `id` is 0 until the store assigns it."""

    TABLE: ClassVar[str]
    UNIQUE: ClassVar[tuple[tuple[str, ...], ...]]
    INDEXED: ClassVar[tuple[tuple[str, ...], ...]]

    __slots__ = ()
    id: int


R = TypeVar("R", bound=Row)
C = TypeVar("C")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(
    table: str,
    *,
    unique: tuple[tuple[str, ...], ...] = (),
    indexed: tuple[tuple[str, ...], ...] = (),
) -> Callable[[type[C]], type[C]]:
    """Declare a record class stored in `table`; `unique` and `indexed` are tuples of column groups."""

    def declare(cls: type[C]) -> type[C]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        made.TABLE = table  # type: ignore[attr-defined]
        made.UNIQUE = unique  # type: ignore[attr-defined]
        made.INDEXED = indexed  # type: ignore[attr-defined]
        return made

    return declare
