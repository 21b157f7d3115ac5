"""The store, off the event loop. Batches that come in while one is being written are written together.

Whoever awaits `commit` goes on only once his batch is on disk, or knows that it is not (S8).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from holdfast.errors import Conflict, DeadlineExceeded, InvalidRequest, OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Change, Query, Store
from holdfast.model.rows import Row
from holdfast.runtime import Runtime

from holdfast_manager.merging import Merged

R = TypeVar("R", bound=Row)

READ_SECONDS = 10.0
WRITE_SECONDS = 10.0
_LARGEST_GROUP = 256
_MOST_CHANGES = 3000
"""Whoever waits for a batch waits for all that is written with it. One batch may be larger."""

Waiting = tuple[tuple[Change, ...], asyncio.Future[tuple[int, ...]]]


class Memory:
    """Asynchronous face of the store, with group commit."""

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self._store = store
        self._readers = runtime.pool("store-read", 4)
        self._writers = runtime.pool("store-write", 1)
        self._waiting: list[Waiting] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_stored: Callable[[Sequence[Change]], None] = lambda changes: None
        """Called with each batch that is written, before whoever awaits it goes on."""

    async def get(self, record: type[R], row_id: int) -> R | None:
        """The row, or None. `StoreUnavailable` if the store does not answer in time."""
        try:
            return await self._readers.call(READ_SECONDS, self._store.get, record, row_id)
        except DeadlineExceeded as late:
            raise StoreUnavailable(f"the store did not answer within {READ_SECONDS:g} s") from late

    async def select(self, record: type[R], query: Query) -> list[R]:
        """The rows that match."""
        try:
            return await self._readers.call(READ_SECONDS, self._store.select, record, query)
        except DeadlineExceeded as late:
            raise StoreUnavailable(f"the store did not answer within {READ_SECONDS:g} s") from late

    async def commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Write the batch, perhaps together with others'; raises what `Store.commit` raises, for this batch alone."""
        done: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append((tuple(changes), done))
        if not self._writing:
            self._writing = True
            task = asyncio.get_running_loop().create_task(self._write_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await done

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                count = _together(self._waiting)
                group, self._waiting = self._waiting[:count], self._waiting[count:]
                await self._write_group(group)
        finally:
            self._writing = False

    async def _write_group(self, group: Sequence[Waiting]) -> None:
        try:
            shares = await self._commit([changes for changes, _ in group])
        except Exception as problem:
            if len(group) > 1 and isinstance(problem, (Conflict, InvalidRequest)):
                # Somebody's batch was refused, and nothing written: find out whose, by halves.
                half = len(group) // 2
                await self._write_group(group[:half])
                await self._write_group(group[half:])
                return
            for _, done in group:
                _fail(done, problem)
        else:
            for (changes, done), ids in zip(group, shares, strict=True):
                self.on_stored(changes)
                _settle(done, ids)

    async def _commit(self, batches: Sequence[Sequence[Change]]) -> list[tuple[int, ...]]:
        try:
            return await self._writers.call(WRITE_SECONDS, self._write, batches)
        except DeadlineExceeded as late:
            raise OutcomeUnknown(f"the store did not confirm a batch within {WRITE_SECONDS:g} s") from late

    def _write(self, batches: Sequence[Sequence[Change]]) -> list[tuple[int, ...]]:
        if len(batches) == 1:
            return [self._store.commit(batches[0])]
        merged = Merged(batches)
        return merged.shares(self._store.commit(merged.changes))


def _together(waiting: Sequence[Waiting]) -> int:
    """How many of those that wait, from the first on, are written together."""
    changes = 0
    for count, (batch, _) in enumerate(waiting[:_LARGEST_GROUP]):
        changes += len(batch)
        if count and changes > _MOST_CHANGES:
            return count
    return min(len(waiting), _LARGEST_GROUP)


def _settle(done: asyncio.Future[tuple[int, ...]], ids: tuple[int, ...]) -> None:
    if not done.done():
        done.set_result(ids)


def _fail(done: asyncio.Future[tuple[int, ...]], problem: Exception) -> None:
    if not done.done():
        done.set_exception(problem)
