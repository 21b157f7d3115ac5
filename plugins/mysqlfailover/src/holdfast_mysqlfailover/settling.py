"""After a commit that was never answered: was the transaction written?"""

import contextlib
import time
from typing import TYPE_CHECKING

from pymysql.err import MySQLError

from holdfast_mysqlfailover.connection import FateUnknown, Undone
from holdfast_mysqlfailover.scout import NoAnswer, words_of
from holdfast_mysqlfailover.writer_row import DUPLICATE, number_of, token_statement

if TYPE_CHECKING:
    from holdfast_mysqlfailover.pilot import Pilot


def settle_token(pilot: "Pilot", token: bytes) -> None:
    """Return if the transaction of `token` is written. `Undone` if it is not and never will be. Blocks for `patience`.

    The token is written anew. If it is there already, so is its transaction; while that is still being committed, the
    database makes this one wait for it. If it is not there, it is now, and the old transaction can no longer be
    written: not here, and not on a host that replicates from here without replication stopping over it.
    `FateUnknown` if no host could be asked in time.
    """
    until = pilot.patience()
    words = "no host could be asked"
    while time.monotonic() < until:
        try:
            standing = pilot.serving(until)
        except MySQLError as problem:
            raise FateUnknown(f"the connection broke around a commit, and {words_of(problem)}") from problem
        if standing.host is None or not standing.epoch:
            break
        try:
            with contextlib.closing(pilot.fleet.scout(standing.host).run(pilot.timing.patience)) as connection:
                if connection.query(token_statement(standing.epoch, token)) == 1:
                    raise Undone("the connection broke around a commit, and nothing was written")
                pilot.failed(standing, None)
        except Undone:
            raise
        except NoAnswer as problem:
            words = str(problem)
            pilot.failed(standing, problem)
        except MySQLError as problem:
            if number_of(problem) == DUPLICATE:
                return
            words = words_of(problem)
            pilot.failed(standing, problem)
    raise FateUnknown(f"the connection broke around a commit, and it is not known whether it was written ({words})")
