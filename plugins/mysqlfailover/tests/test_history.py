"""GTID sets of both kinds behave as sets."""

from holdfast_mysqlfailover.history import History, mariadb_history, mysql_history
from hypothesis import given
from hypothesis import strategies as st

ORIGINS = st.sampled_from(["3e11fa47-71ca-11e1-9e33-c80aa9429562", "4350f323-7565-4e59-8763-4b1b83a0ce0e"])
SETS = st.dictionaries(ORIGINS, st.sets(st.integers(1, 30), min_size=1))


def _text(numbers: dict[str, set[int]]) -> str:
    return ",\n".join(f"{origin}:{':'.join(map(str, sorted(found)))}" for origin, found in numbers.items())


def _numbers(history: History) -> dict[str, set[int]]:
    return {
        origin: {number for first, last in spans for number in range(first, last + 1)}
        for origin, spans in history.spans.items()
    }


@given(SETS, SETS)
def test_mysql_sets_are_subtracted_and_united(one: dict[str, set[int]], other: dict[str, set[int]]) -> None:
    """As Python's sets are."""
    left, right = mysql_history(_text(one)), mysql_history(_text(other))
    assert _numbers(left) == one
    expected = {origin: numbers - other.get(origin, set()) for origin, numbers in one.items()}
    assert _numbers(left.beyond(right)) == {origin: numbers for origin, numbers in expected.items() if numbers}
    united = {origin: one.get(origin, set()) | other.get(origin, set()) for origin in {*one, *other}}
    assert _numbers(left.together(right)) == united


def test_mysql_intervals_are_read() -> None:
    """With the line breaks that the server puts in, and in capitals."""
    found = mysql_history("3E11FA47-71ca-11e1-9e33-c80aa9429562:1-5:11-18:30,\n4350f323-7565-4e59-8763-4b1b83a0ce0e:7")
    assert found.spans["3e11fa47-71ca-11e1-9e33-c80aa9429562"] == ((1, 5), (11, 18), (30, 30))
    assert str(found).startswith("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5+11-18+30")


def test_mariadb_positions_are_read() -> None:
    """The last number of each domain and server, from several lists."""
    found = mariadb_history("0-1-17,1-2-5", "", None, "0-1-20,0-3-2")
    assert str(found) == "0-1:1-20, 1-2:1-5, 0-3:1-2"
    assert str(found.beyond(mariadb_history("0-1-18,1-2-5"))) == "0-1:19-20, 0-3:1-2"
    assert str(found.beyond(History(), "-3")) == "0-3:1-2"
    assert not found.beyond(found)
