"""A connection that breaks while it is still being prepared: nobody has been lent it yet."""

import pytest
from holdfast_mysqlfailover.connection import PilotedConnection
from pymysql.err import InterfaceError


def test_a_break_before_it_is_settled_is_the_drivers_own_error() -> None:
    """The pilot, which it does not know yet, hears of it from whoever opens it."""
    connection = PilotedConnection(defer_connect=True)
    assert connection.is_dead

    with pytest.raises(InterfaceError):
        connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
