"""The real runtime never holds up the event loop: neither by starting threads nor by fetching random bytes."""

import asyncio
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from holdfast.errors import DeadlineExceeded
from holdfast_manager.real_runtime import Identities, RealRuntime


def test_the_event_loop_waits_for_no_thread_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a new thread has to wait for its first turn, and whoever started it waits too."""
    start, began = threading.Thread.start, threading.Event()

    def slow(thread: threading.Thread) -> None:
        if thread.name.startswith("holdfast-slow"):
            assert began.wait(10), "the event loop was held up"
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", slow)
    runtime = RealRuntime()

    async def calls() -> list[int]:
        pool = runtime.pool("slow", 3)
        tasks = [asyncio.ensure_future(pool.call(10.0, abs, -number)) for number in range(6)]
        await asyncio.sleep(0)
        began.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(calls()) == [0, 1, 2, 3, 4, 5]
    runtime.close()


def test_a_pool_runs_as_many_calls_at_once_as_it_may() -> None:
    """Also after calls that came too late: they keep their threads until they end, and no longer."""
    runtime = RealRuntime()
    held = threading.Event()

    async def calls() -> None:
        pool = runtime.pool("bound", 2)
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                await pool.call(0.01, held.wait, 10)
        with pytest.raises(DeadlineExceeded):
            await pool.call(0.05, abs, -1)  # both threads are taken
        held.set()
        both = threading.Barrier(2, timeout=10)
        assert sorted(await asyncio.gather(pool.call(10.0, both.wait), pool.call(10.0, both.wait))) == [0, 1]

    asyncio.run(calls())
    runtime.close()


def test_a_closed_pool_takes_no_call_and_ends_its_threads() -> None:
    """What had not begun is dropped, and what runs may end."""
    runtime = RealRuntime()
    begun, held = threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        return held.wait(10)

    async def close_in_the_middle() -> None:
        pool = runtime.pool("closed", 1)
        running = asyncio.ensure_future(pool.call(10.0, hold))
        waiting = asyncio.ensure_future(pool.call(10.0, abs, -1))
        # A thread that is there has not taken its call yet, and a call that waits is dropped.
        assert await asyncio.to_thread(begun.wait, 10)
        (thread,) = await _threads("holdfast-closed", 1)
        runtime.close()
        with pytest.raises(RuntimeError, match="closed"):
            await pool.call(10.0, abs, -1)
        held.set()
        assert await running is True
        thread.join(10)
        assert not thread.is_alive()
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(close_in_the_middle())


def test_a_pool_that_is_made_smaller_ends_threads() -> None:
    """And one that is made larger again starts them again."""
    runtime = RealRuntime()

    async def sizes() -> None:
        pool = runtime.pool("sized", 3)
        for limit in (3, 1, 2):
            pool.resize(limit)
            together = threading.Barrier(limit, timeout=10)
            await asyncio.gather(*(pool.call(10.0, together.wait) for _ in range(limit)))
            assert len(await _threads("holdfast-sized", limit)) == limit

    asyncio.run(sizes())
    runtime.close()


async def _threads(prefix: str, count: int) -> list[threading.Thread]:
    """The living threads of that name, once there are so many."""
    for _ in range(1000):
        found = [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]
        if len(found) == count:
            break
        await asyncio.sleep(0.01)
    return found


def test_identities_are_random_uuids_for_each_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """None comes twice, each is a proper version 4, and random bytes are fetched for many at once."""
    fetched: list[int] = []
    urandom = os.urandom

    def watched(count: int) -> bytes:
        fetched.append(count)
        return urandom(count)

    monkeypatch.setattr(os, "urandom", watched)
    identities = Identities()

    def take(_: Any) -> list[str]:
        return [identities.next() for _ in range(500)]

    with ThreadPoolExecutor(4) as threads:
        found = [one for part in threads.map(take, range(4)) for one in part]
    assert len(set(found)) == len(found) == 2000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in found} == {(4, uuid.RFC_4122)}
    assert len(fetched) == 8
