"""A store in memory, quick and exact: the simulation's database. It keeps the `Store` contract to the letter."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from holdfast.errors import Conflict, InvalidRequest, StaleOwner, StoreUnavailable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Query, Update
from holdfast.model import RECORDS, HaConfig, Row

R = TypeVar("R", bound=Row)
_REMEMBERED = 64
"""Answers kept of one table. Queries that are made for one use only push the others out now and then."""


class Table:
    """All rows of one record, with an index for each unique key and for each field that queries ask for often."""

    def __init__(self, record: type[Row]) -> None:
        self.record = record
        self.names = frozenset(field.name for field in fields(record))  # type: ignore[arg-type]
        self.rows: dict[int, Any] = {}
        self.newest = 0
        self.version = 0
        """Raised by every change."""
        self.answers: dict[int, tuple[Query, int, list[Any]]] = {}
        """What was last found for a query object, and at which version: loops ask the same over and over."""
        self._unique = [(group, attrgetter(*group)) for group in record.UNIQUE]
        self._taken: list[dict[Any, int]] = [{} for _ in record.UNIQUE]
        indexed = {group[0] for group in (*record.INDEXED, *record.UNIQUE)}
        self._index: dict[str, dict[Any, dict[int, None]]] = {name: {} for name in sorted(indexed)}

    def put(self, row: Any) -> None:
        """Write a row in place of the one with its id. `Conflict` if a unique key is taken: then nothing changed."""
        keys = [key(row) for _, key in self._unique]
        for (group, _), taken, key in zip(self._unique, self._taken, keys, strict=True):
            holder = taken.get(key)
            if holder is not None and holder != row.id:
                raise Conflict(f"{self.record.TABLE}: another row has the same {', '.join(group)}")
        self.drop(row.id)
        self.version += 1
        self.rows[row.id] = row
        for taken, key in zip(self._taken, keys, strict=True):
            if not (key is None or (isinstance(key, tuple) and None in key)):
                taken[key] = row.id
        for name, index in self._index.items():
            index.setdefault(getattr(row, name), {})[row.id] = None

    def drop(self, row_id: int) -> None:
        """Remove a row; none is fine."""
        self.version += 1
        row = self.rows.pop(row_id, None)
        if row is None:
            return
        for (_, key), taken in zip(self._unique, self._taken, strict=True):
            if taken.get(key(row)) == row_id:
                del taken[key(row)]
        for name, index in self._index.items():
            entries = index[getattr(row, name)]
            del entries[row_id]
            if not entries:
                del index[getattr(row, name)]

    def check_names(self, named: Iterable[str]) -> None:
        """`InvalidRequest` for a field that the record lacks."""
        for name in named:
            if name not in self.names:
                raise InvalidRequest(f"{self.record.TABLE} has no field {name}")

    def candidates(self, query: Query) -> Iterable[Any]:
        """Rows that may match: all, or those that an index gives."""
        if "id" in query.equal:
            row = self.rows.get(query.equal["id"])
            return () if row is None else (row,)
        for name, value in query.equal.items():
            if name in self._index:
                return [self.rows[row_id] for row_id in self._index[name].get(value, ())]
        for name, values in query.among.items():
            if name == "id":
                return [self.rows[value] for value in dict.fromkeys(values) if value in self.rows]
            if name in self._index:
                index = self._index[name]
                return [self.rows[row_id] for value in dict.fromkeys(values) for row_id in index.get(value, ())]
        return self.rows.values()

    def find(self, query: Query) -> list[Any]:
        """Rows that match, unordered."""
        self.check_names(query.equal)
        if not (query.among or query.unequal or query.below or query.above or query.containing or query.order):
            found = list(self.candidates(query))
            for name, value in query.equal.items():
                found = [row for row in found if getattr(row, name) == value]
            return found
        self.check_names(_named(query))
        tests = _tests(query)
        return [row for row in self.candidates(query) if all(test(row) for test in tests)]


class MemoryStore:
    """Store `memory`. Thread-safe; each batch is undone if any of its changes is refused.

    `observers` are told of each committed batch, after the fact and inside the commit.
    """

    def __init__(self, settings: object = None) -> None:
        self._tables = {record: Table(record) for record in RECORDS}
        self._lock = threading.RLock()
        self._closed = False
        self.observers: list[Callable[[Sequence[Change]], None]] = []

    @hookimpl
    def get(self, record: type[R], row_id: int) -> R | None:
        """The row with this id, or None."""
        with self._lock:
            row: R | None = self._table(record).rows.get(row_id)
            return row

    @hookimpl
    def select(self, record: type[R], query: Query) -> list[R]:
        """All rows that match, in order."""
        with self._lock:
            table = self._tables.get(record)
            if table is None or self._closed:
                table = self._table(record)  # which says what is wrong
            known = table.answers.get(id(query))
            if known is not None and known[0] is query and known[1] == table.version:
                return known[2].copy()
            version, found = table.version, self._sorted(table.find(query), query)
            if len(table.answers) >= _REMEMBERED:
                table.answers.clear()
            table.answers[id(query)] = (query, version, found)
            return found.copy()

    def _sorted(self, found: list[R], query: Query) -> list[R]:
        if len(found) > 1:
            found.sort(key=_by_id)
            for name in reversed(query.order):
                field = name.removeprefix("-")
                found.sort(key=_null_first(field), reverse=name.startswith("-"))
        return found[query.offset : None if query.limit is None else query.offset + query.limit]

    @hookimpl
    def count(self, record: type[Row], query: Query) -> int:
        """How many rows match, `limit` and `offset` aside."""
        with self._lock:
            return len(self._table(record).find(query))

    @hookimpl
    def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch whole or not at all."""
        with self._lock:
            self._check_open()
            undo: list[tuple[Table, int, Any]] = []
            ids: list[int] = []
            try:
                for change in changes:
                    self._apply(change, undo, ids)
            except BaseException:
                self._undo(undo)
                raise
            if changes:
                for observer in self.observers:
                    observer(changes)
            return tuple(ids)

    @hookimpl
    def migrate(self) -> None:
        """Nothing to bring up to date."""
        self._check_open()

    @hookimpl
    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store was closed; make a new one")

    def _table(self, record: type[Row]) -> Table:
        self._check_open()
        table = self._tables.get(record)
        if table is None:
            raise InvalidRequest(f"{record.__name__} is no record of the store")
        return table

    def _undo(self, undo: list[tuple[Table, int, Any]]) -> None:
        for table, row_id, _ in undo:
            table.drop(row_id)
        seen: set[tuple[int, int]] = set()
        for table, row_id, before in undo:
            if before is not None and (id(table), row_id) not in seen:
                table.put(before)
            seen.add((id(table), row_id))

    def _apply(self, change: Change, undo: list[tuple[Table, int, Any]], ids: list[int]) -> None:
        if isinstance(change, Insert):
            table = self._table(type(change.row))
            if change.row.id != 0:
                raise InvalidRequest(f"a new row of {table.record.TABLE} must have id 0, not {change.row.id}")
            row_id = table.newest + 1
            undo.append((table, row_id, None))
            table.put(replace(change.row, id=row_id))  # type: ignore[type-var]
            table.newest = row_id
            ids.append(row_id)
        elif isinstance(change, OwnedBy):
            self._check_owner(change)
        else:
            self._apply_to_row(self._table(change.record), change, undo)

    def _apply_to_row(self, table: Table, change: Update | Delete | Expect, undo: list[tuple[Table, int, Any]]) -> None:
        expected = change.values if isinstance(change, Expect) else change.expect
        table.check_names(expected)
        row = table.rows.get(change.id)
        if row is None:
            if isinstance(change, Delete) and not expected:
                return
            raise Conflict(f"{table.record.TABLE} {change.id} does not exist")
        unmet = sorted(name for name, value in expected.items() if getattr(row, name) != value)
        if unmet:
            raise Conflict(f"{table.record.TABLE} {change.id} has other values in {', '.join(unmet)} than expected")
        if isinstance(change, Expect):
            return
        undo.append((table, change.id, row))
        if isinstance(change, Delete):
            table.drop(change.id)
            return
        table.check_names(change.values)
        if "id" in change.values:
            raise InvalidRequest(f"the id of {table.record.TABLE} {change.id} cannot be changed")
        table.put(replace(row, **change.values))

    def _check_owner(self, change: OwnedBy) -> None:
        for config in self._tables[HaConfig].candidates(Query(equal={"resource_id": change.host_id})):
            if config.resource_type == "Host":
                if config.owner_epoch == change.epoch:
                    return
                raise StaleOwner(f"host {change.host_id} is owned under epoch {config.owner_epoch}, not {change.epoch}")
        raise StaleOwner(f"host {change.host_id} has no ha_config row, so nobody owns it")


