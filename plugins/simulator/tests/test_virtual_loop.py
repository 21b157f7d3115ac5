"""Virtual time, processes that crash, and the steps at which they do."""

import asyncio
import itertools
import time
from collections.abc import Iterator

import pytest
from holdfast_simulator import virtual_loop
from holdfast_simulator.virtual_loop import PROCESS, Process, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_an_hour_passes_at_once(loop: VirtualLoop) -> None:
    """Time jumps to the next timer; nobody waits."""
    begun = time.monotonic()
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.time() == 1000.0 + 3600
    assert time.monotonic() - begun < 60


def test_equal_times_run_in_the_order_asked_for(loop: VirtualLoop) -> None:
    """Whatever the heap does."""
    seen: list[int] = []
    for number in range(50):
        loop.call_later(1.0, seen.append, number)
    loop.run_until_complete(asyncio.sleep(2))
    assert seen == list(range(50))


def test_timeouts_and_cancellation_work_as_in_asyncio(loop: VirtualLoop) -> None:
    """The standard tools run on it."""

    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        assert loop.time() == 1005
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2)
        task = asyncio.ensure_future(asyncio.sleep(100))
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task, asyncio.ensure_future(asyncio.sleep(1))})
        assert task.cancelled()
        assert len(done) == 2
        return "end"

    assert loop.run_until_complete(main()) == "end"


def test_a_loop_with_nothing_left_to_do_says_so(loop: VirtualLoop) -> None:
    """A deadlock is an error, not a hang."""
    with pytest.raises(RuntimeError, match="nothing left to do"):
        loop.run_until_complete(asyncio.Event().wait())


def test_tasks_belong_to_the_process_that_made_them(loop: VirtualLoop) -> None:
    """Also children of children, and callbacks."""
    process = Process("a")
    seen: list[Process | None] = []

    async def child() -> None:
        seen.append(PROCESS.get())
        loop.call_later(1, lambda: seen.append(PROCESS.get()))

    async def parent() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    loop.spawn(process, parent())
    loop.run_until_complete(asyncio.sleep(5))
    assert seen == [process, process]


def test_a_crash_stops_everything_at_once(loop: VirtualLoop) -> None:
    """No callback, no task and no clean-up of the process runs after it; other processes go on."""
    dead, living = Process("dead"), Process("living")
    seen: list[str] = []

    async def work(name: str) -> None:
        try:
            while True:
                await asyncio.sleep(1)
                seen.append(name)
        finally:
            seen.append(f"{name} cleans up")

    for process in (dead, living):
        loop.spawn(process, work(process.name))
    loop.call_at(1003.5, loop.crash, dead)
    loop.run_until_complete(asyncio.sleep(5.5))
    assert seen.count("dead") == 3
    assert seen.count("living") == 5
    assert "dead cleans up" not in seen
    loop.bury(living)
    loop.bury(dead)


def test_burying_frees_even_tasks_that_resist(loop: VirtualLoop) -> None:
    """A clean-up that awaits, or raises, makes no noise and does not stop the burial."""
    process = Process("a")

    async def stubborn() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            raise ValueError("in the clean-up")

    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn())
            async with asyncio.timeout(50):
                await asyncio.sleep(60)

    loop.spawn(process, grouped())
    loop.run_until_complete(asyncio.sleep(5))
    loop.crash(process)
    loop.bury(process)
    assert process.remains == []
    assert loop.problems == []


def test_a_process_can_be_killed_before_any_of_its_steps(loop: VirtualLoop) -> None:
    """Which makes a crash at every await point possible."""

    def run(crash_at: int) -> tuple[list[int], bool, int]:
        world = VirtualLoop()
        process, seen = Process("a"), []
        process.crash_at_step = crash_at

        async def work() -> None:
            for number in range(5):
                seen.append(number)
                await asyncio.sleep(1)

        world.spawn(process, work())
        world.run_until_complete(asyncio.sleep(20))
        world.bury(process)
        world.close()
        return seen, process.alive, process.steps

    whole, _, steps = run(0)
    assert whole == [0, 1, 2, 3, 4]
    histories = [run(step)[0] for step in range(1, steps + 1)]
    assert histories[0] == []
    assert all(len(later) >= len(earlier) for earlier, later in itertools.pairwise(histories))
    assert {len(history) for history in histories} == {0, 1, 2, 3, 4, 5}


def test_an_error_that_nobody_caught_is_kept(loop: VirtualLoop) -> None:
    """A living process's lost error is a problem; a dead one's is not."""

    async def fail() -> None:
        raise ValueError("lost")

    task = loop.spawn(Process("a"), fail())
    loop.run_until_complete(asyncio.sleep(1))
    assert task.done()
    del task
    loop.call_soon(lambda: 1 / 0, context=Process("b").context())
    loop.run_until_complete(asyncio.sleep(1))
    text = " ".join(loop.problems)
    assert "lost" in text
    assert "ZeroDivisionError" in text


def test_time_that_stands_still_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of callbacks that never lets time pass ends with a message; the bound is lowered, for it is generous."""
    monkeypatch.setattr(virtual_loop, "_STANDSTILL", 20_000)
    loop = VirtualLoop()

    def again() -> None:
        loop.call_soon(again)

    loop.call_soon(again)
    with pytest.raises(RuntimeError, match="time stands still"):
        loop.run_forever()
    assert loop.handles_run == 20_000
    loop.close()
