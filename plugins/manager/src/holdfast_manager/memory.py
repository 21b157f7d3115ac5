"""The store, off the event loop. Batches that come in while one is being written are written together.

Whoever awaits `commit` goes on only once his batch is on disk, or knows that it is not (S8).
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TypeVar

from holdfast.errors import Conflict, DeadlineExceeded, InvalidRequest, OutcomeUnknown, StoreUnavailable
from holdfast.hooks.store import Change, Insert, Query, Store, Update
from holdfast.model.rows import Row
from holdfast.runtime import Runtime

R = TypeVar("R", bound=Row)

READ_SECONDS = 10.0
WRITE_SECONDS = 10.0
_LARGEST_GROUP = 64


class Memory:
    """Asynchronous face of the store, with group commit."""

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self._store = store
        self._readers = runtime.pool("store-read", 4)
        self._writers = runtime.pool("store-write", 1)
        self._waiting: list[tuple[tuple[Change, ...], asyncio.Future[tuple[int, ...]]]] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()

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
                group, self._waiting = self._waiting[:_LARGEST_GROUP], self._waiting[_LARGEST_GROUP:]
                await self._write_group(group)
        finally:
            self._writing = False

    async def _write_group(self, group: list[tuple[tuple[Change, ...], asyncio.Future[tuple[int, ...]]]]) -> None:
        if len(group) > 1:
            together = [change for changes, _ in group for change in changes]
            try:
                ids = await self._commit(together)
            except (Conflict, InvalidRequest):
                pass  # somebody's batch was refused, and nothing written: find out whose, one by one
            except Exception as problem:
                for _, done in group:
                    _fail(done, problem)
                return
            else:
                for changes, done in group:
                    count = sum(isinstance(change, Insert) for change in changes)
                    _settle(done, ids[:count])
                    ids = ids[count:]
                return
        for changes, done in group:
            try:
                _settle(done, await self._commit(changes))
            except Exception as problem:
                _fail(done, problem)

    async def _commit(self, changes: Sequence[Change]) -> tuple[int, ...]:
        try:
            return await self._writers.call(WRITE_SECONDS, self._store.commit, changes)
        except DeadlineExceeded as late:
            raise OutcomeUnknown(f"the store did not confirm a batch within {WRITE_SECONDS:g} s") from late


def side_by_side(changes: Iterable[Change]) -> list[Change]:
    """The same batch with like changes next to each other: the store sends those together, which is far quicker.

    For batches that touch no row twice: there the order means nothing.
    """
    return sorted(changes, key=_shape)


def _shape(change: Change) -> tuple[int, str, str]:
    if isinstance(change, Insert):
        return (2, type(change.row).TABLE, "")
    if isinstance(change, Update):
        return (1, change.record.TABLE, " ".join(change.values))
    return (0, "", "")


def _settle(done: asyncio.Future[tuple[int, ...]], ids: tuple[int, ...]) -> None:
    if not done.done():
        done.set_result(ids)


def _fail(done: asyncio.Future[tuple[int, ...]], problem: Exception) -> None:
    if not done.done():
        done.set_exception(problem)
