"""Reads by key that are asked for at the same time, made as one: starts come by the thousand after a rack died.

Nothing is kept: whoever asks gets what a reading finds that began after he asked.
"""

import asyncio
from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any, Generic, TypeVar

from holdfast.errors import HoldfastError, StoreUnavailable
from holdfast.hooks.store import Query
from holdfast.model.rows import Row

from holdfast_manager.desk import Desk

R = TypeVar("R", bound=Row)

_AT_ONCE = 500


class _Turn(Generic[R]):
    """One reading: for whom, and what came of it."""

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        self.rows: dict[Any, list[R]] = {}
        self.problem: Exception | None = StoreUnavailable("the reading was given up")
        self.ended = asyncio.Event()

    def end(self, _task: object) -> None:
        """Whatever became of it, nobody waits any longer."""
        self.ended.set()


class SharedReads(Generic[R]):
    """Rows of one record by one of its fields. Event loop only.

    One reading at a time: while it is underway, those who ask gather for the next.
    """

    def __init__(
        self,
        desk: Desk,
        record: type[R],
        field: str,
        unequal: Mapping[str, Any] | None = None,
        among: Mapping[str, Any] | None = None,
        equal: Mapping[str, Any] | None = None,
    ) -> None:
        """`unequal`, `among` and `equal` are further conditions on the rows, as those of a query."""
        self._desk = desk
        self._record = record
        self._field = field
        self._key = attrgetter(field)
        self._unequal = unequal or {}
        self._among = among or {}
        self._equal = equal or {}
        self._gathering: _Turn[R] | None = None
        self._one = asyncio.Lock()

    async def of(self, key: Any) -> list[R]:
        """The rows whose field is `key`. Raises what the store raises."""
        return await self.of_each((key,))

    async def of_each(self, keys: Collection[Any]) -> list[R]:
        """The rows whose field is one of `keys`, by key and then by id. Raises what the store raises."""
        if not keys:
            return []
        turn = self._gathering
        if turn is None or len(turn.keys) >= _AT_ONCE:
            turn = self._gathering = _Turn()
            self._desk.spawn(self._read(turn)).add_done_callback(turn.end)
        turn.keys.update(keys)
        await turn.ended.wait()
        if turn.problem is not None:
            raise turn.problem
        return [row for key in sorted(set(keys)) for row in turn.rows.get(key, ())]

    async def _read(self, turn: _Turn[R]) -> None:
        try:
            async with self._one:
                if self._gathering is turn:
                    self._gathering = None
                among = {self._field: sorted(turn.keys), **self._among}
                query = Query(equal=self._equal, among=among, unequal=self._unequal, order=("id",))
                found = await self._desk.memory.select(self._record, query)
            for row in found:
                turn.rows.setdefault(self._key(row), []).append(row)
            turn.problem = None
        except HoldfastError as problem:
            turn.problem = problem
