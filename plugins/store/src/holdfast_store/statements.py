"""The statements of batches, each made once: building and compiling one costs more than carrying it out."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from holdfast.errors import InvalidRequest
from holdfast.model import HaConfig
from holdfast.model.rows import Row

from holdfast_store.columns import column_of
from holdfast_store.few_steps import as_lines, as_one_text
from holdfast_store.tables import TABLES

Statement = Any


class Statements:
    """Statements by shape. Parameters: `row_id`, `set_<field>` for new values, `was_<field>` for expected ones."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Statement] = {}
        owners = TABLES[HaConfig].c
        asked = (owners.resource_id.in_(sa.bindparam("host_ids", expanding=True)), owners.resource_type == "Host")
        named = (owners.resource_id, owners.owner_epoch)
        self.owners: sa.Select[Any] = sa.select(*named).where(*asked).order_by(owners.id).with_for_update()
        """Id and owner epoch of each of the hosts `host_ids`, locked."""
        self.owners_in_one_text: sa.Select[Any] = as_one_text(sa.select(as_lines(named)).where(*asked))
        """The same, for a database whose writers exclude each other."""

    def insert(self, record: type[Row]) -> sa.Insert:
        """One new row."""
        key = ("insert", record)
        if key not in self._made:
            self._made[key] = sa.insert(TABLES[record])
        found: sa.Insert = self._made[key]
        return found

    def insert_many(self, record: type[Row]) -> Statement:
        """Many new rows, returning their ids in the order of the parameters."""
        key = ("insert many", record)
        if key not in self._made:
            table = TABLES[record]
            self._made[key] = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return self._made[key]

    def update(self, record: type[Row], values: Mapping[str, Any], expect: Mapping[str, Any]) -> sa.Update:
        """Set these fields of one row, if the expected values are there."""
        key = ("update", record, tuple(values), _expected(expect))
        if key not in self._made:
            if "id" in values:
                raise InvalidRequest(f"the id of a row in {record.TABLE} cannot be changed")
            new: dict[str, Any] = {column_of(record, name).name: sa.bindparam(f"set_{name}") for name in values}
            self._made[key] = sa.update(TABLES[record]).where(*_guards(record, expect)).values(new)
        found: sa.Update = self._made[key]
        return found

    def delete(self, record: type[Row], expect: Mapping[str, Any]) -> sa.Delete:
        """Remove one row, if the expected values are there."""
        key = ("delete", record, _expected(expect))
        if key not in self._made:
            self._made[key] = sa.delete(TABLES[record]).where(*_guards(record, expect))
        found: sa.Delete = self._made[key]
        return found

    def lock(self, record: type[Row], names: Mapping[str, Any]) -> sa.Select[Any]:
        """The id and the raw values of these fields; nobody else changes the row until this transaction ends."""
        key = ("lock", record, tuple(names))
        if key not in self._made:
            columns = TABLES[record].c
            raw = [
                sa.type_coerce(columns[column_of(record, name).name], sa.types.NullType()).label(f"was_{name}")
                for name in names
            ]
            self._made[key] = sa.select(columns.id, *raw).where(*_guards(record, {})).with_for_update()
        found: sa.Select[Any] = self._made[key]
        return found


def _expected(expect: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    return tuple((name, value is None) for name, value in expect.items())


def _guards(record: type[Row], expect: Mapping[str, Any]) -> Iterator[sa.ColumnElement[bool]]:
    columns = TABLES[record].c
    yield columns.id == sa.bindparam("row_id")
    for name, value in expect.items():
        column = columns[column_of(record, name).name]
        yield column.is_(None) if value is None else column == sa.bindparam(f"was_{name}")
