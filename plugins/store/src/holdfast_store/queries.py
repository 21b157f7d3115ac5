"""From a `Query` to SQL: a statement for each kind of query, and the values as its parameters.

To put a statement together takes longer than SQLite takes to answer it, so those that were made are kept.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from holdfast.errors import StoreError
from holdfast.hooks.store import Query
from holdfast.model.rows import Row

from holdfast_store.columns import column_of
from holdfast_store.encoding import Encoding
from holdfast_store.kinds import ESCAPE, Kind, Term, statement_of, value_name

_BOUND_VALUES = 5_000
"""Values of a list that are sent as parameters. Whole numbers beyond that are written into the statement, because
databases limit the number of parameters (SQLite: 32,766)."""
_SPECIAL, _ESCAPED = re.compile(f"[{ESCAPE}%_]"), rf"{ESCAPE}\g<0>"
_KEPT = 1_000
"""Statements; those that were not asked for the longest go. The API's lists alone could ask in millions of ways."""


class Asked(NamedTuple):
    """A statement, and the values that it takes."""

    statement: sa.Select[Any]
    values: dict[str, Any]


class Queries:
    """Makes statements of queries."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._statement = lru_cache(_KEPT)(statement_of)

    def rows(self, record: type[Row], query: Query) -> Asked:
        """The matching rows in order."""
        return self._asked("rows", record, query)

    def text(self, record: type[Row], query: Query) -> Asked:
        """The matching rows in order, all of them as the one text that `few_steps` reads."""
        return self._asked("text", record, query)

    def count(self, record: type[Row], query: Query) -> Asked:
        """How many rows match, `limit` and `offset` aside."""
        return self._asked("count", record, query)

    def _asked(self, wanted: str, record: type[Row], query: Query) -> Asked:
        terms, values = [], {}
        for place, (term, value) in enumerate(self._terms(record, query)):
            terms.append(term)
            if value is not None:
                values[value_name(place)] = value
        if wanted == "count":
            return Asked(self._statement(Kind(record, wanted, tuple(terms))), values)
        if query.limit is not None:
            values["limit"] = query.limit
        if query.offset:
            values["offset"] = query.offset
        kind = Kind(record, wanted, tuple(terms), tuple(query.order), "limit" in values, "offset" in values)
        return Asked(self._statement(kind), values)

    def _terms(self, record: type[Row], query: Query) -> Iterator[tuple[Term, Any]]:
        for word in ("equal", "unequal", "below", "above"):
            for name, value in getattr(query, word).items():
                encoded = self._encoded(record, name, value)
                yield Term(word, (name,), encoded is None), encoded
        for name, several in query.among.items():
            yield self._among(record, name, several)
        for text, names in query.containing.items():
            yield Term("containing", tuple(names)), f"%{_SPECIAL.sub(_ESCAPED, text.lower())}%"

    def _among(self, record: type[Row], name: str, values: Sequence[Any]) -> tuple[Term, list[Any]]:
        encoded = {self._encoded(record, name, value) for value in values}
        present = [value for value in encoded if value is not None]
        in_line = len(present) > _BOUND_VALUES and column_of(record, name).kind == "number"
        return Term("among", (name,), None in encoded, in_line), present

    def _encoded(self, record: type[Row], name: str, value: Any) -> Any:
        column = column_of(record, name)
        if value is None:
            return None
        if column.kind == "secret":
            raise StoreError(f"{column.place} is encrypted: it can be asked for as None or not None only")
        return self._encoding.encoder(record, name)(value)
