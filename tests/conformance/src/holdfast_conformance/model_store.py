"""A simple in-memory store: the meaning of the `Store` contract, written down as slowly and plainly as possible.

Drivers are compared with it. It keeps nothing over a restart and is not meant to be quick.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

from holdfast.errors import Conflict, InvalidRequest, StaleOwner, StoreUnavailable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Query, Update
from holdfast.model import RECORDS, HaConfig, Row
from holdfast.model.rows import R

Rows = dict[int, Any]


@dataclass
class _Descending:
    """Sorts the other way round."""

    key: Any

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.key < self.key)


class ModelStore:
    """Keeps rows in dictionaries. A batch works on copies that take the place of the originals when all went well."""

    def __init__(self) -> None:
        self._tables: dict[type[Row], Rows] = {record: {} for record in RECORDS}
        self._newest: dict[type[Row], int] = dict.fromkeys(RECORDS, 0)
        self._guard = threading.RLock()
        self._closed = False

    @hookimpl
    def get(self, record: type[R], row_id: int) -> R | None:
        """The row with this id, or None."""
        return self._rows(record).get(row_id)

    @hookimpl
    def select(self, record: type[R], query: Query) -> list[R]:
        """All rows that match, in order."""
        _check_fields(record, query)
        found = [row for row in self._rows(record).values() if matches(row, query)]
        found.sort(key=lambda row: _sort_key(row, query.order))
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]

    @hookimpl
    def count(self, record: type[Row], query: Query) -> int:
        """How many rows match, `limit` and `offset` aside."""
        _check_fields(record, query)
        return sum(matches(row, query) for row in self._rows(record).values())

    @hookimpl
    def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch whole or not at all."""
        return self.commit_as(changes, None)

    def commit_as(self, changes: Sequence[Change], ids: Iterator[int] | None) -> tuple[int, ...]:
        """As `commit`, but new rows take the ids that another store gave them."""
        with self._guard:
            self._check_open()
            tables = {record: dict(rows) for record, rows in self._tables.items()}
            newest = dict(self._newest)
            given: list[int] = []
            for change in changes:
                if isinstance(change, Insert):
                    given.append(_insert(tables, newest, change.row, ids))
                else:
                    _apply(tables, change)
            self._tables, self._newest = tables, newest
            return tuple(given)

    @hookimpl
    def migrate(self) -> None:
        """Nothing to bring up to date."""
        self._check_open()

    @hookimpl
    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _rows(self, record: type[Row]) -> Rows:
        with self._guard:
            self._check_open()
            return self._tables[record]

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store was closed; make a new one")


def _check_fields(record: type[Row], query: Query) -> None:
    named = [
        *query.equal,
        *query.among,
        *query.unequal,
        *query.below,
        *query.above,
        *chain.from_iterable(query.containing.values()),
    ]
    named += [name.removeprefix("-") for name in query.order]
    _refuse_unknown(record, named)


def _refuse_unknown(record: type[Row], named: Iterable[str], *, but: frozenset[str] = frozenset()) -> None:
    unknown = set(named) - ({field.name for field in fields(record)} - but)  # type: ignore[arg-type]
    if unknown:
        raise InvalidRequest(f"{record.TABLE} has no such field, or none that can be set: {', '.join(sorted(unknown))}")


def matches(row: Row, query: Query) -> bool:
    """Whether a row meets all conditions. A bound never holds for None; `unequal` does."""
    return (
        all(getattr(row, name) == value for name, value in query.equal.items())
        and all(getattr(row, name) in values for name, values in query.among.items())
        and all(getattr(row, name) != value for name, value in query.unequal.items())
        and all(_below(getattr(row, name), bound) for name, bound in query.below.items())
        and all(_below(bound, getattr(row, name)) for name, bound in query.above.items())
        and all(_contains(row, text, names) for text, names in query.containing.items())
    )


def _below(value: Any, bound: Any) -> bool:
    return value is not None and bound is not None and bool(value < bound)


def _contains(row: Row, text: str, names: Sequence[str]) -> bool:
    return any(text.lower() in (getattr(row, name) or "").lower() for name in names)


def _sort_key(row: Row, order: Sequence[str]) -> tuple[Any, ...]:
    """None sorts before everything else; ties go by id."""
    keys: list[Any] = []
    for name in order:
        value = getattr(row, name.removeprefix("-"))
        key = (value is not None, value if value is not None else 0)
        keys.append(_Descending(key) if name.startswith("-") else key)
    return (*keys, row.id)


def _insert(tables: dict[type[Row], Rows], newest: dict[type[Row], int], row: Row, ids: Iterator[int] | None) -> int:
    record = type(row)
    if row.id != 0:
        raise InvalidRequest(f"a new row of {record.TABLE} must have id 0, not {row.id}")
    row_id = newest[record] + 1 if ids is None else next(ids)
    newest[record] = max(newest[record], row_id)
    _put(tables[record], replace(row, id=row_id))  # type: ignore[type-var]
    return row_id


def _apply(tables: dict[type[Row], Rows], change: Update | Delete | Expect | OwnedBy) -> None:
    if isinstance(change, OwnedBy):
        _check_owner(tables[HaConfig], change)
        return
    rows = tables[change.record]
    row = rows.get(change.id)
    expected = change.values if isinstance(change, Expect) else change.expect
    _refuse_unknown(change.record, expected)
    if row is None and isinstance(change, Delete) and not expected:
        return
    if row is None:
        raise Conflict(f"{change.record.TABLE} {change.id} does not exist")
    unmet = sorted(name for name, value in expected.items() if getattr(row, name) != value)
    if unmet:
        raise Conflict(f"{change.record.TABLE} {change.id} has other values in {', '.join(unmet)} than expected")
    if isinstance(change, Update):
        _put(rows, _changed(row, change))
    elif isinstance(change, Delete):
        del rows[change.id]


def _changed(row: Any, change: Update) -> Any:
    _refuse_unknown(change.record, change.values, but=frozenset({"id"}))
    return replace(row, **change.values)


def _check_owner(configs: Rows, change: OwnedBy) -> None:
    for config in configs.values():
        if config.resource_type == "Host" and config.resource_id == change.host_id:
            if config.owner_epoch == change.epoch:
                return
            raise StaleOwner(f"host {change.host_id} is owned under epoch {config.owner_epoch}, not {change.epoch}")
    raise StaleOwner(f"host {change.host_id} has no ha_config row, so nobody owns it")


def _put(rows: Rows, row: Any) -> None:
    for group in type(row).UNIQUE:
        key = [getattr(row, name) for name in group]
        for other in rows.values():
            if other.id != row.id and None not in key and key == [getattr(other, name) for name in group]:
                raise Conflict(f"{type(row).TABLE}: another row has the same {', '.join(group)}")
    rows[row.id] = row