def _named(query: Query) -> Iterable[str]:
    yield from query.equal
    yield from query.among
    yield from query.unequal
    yield from query.below
    yield from query.above
    for names in query.containing.values():
        yield from names
    for name in query.order:
        yield name.removeprefix("-")


def _tests(query: Query) -> list[Callable[[Any], bool]]:
    tests: list[Callable[[Any], bool]] = [_equals(name, value) for name, value in query.equal.items()]
    tests += [_is_among(name, frozenset(values)) for name, values in query.among.items()]
    tests += [_differs(name, value) for name, value in query.unequal.items()]
    tests += [_bounded(name, bound, -1) for name, bound in query.below.items()]
    tests += [_bounded(name, bound, 1) for name, bound in query.above.items()]
    tests += [_containing(text.lower(), names) for text, names in query.containing.items()]
    return tests


def _equals(name: str, value: Any) -> Callable[[Any], bool]:
    return lambda row: bool(getattr(row, name) == value)


def _differs(name: str, value: Any) -> Callable[[Any], bool]:
    return lambda row: bool(getattr(row, name) != value)


def _is_among(name: str, values: frozenset[Any]) -> Callable[[Any], bool]:
    return lambda row: getattr(row, name) in values


def _bounded(name: str, bound: Any, side: int) -> Callable[[Any], bool]:
    """Strictly below (side -1) or above (1); None is on no side of anything."""

    def test(row: Any) -> bool:
        value = getattr(row, name)
        return value is not None and bound is not None and bool(value < bound if side < 0 else value > bound)

    return test


def _containing(text: str, names: Sequence[str]) -> Callable[[Any], bool]:
    return lambda row: any(text in (getattr(row, name) or "").lower() for name in names)


_by_id = attrgetter("id")


def _null_first(field: str) -> Callable[[Any], tuple[bool, Any]]:
    get = attrgetter(field)
    return lambda row: (get(row) is not None, 0 if get(row) is None else get(row))
