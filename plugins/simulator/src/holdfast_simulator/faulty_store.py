"""A store behind the simulated network: it may be out of reach, slow, and break off around a commit."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from holdfast.errors import OutcomeUnknown, StoreUnavailable, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.store import Change, Query
from holdfast.model import Row

from holdfast_simulator.memory_store import MemoryStore
from holdfast_simulator.world.gateway import Gateway
from holdfast_simulator.world.network import DATABASE

R = TypeVar("R", bound=Row)


class FaultyStore:
    """One management server's connection to the shared `MemoryStore`, over its database path.

    A read without an answer within `timeout` seconds is `StoreUnavailable`; so is a commit while the path is cut
    towards the database; a commit that left and was not answered is `OutcomeUnknown`. A crash of the process between
    the two ends of the path leaves the batch written or not, as in life.
    """

    def __init__(self, store: MemoryStore, gateway: Gateway, timeout: float = 2.0) -> None:
        self._store = store
        self._gateway = gateway
        self._timeout = timeout
        self.commits = 0
        self.before_commit: Callable[[int, Sequence[Change]], None] | None = None
        """Called in the process with the commit's number, counted from 1, just before it leaves."""
        self.after_commit: Callable[[int, Sequence[Change]], None] | None = None
        """Called in the process when the commit was answered, before its caller hears of it."""

    @hookimpl
    def get(self, record: type[R], row_id: int) -> R | None:
        """The row with this id, or None."""
        row: R | None = self._read(self._store.get, record, row_id)
        return row

    @hookimpl
    def select(self, record: type[R], query: Query) -> list[R]:
        """All rows that match, in order."""
        rows: list[R] = self._read(self._store.select, record, query)
        return rows

    @hookimpl
    def count(self, record: type[Row], query: Query) -> int:
        """How many rows match."""
        return int(self._read(self._store.count, record, query))

    @hookimpl
    def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch whole or not at all; or break off."""
        batch = tuple(changes)
        if not batch:
            return ()
        self.commits += 1
        number = self.commits
        if self.before_commit is not None:
            self.before_commit(number, batch)
        left = self._gateway.world.network.path(DATABASE, self._gateway.server, DATABASE).up
        try:
            ids: tuple[int, ...] = self._gateway.ask_database(self._timeout, self._store.commit, batch)
        except Unreachable as problem:
            if not left:
                raise StoreUnavailable(f"no connection to the database: {problem}") from problem
            raise OutcomeUnknown(f"the connection broke around a commit: {problem}") from problem
        if self.after_commit is not None:
            self.after_commit(number, batch)
        return ids

    @hookimpl
    def migrate(self) -> None:
        """Nothing to bring up to date."""
        self._read(self._store.migrate)

    @hookimpl
    def close(self) -> None:
        """The store itself belongs to the simulation: nothing to give up."""

    def _read(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return self._gateway.read_database(self._timeout, function, *args)
        except Unreachable as problem:
            raise StoreUnavailable(f"no answer from the database: {problem}") from problem
