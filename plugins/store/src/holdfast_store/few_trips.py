"""MySQL and MariaDB asked in few trips: many updates go out as one statement.

PyMySQL sends a list of updates one by one, and waits for the answer to each: the permits of 500 VMs took a thousand
trips to the server and back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from holdfast.model.rows import Row

from holdfast_store.tables import as_sent

_AT_ONCE = 100
"""Rows of one statement. The server compares each row with the ids of all before it, for each field that is set."""
_LONGEST = 1_000_000
"""Letters of one statement. A server takes no more than `max_allowed_packet` at once, 16 MiB unless it was set."""


def knows(dialect: sa.Dialect) -> bool:
    """Whether a database can be asked so."""
    return dialect.name in {"mysql", "mariadb"}


def fit(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these rows' texts are short enough for statements of many rows."""
    return sum(len(value) for row in rows for value in row.values() if isinstance(value, str)) <= _LONGEST


def parts(count: int) -> Iterator[slice]:
    """`count` rows in parts that are written by one statement each."""
    return (slice(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE))


def update(
    connection: sa.Connection,
    record: type[Row],
    values: Iterable[str],
    expect: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> int:
    """Set the fields `values` of each row that is as expected, and return how many were.

    Each of `rows` has `row_id`, `set_<field>` and `was_<field>` for what is expected and not None. One that is named
    twice counts once. Every value stands in the statement as it would in one for its row alone, so it is compared and
    converted alike.
    """
    quote = connection.dialect.identifier_preparer.quote

    def sent(key: str, name: str) -> list[Any]:
        way = as_sent(record, name, connection.dialect)
        return [way(row[key]) for row in rows]

    ids, news = sent("row_id", "id"), []
    parameters: list[Any] = []
    for name in values:
        each = sent(f"set_{name}", name)
        if all(value == each[0] for value in each):
            news.append(f"{quote(name)} = %s")
            parameters.append(each[0])
        else:
            news.append(f"{quote(name)} = CASE id {'WHEN %s THEN %s ' * len(rows)}END")
            parameters += chain(*zip(ids, each, strict=True))
    known = [name for name, value in expect.items() if value is not None]
    guards = ["id = %s", *(f"{quote(n)} = %s" if n in known else f"{quote(n)} IS NULL" for n in expect)]
    parameters += chain(*zip(ids, *(sent(f"was_{name}", name) for name in known), strict=True))
    where = " OR ".join([f"({' AND '.join(guards)})"] * len(rows))
    text = f"UPDATE {record.TABLE} SET {', '.join(news)} WHERE {where}"  # noqa: S608 - made of field names alone
    return connection.exec_driver_sql(text, tuple(parameters)).rowcount
