"""GTIDs of both dialects: parsed as servers write them, and compared as sets."""

from itertools import pairwise

import pytest
from holdfast_replication.gtid import GtidSet, History, mariadb_positions, parse_mariadb, parse_mysql
from hypothesis import given
from hypothesis import strategies as st

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

_numbers = st.sets(st.integers(1, 60), max_size=40)


def _set_of(numbers: set[int]) -> GtidSet:
    text = ":".join([UUID, *map(str, numbers)]) if numbers else ""
    return parse_mysql(text)


def _numbers_of(found: GtidSet) -> set[int]:
    return {n for spans in found.intervals.values() for low, high in spans for n in range(low, high + 1)}


@given(_numbers, _numbers)
def test_sets_behave_as_sets_of_numbers(one: set[int], other: set[int]) -> None:
    """Difference, union and count agree with Python's own sets, and intervals never touch."""
    left, right = _set_of(one), _set_of(other)
    assert _numbers_of(left.minus(right)) == one - other
    assert _numbers_of(left.union(right)) == one | other
    assert left.count() == len(one)
    for spans in left.union(right).intervals.values():
        assert all(high + 1 < low for (_, high), (low, _) in pairwise(spans))


def test_a_mysql_set_is_read_over_lines_and_with_tags() -> None:
    """As SHOW REPLICA STATUS prints it."""
    found = parse_mysql(f"{UUID.upper()}:1-5:7,\n{UUID[:-1]}3:11-18,{UUID}:blue:1-2")
    assert str(found) == f"{UUID}:1-5:7, {UUID}:blue:1-2, {UUID[:-1]}3:11-18"
    assert found.count() == 6 + 8 + 2


@pytest.mark.parametrize("text", ["nonsense", f"{UUID}", f"{UUID}:5-1", f"{UUID}:0-3", "0-1"])
def test_garbage_is_refused(text: str) -> None:
    """Nothing is made of text that is no GTID set."""
    with pytest.raises(ValueError, match=r"GTID|invalid"):
        parse_mysql(text)
    with pytest.raises(ValueError, match="GTID"):
        parse_mariadb(text)


def test_a_mariadb_state_holds_the_newest_of_each_domain_and_server() -> None:
    """Its positions are by domain, whoever wrote last."""
    state = parse_mariadb("0-1-100,0-2-120,7-1-5")
    assert str(state) == "up to 0-1-100, up to 0-2-120, up to 7-1-5"
    assert mariadb_positions("0-1-100,7-1-5", "0-2-120") == {"0": 120, "7": 5}


def test_behind_counts_by_domain_in_mariadb_and_by_set_in_mysql() -> None:
    """A replica that has nothing of a domain lacks all of it."""
    source = History(parse_mariadb("0-2-120,7-1-5"), {"0": 120, "7": 5})
    assert History(parse_mariadb("0-1-100"), {"0": 100}).behind(source) == 25
    assert source.behind(source) == 0
    assert History(parse_mysql(f"{UUID}:1-5")).behind(History(parse_mysql(f"{UUID}:1-9"))) == 4
