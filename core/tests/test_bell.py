"""The bell wakes waiters from any thread, and coalesces rings."""

import asyncio
import threading

from holdfast.bell import ProcessBell


def test_a_ring_from_another_thread_wakes_the_waiter() -> None:
    """That is what drivers' threads use it for."""

    async def scenario() -> bool:
        bell = ProcessBell()
        with bell.subscribe("jobs") as jobs:
            thread = threading.Thread(target=bell.ring, args=("jobs",))
            thread.start()
            heard = await jobs.wait(30)
            thread.join()
            return heard

    assert asyncio.run(scenario())


def test_rings_while_nobody_waits_count_as_one() -> None:
    """The first wait returns at once, the second finds nothing."""

    async def scenario() -> tuple[bool, bool]:
        bell = ProcessBell()
        with bell.subscribe("jobs", "settings") as news:
            for _ in range(5):
                bell.ring("jobs")
                bell.ring("settings")
            return await news.wait(30), await news.wait(0.01)

    assert asyncio.run(scenario()) == (True, False)


def test_a_ring_after_a_wait_is_heard_by_the_next() -> None:
    """Coalescing never swallows news that came after the last wake-up."""

    async def scenario() -> list[bool]:
        bell = ProcessBell()
        heard = []
        with bell.subscribe("jobs") as jobs:
            for _ in range(3):
                bell.ring("jobs")
                heard.append(await jobs.wait(30))
        return heard

    assert asyncio.run(scenario()) == [True, True, True]


def test_every_listener_hears_its_own_topics_only() -> None:
    """Two on one topic both wake; one on another does not."""

    async def scenario() -> list[bool]:
        bell = ProcessBell()
        listeners = [bell.subscribe("jobs"), bell.subscribe("jobs"), bell.subscribe("settings")]
        bell.ring("jobs")
        return [await listener.wait(0.05) for listener in listeners]

    assert asyncio.run(scenario()) == [True, True, False]


def test_waiting_for_a_topic_once_hears_a_ring_and_leaves_no_listener() -> None:
    """`wait` subscribes for its own duration."""

    async def scenario() -> tuple[bool, bool]:
        bell = ProcessBell()
        waiting = asyncio.create_task(bell.wait("jobs", 30))
        await asyncio.sleep(0)
        bell.ring("jobs")
        heard = await waiting
        return heard, any(bell._listeners.values())

    assert asyncio.run(scenario()) == (True, False)


def test_ringing_for_a_loop_that_is_gone_is_harmless() -> None:
    """A late driver thread must not fail because the process stops."""
    bell = ProcessBell()

    async def leave_a_listener() -> None:
        bell.subscribe("jobs")

    asyncio.run(leave_a_listener())
    bell.ring("jobs")
    bell.ring("nobody listens to this")
