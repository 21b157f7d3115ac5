"""Kinds of queries, which differ in more than their values, and the statement of each."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa
from holdfast.errors import InvalidRequest
from holdfast.model.rows import Row

from holdfast_store.columns import column_of
from holdfast_store.few_steps import as_lines, as_one_text
from holdfast_store.tables import TABLES, raw_columns

Condition = sa.ColumnElement[bool]


class Term(NamedTuple):
    """One condition of a query: its word there, and the fields it is about.

    `null`: the value is None, or None is among the values. `in_line`: the values are written into the statement.
    """

    word: str
    names: tuple[str, ...]
    null: bool = False
    in_line: bool = False


class Kind(NamedTuple):
    """`wanted` is "rows", "text" (of `few_steps`) or "count"; the rest is what a `Query` says, without its values."""

    record: type[Row]
    wanted: str
    terms: tuple[Term, ...]
    order: tuple[str, ...] = ()
    limited: bool = False
    skipping: bool = False


ESCAPE = "/"
"""What stands before "%" and "_" in a value of "containing" where they mean themselves, and before itself."""


def value_name(place: int) -> str:
    """The name of the parameter that takes the value of the term at this place."""
    return f"value{place}"


def statement_of(kind: Kind) -> sa.Select[Any]:
    """Its parameters are the `value_name` of each term that has a value, `limit` and `offset`."""
    record = kind.record
    conditions = [_CONDITIONS[term.word](record, term, value_name(place)) for place, term in enumerate(kind.terms)]
    if kind.wanted == "count":
        return sa.select(sa.func.count()).select_from(TABLES[record]).where(*conditions)
    columns, as_text = raw_columns(record), kind.wanted == "text"
    statement = sa.select(as_lines(columns)) if as_text else sa.select(*columns)
    statement = statement.where(*conditions).order_by(*(_order(record, word) for word in (*kind.order, "id")))
    if kind.limited:
        statement = statement.limit(sa.bindparam("limit", type_=sa.Integer))
    elif as_text:
        # Without a limit SQLite might see no reason to sort lines that are only put together.
        statement = statement.limit(-1)
    if kind.skipping:
        statement = statement.offset(sa.bindparam("offset", type_=sa.Integer))
    return as_one_text(statement) if as_text else statement


def _column(record: type[Row], name: str) -> sa.Column[Any]:
    return TABLES[record].c[column_of(record, name).name]


def _order(record: type[Row], word: str) -> sa.ColumnElement[Any]:
    column = _column(record, word.removeprefix("-"))
    return column.desc() if word.startswith("-") else column.asc()


def _equal(record: type[Row], term: Term, value: str) -> Condition:
    column = _column(record, *term.names)
    return column.is_(None) if term.null else column == sa.bindparam(value)


def _unequal(record: type[Row], term: Term, value: str) -> Condition:
    column = _column(record, *term.names)
    if term.null:
        return column.is_not(None)
    different: Condition = column != sa.bindparam(value)
    return sa.or_(column.is_(None), different) if column_of(record, *term.names).optional else different


def _among(record: type[Row], term: Term, value: str) -> Condition:
    column = _column(record, *term.names)
    listed = column.in_(sa.bindparam(value, expanding=True, literal_execute=term.in_line))
    return sa.or_(column.is_(None), listed) if term.null else listed


def _bounded(compare: Callable[[Any, Any], Condition]) -> Callable[[type[Row], Term, str], Condition]:
    def condition(record: type[Row], term: Term, value: str) -> Condition:
        return sa.false() if term.null else compare(_column(record, *term.names), sa.bindparam(value))

    return condition


def _containing(record: type[Row], term: Term, value: str) -> Condition:
    for name in term.names:
        if column_of(record, name).kind not in {"text", "json"}:
            raise InvalidRequest(f"{record.TABLE}.{name} is no text to look into")
    looked = (sa.func.lower(_column(record, name)).like(sa.bindparam(value), escape=ESCAPE) for name in term.names)
    return sa.or_(sa.false(), *looked)


_CONDITIONS: dict[str, Callable[[type[Row], Term, str], Condition]] = {
    "equal": _equal,
    "unequal": _unequal,
    "among": _among,
    "below": _bounded(operator.lt),
    "above": _bounded(operator.gt),
    "containing": _containing,
}
