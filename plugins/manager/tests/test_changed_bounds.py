"""Bounds that are settings are followed while the server runs: pools of calls, and starts per host."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from holdfast.model import VmState
from holdfast_manager.real_runtime import RealRuntime
from holdfast_manager.slots import Slots
from holdfast_simulator.world.physics import Physics
from manager_bed import Bed


@pytest.mark.parametrize(
    ("pool", "setting"),
    [
        ("health", "ha.max.concurrent.health.check.operations"),
        ("activity", "ha.max.concurrent.activity.check.operations"),
        ("recovery", "ha.max.concurrent.recovery.operations"),
        ("fence", "ha.max.concurrent.fence.operations"),
        ("oobm", "outofbandmanagement.sync.poolsize"),
    ],
)
def test_a_pool_follows_its_setting(make_bed: Callable[..., Bed], pool: str, setting: str) -> None:
    """At the next poll, up and down; also for a pool that was made before the tables were read."""
    bed = make_bed(servers=1, settings={setting: "7"})
    desk = bed.managers["ms1"].desk
    assert desk.pool(pool).limit == 7
    for size in ("31", "3"):
        bed.setting(setting, size)
        bed.run(3)
        assert desk.pool(pool).limit == int(size)


@pytest.mark.parametrize(("first", "then"), [("1", "6"), ("6", "2")])
def test_starts_per_host_follow_their_setting(make_bed: Callable[..., Bed], first: str, then: str) -> None:
    """In the middle of a storm of restarts: as many starts at once as the setting says now."""
    bed = make_bed(hosts=2, servers=1, settings={"ha.starts.per.host": first}, physics=Physics(vm_start=2.0))
    for number in range(40):
        bed.add_vm(f"vm{number}", 1, ram=512, cpu=1, cpu_speed=100)
    at_once: list[tuple[float, int]] = []

    def look(one: Any) -> None:
        if one.what == "guest-began":
            starting = sum(guest.starting for guest in bed.machine(one.host).book.guests.values())
            at_once.append((bed.loop.time(), starting))

    bed.world.chronicle.watchers.append(look)
    bed.machine("h1").power_off("power loss")
    bed.run_until(lambda: len(at_once) >= 8, 40)
    changed = bed.loop.time()
    bed.setting("ha.starts.per.host", then)
    bed.run_until(lambda: all(vm.state == VmState.RUNNING and vm.host_id == 2 for vm in bed.vms()), 120, step=0.5)
    assert max(count for at, count in at_once if at <= changed) == int(first)
    assert max(count for at, count in at_once if at > changed + 6) == int(then)
    bed.check_once()


def test_a_pool_of_threads_is_resized_while_calls_run() -> None:
    """Grown: as many run at once as may now, those that had to wait before among them; none is lost."""
    runtime = RealRuntime()
    go, entered = threading.Event(), threading.Semaphore(0)

    def work(number: int) -> int:
        entered.release()
        assert go.wait(10)
        return number

    async def scenario() -> list[int]:
        pool = runtime.pool("test", 1)
        first = [asyncio.ensure_future(pool.call(10, work, number)) for number in (0, 1)]
        await asyncio.sleep(0)
        pool.resize(3)
        assert pool.limit == 3
        more = [asyncio.ensure_future(pool.call(10, work, number)) for number in (2, 3, 4)]
        await asyncio.to_thread(lambda: [entered.acquire(timeout=10) for _ in range(3)])
        go.set()
        return list(await asyncio.gather(*first, *more))

    try:
        assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]
    finally:
        runtime.close()


def test_turns_come_in_order_and_are_not_lost_with_whoever_is_cancelled() -> None:
    """First come, first served; a cancelled one leaves its turn to the next."""
    limit = 1
    order: list[str] = []

    async def scenario() -> None:
        slots = Slots(lambda: limit)

        async def take(name: str, until: asyncio.Event) -> None:
            async with slots.one(7):
                order.append(name)
                await until.wait()

        first, rest = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.ensure_future(take("a", first))]
        await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(take(name, rest)) for name in "bcd"]
        await asyncio.sleep(0)
        first.set()
        await asyncio.sleep(0)  # "a" is about to give its turn to "b"
        tasks[1].cancel()
        rest.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots._taken == {}
        assert slots._waiting == {}

    asyncio.run(scenario())
    assert order[0] == "a"
    assert order[-2:] == ["c", "d"]


def test_a_raised_limit_lets_the_next_in_without_anybody_leaving() -> None:
    """`fill` gives the turns there is room for now."""
    limit = [1]
    inside: list[int] = []

    async def scenario() -> None:
        slots = Slots(lambda: limit[0])
        gate = asyncio.Event()

        async def take(number: int) -> None:
            async with slots.one(1):
                inside.append(number)
                await gate.wait()

        tasks = [asyncio.ensure_future(take(number)) for number in range(4)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert inside == [0]
        limit[0] = 3
        slots.fill()
        for _ in range(3):
            await asyncio.sleep(0)
        assert inside == [0, 1, 2]
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
