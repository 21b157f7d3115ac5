"""Carries out the changes of one batch on a connection that is inside a write transaction.

Expectations are part of the WHERE of what they guard. Where no row was found, or where SQL cannot compare (secrets,
values typed by hand), the row is locked, read and compared in Python: it stays as it was read until the end.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from holdfast.errors import Conflict, StaleOwner
from holdfast.hooks.store import Change, Delete, Expect, Insert, OwnedBy, Update
from holdfast.model.rows import Row

from holdfast_store import few_steps, few_trips, moments
from holdfast_store.cipher import Cipher
from holdfast_store.columns import column_of
from holdfast_store.decoding import decode
from holdfast_store.encoding import Encoding
from holdfast_store.failures import translated
from holdfast_store.statements import Statements

_AT_ONCE = 500


class UnevenGroup(Exception):
    """Some of many like updates found no row. Undo the batch, and carry out that group one by one, to see which."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place
        """The group's number in the batch."""


class Batches:
    """Carries out batches. Holds no state of a batch, so that threads can share it."""

    def __init__(self, encoding: Encoding, cipher: Callable[[], Cipher]) -> None:
        self._encoding = encoding
        self._cipher = cipher
        self._statements = Statements()
        self._many = few_steps.ManyRows()

    def run(self, connection: sa.Connection, changes: Sequence[Change], singly: Container[int]) -> tuple[int, ...]:
        """Make all changes in order; return the ids of the new rows.

        Like changes that follow each other are sent together, but for the groups whose numbers are in `singly`.
        """
        ids: list[int] = []
        for place, group in enumerate(_groups(changes)):
            if len(group) > 1 and place in singly:
                for each in group:
                    ids += self._send(connection, [each], place)
                continue
            ids += self._send(connection, group, place)
        return tuple(ids)

    def _send(self, connection: sa.Connection, group: Sequence[Change], place: int) -> list[int]:
        """Changes of one shape: the group of that number in the batch."""
        first = group[0]
        if isinstance(first, Insert):
            return self._insert(connection, [each.row for each in group if isinstance(each, Insert)])
        if isinstance(first, Update):
            self._update(connection, [each for each in group if isinstance(each, Update)], place)
        elif isinstance(first, OwnedBy):
            self._require_owners(connection, [each for each in group if isinstance(each, OwnedBy)])
        else:
            for each in group:
                self._apply(connection, each)
        return []

    def _insert(self, connection: sa.Connection, rows: Sequence[Row]) -> list[int]:
        record = type(rows[0])
        values = [self._encoding.row(row) for row in rows]
        with translated(f"insert into {record.TABLE}"):
            if len(values) > 1 and few_steps.knows(connection.dialect):
                parts = few_steps.parts(len(values))
                return [row_id for part in parts for row_id in self._many.insert(connection, record, values[part])]
            if len(values) > 1 and connection.dialect.insert_executemany_returning_sort_by_parameter_order:
                return list(connection.execute(self._statements.insert_many(record), values).scalars())
            insert = self._statements.insert(record)
            return [_key_of(connection.execute(insert, each)) for each in values]

    def _update(self, connection: sa.Connection, group: Sequence[Update], place: int) -> None:
        first = group[0]
        if not first.values or _hides(first.record, first.expect):
            for each in group:
                self._update_locked(connection, each)
            return
        parameters = [self._update_parameters(each) for each in group]
        with translated(f"update {first.record.TABLE}"):
            found = self._update_all(connection, first, parameters)
        if found == len(group):
            return
        if len(group) > 1:
            raise UnevenGroup(place)
        self._update_locked(connection, first)

    def _update_all(self, connection: sa.Connection, like: Update, rows: list[dict[str, Any]]) -> int:
        """Carry out updates that have the shape of `like`; returns how many rows were found."""
        statement = self._statements.update(like.record, like.values, like.expect)
        if len(rows) == 1:
            return connection.execute(statement, rows[0]).rowcount
        if _moves_keys(like):
            return connection.execute(statement, rows).rowcount
        asked = connection, like.record, like.values, like.expect
        if few_steps.knows(connection.dialect):
            return sum(self._many.update(*asked, rows[part]) for part in few_steps.parts(len(rows)))
        if few_trips.knows(connection.dialect) and few_trips.fit(rows):
            return sum(few_trips.update(*asked, rows[part]) for part in few_trips.parts(len(rows)))
        return connection.execute(statement, rows).rowcount

    def _update_parameters(self, change: Update) -> dict[str, Any]:
        record = change.record
        values = self._encoding.values(record, change.values, "set_")
        return values | self._guard_parameters(record, change.id, change.expect)

    def _guard_parameters(self, record: type[Row], row_id: int, expect: Mapping[str, Any]) -> dict[str, Any]:
        present = {name: value for name, value in expect.items() if value is not None}
        return {"row_id": row_id} | self._encoding.values(record, present, "was_")

    def _update_locked(self, connection: sa.Connection, change: Update) -> None:
        self._require(connection, change.record, change.id, change.expect)
        if change.values:
            statement = self._statements.update(change.record, change.values, {})
            with translated(f"update {change.record.TABLE}"):
                connection.execute(
                    statement, {"row_id": change.id} | self._encoding.values(change.record, change.values, "set_")
                )

    def _apply(self, connection: sa.Connection, change: Change) -> None:
        if isinstance(change, Expect):
            self._require(connection, change.record, change.id, change.values)
        elif isinstance(change, Delete):
            self._delete(connection, change)

    def _delete(self, connection: sa.Connection, change: Delete) -> None:
        record = change.record
        if not _hides(record, change.expect):
            statement = self._statements.delete(record, change.expect)
            with translated(f"remove a row of {record.TABLE}"):
                found = connection.execute(statement, self._guard_parameters(record, change.id, change.expect)).rowcount
            if found or not change.expect:
                return
        self._require(connection, record, change.id, change.expect)
        with translated(f"remove a row of {record.TABLE}"):
            connection.execute(self._statements.delete(record, {}), {"row_id": change.id})

    def _require(self, connection: sa.Connection, record: type[Row], row_id: int, expect: Mapping[str, Any]) -> None:
        """Lock the row until the end of the transaction, or `Conflict` if it is not as expected."""
        with translated(f"read {record.TABLE}"):
            found = connection.execute(self._statements.lock(record, expect), {"row_id": row_id}).one_or_none()
        if found is None:
            raise Conflict(f"{record.TABLE} {row_id} does not exist (any more)")
        unmet = [
            name
            for (name, value), raw in zip(expect.items(), found[1:], strict=True)
            if not self._is_met(record, name, value, raw, row_id)
        ]
        if unmet:
            raise Conflict(f"{record.TABLE} {row_id} was changed by somebody else: {', '.join(unmet)} not as expected")

    def _is_met(self, record: type[Row], name: str, value: Any, raw: Any, row_id: int) -> bool:
        column = column_of(record, name)
        if value is None or raw is None:
            return value is raw
        if column.kind == "moment":
            value = moments.rounded(value)
        return bool(decode(column, raw, row_id, self._cipher) == value)

    def _require_owners(self, connection: sa.Connection, group: Sequence[OwnedBy]) -> None:
        hosts = sorted({change.host_id for change in group})
        epochs: dict[int, int] = {}
        with translated("read ha_config"):
            for start in range(0, len(hosts), _AT_ONCE):
                epochs |= self._owners(connection, hosts[start : start + _AT_ONCE])
        for change in group:
            epoch = epochs.get(change.host_id)
            if epoch is None:
                raise StaleOwner(f"host {change.host_id} has no row in ha_config, so nobody owns it")
            if epoch != change.epoch:
                raise StaleOwner(
                    f"host {change.host_id} is owned under epoch {epoch}, but the batch came from epoch {change.epoch}"
                )

    def _owners(self, connection: sa.Connection, hosts: Sequence[int]) -> dict[int, int]:
        asked = {"host_ids": hosts}
        if few_steps.knows(connection.dialect):
            text = connection.execute(self._statements.owners_in_one_text, asked).scalar()
            return dict(map(tuple, few_steps.rows_of(text)))
        return dict(map(tuple, connection.execute(self._statements.owners, asked)))


def _key_of(result: sa.CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    assert key is not None, "the database gave a new row no id"
    return int(key[0])


def _moves_keys(change: Update) -> bool:
    """Whether rows may take over each other's unique keys: then the order of the updates counts."""
    return any(name in change.values for key in change.record.UNIQUE for name in key)


def _hides(record: type[Row], expect: Mapping[str, Any]) -> bool:
    """Whether an expectation needs the cipher."""
    return any(column_of(record, name).kind == "secret" for name in expect)


def _groups(changes: Sequence[Change]) -> Iterator[list[Change]]:
    return (list(group) for _, group in groupby(changes, key=_shape))


def _shape(change: Change) -> tuple[Any, ...]:
    """Neighbours of the same shape share a statement."""
    if isinstance(change, Insert):
        return (Insert, type(change.row))
    if isinstance(change, Update):
        expected = tuple((name, value is None) for name, value in change.expect.items())
        return (Update, change.record, tuple(change.values), expected)
    return (type(change),)
