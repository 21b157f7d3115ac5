"""Who tells: the first server that is seen to live, and nobody else."""

import pytest
from holdfast.model import ManagementServer, Moment
from holdfast_replication.turns import Turn, Turns


def _rows(*last_updates: float) -> list[ManagementServer]:
    return [
        ManagementServer(uuid=f"u{number}", msid=number, runid=1, name=f"ms{number}", last_update=Moment(last))
        for number, last in enumerate(last_updates, 1)
    ]


@pytest.fixture
def second() -> Turns:
    """The second of the servers."""
    return Turns("ms2", patience=20.0)


def test_the_first_tells_at_once() -> None:
    """Whatever stands in the rows of those that come after it, and where there are no rows at all."""
    assert Turns("ms1").whose(_rows(0, 0), 100.0) is Turn.OURS
    assert Turns("ms1").whose([], 100.0) is Turn.OURS


def test_a_row_that_moves_is_a_living_server(second: Turns) -> None:
    """It is known from the second look on, and that it lived when the row was first seen as it was."""
    assert second.whose(_rows(7, 0), 100.0) is Turn.UNKNOWN
    assert second.whose(_rows(8, 0), 105.0) is Turn.THEIRS
    assert second.heard == 100.0
    assert second.whose(_rows(9, 0), 110.0) is Turn.THEIRS
    assert second.heard == 105.0


def test_a_row_that_stands_still_is_a_dead_server(second: Turns) -> None:
    """Nobody writes `Down` into it. Until that is certain, nobody is known to tell."""
    found = [second.whose(_rows(7, 0), 100.0 + 5 * look) for look in range(6)]
    assert found == [Turn.UNKNOWN] * 5 + [Turn.OURS]


def test_one_that_dies_hands_over(second: Turns) -> None:
    """Two looks long it was alive."""
    second.whose(_rows(7, 0), 100.0)
    assert second.whose(_rows(8, 0), 105.0) is Turn.THEIRS
    found = [second.whose(_rows(8, 0), 105.0 + 5 * look) for look in range(1, 6)]
    assert found[-1] is Turn.OURS


def test_the_time_in_which_nobody_could_look_counts_for_nothing(second: Turns) -> None:
    """All rows stand still while the database is away."""
    second.whose(_rows(7, 0), 100.0)
    second.forget()
    assert second.whose(_rows(7, 0), 200.0) is Turn.UNKNOWN
    assert second.whose(_rows(9, 0), 300.0) is Turn.UNKNOWN, "it moved within a time in which nobody looked"


def test_a_server_without_a_row_comes_after_all_others() -> None:
    """It has only begun, or runs no manager."""
    turns = Turns("ms9")
    turns.whose(_rows(7, 7), 100.0)
    assert turns.whose(_rows(7, 8), 105.0) is Turn.THEIRS
