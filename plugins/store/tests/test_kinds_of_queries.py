"""Statements are made once for each kind of query."""

import pytest
from holdfast.hooks.store import Query
from holdfast.model import Host
from holdfast_store.encoding import Encoding
from holdfast_store.queries import Queries


@pytest.fixture
def queries() -> Queries:
    """Nothing secret is asked for."""
    return Queries(Encoding(lambda: pytest.fail("no secret is written")))


def test_other_values_are_asked_with_the_same_statement(queries: Queries) -> None:
    """However many there are."""
    first = queries.rows(Host, Query(equal={"name": "h1"}, among={"id": (1, 2)}, order=("-name",), limit=5))
    second = queries.rows(Host, Query(equal={"name": "h2"}, among={"id": (3,)}, order=("-name",), limit=6))
    assert first.statement is second.statement
    assert first.values == {"value0": "h1", "value1": [1, 2], "limit": 5}
    assert second.values == {"value0": "h2", "value1": [3], "limit": 6}


@pytest.mark.parametrize(
    "query",
    [
        Query(equal={"cluster_id": None}),
        Query(unequal={"cluster_id": 1}),
        Query(among={"cluster_id": (1,)}),
        Query(among={"cluster_id": (1, None)}),
        Query(among={"cluster_id": range(10_000)}),
        Query(equal={"pod_id": 1}),
        Query(equal={"cluster_id": 1}, order=("name",)),
        Query(equal={"cluster_id": 1}, limit=1),
        Query(equal={"cluster_id": 1}, offset=1),
    ],
)
def test_another_kind_has_another_statement(queries: Queries, query: Query) -> None:
    """Where more than a value differs."""
    plain = queries.rows(Host, Query(equal={"cluster_id": 1}))
    assert queries.rows(Host, query).statement is not plain.statement
    assert queries.text(Host, query).statement is not queries.rows(Host, query).statement


def test_a_count_is_of_all_that_match(queries: Queries) -> None:
    """A page is a matter of the rows."""
    page = Query(equal={"name": "h1"}, order=("name",), limit=5, offset=5)
    assert queries.count(Host, page) == queries.count(Host, Query(equal={"name": "h1"}))


def test_what_was_not_asked_for_long_is_let_go(queries: Queries) -> None:
    """Clients choose the conditions: the statements must not fill the memory."""
    for number in range(1_100):
        queries.rows(Host, Query(order=tuple("name" if number >> bit & 1 else "-name" for bit in range(11))))
    assert queries._statement.cache_info().currsize == 1_000
