"""Pools of blocking calls under virtual time."""

import asyncio
import contextvars

import pytest
from greenlet import getcurrent  # type: ignore[import-untyped]
from holdfast.errors import DeadlineExceeded, Unreachable
from holdfast_simulator.site import VirtualSite
from holdfast_simulator.virtual_runtime import EPOCH, VirtualCallPool, VirtualClock


def test_a_blocking_call_lets_the_loop_go_on() -> None:
    """Two calls of a second each take one second in a pool of two, two in a pool of one."""
    for limit, seconds in ((2, 1.0), (1, 2.0)):
        with VirtualSite() as site:
            pool = VirtualCallPool(site.loop, "test", limit)

            async def both(pool: VirtualCallPool = pool, site: VirtualSite = site) -> None:
                await asyncio.gather(pool.call(10, site.time.sleep, 1.0), pool.call(10, site.time.sleep, 1.0))

            begun = site.loop.time()
            site.loop.run_until_complete(both())
            assert site.loop.time() - begun == pytest.approx(seconds)


def test_results_and_errors_come_back() -> None:
    """As from a plain call."""
    with VirtualSite() as site:
        assert site.call(lambda left, right: left + right, 2, right=3) == 5
        with pytest.raises(ZeroDivisionError):
            site.call(lambda: 1 / 0)


def test_a_call_that_is_late_keeps_its_place_until_it_ends() -> None:
    """The caller gets `DeadlineExceeded` in time; the next caller has to wait for the stuck call."""
    with VirtualSite() as site:
        pool = VirtualCallPool(site.loop, "test", 1)
        ended: list[float] = []

        def stuck() -> None:
            site.time.sleep(30)
            ended.append(site.loop.time())

        async def main() -> None:
            begun = site.loop.time()
            with pytest.raises(DeadlineExceeded, match="stuck"):
                await pool.call(2, stuck)
            assert site.loop.time() - begun == pytest.approx(2)
            assert pool.running == 1
            with pytest.raises(DeadlineExceeded):
                await pool.call(3, lambda: "never got a turn")
            assert await pool.call(60, lambda: "after it") == "after it"
            assert ended == [begun + 30]

        site.loop.run_until_complete(main())
        assert pool.running == 0


def test_a_cancelled_caller_leaves_the_call_running() -> None:
    """As a thread would."""
    with VirtualSite() as site:
        pool, ended = VirtualCallPool(site.loop, "test", 1), []

        def work() -> None:
            site.time.sleep(5)
            ended.append(True)

        async def main() -> None:
            task = asyncio.ensure_future(pool.call(60, work))
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.sleep(0)
            assert pool.running == 1
            await asyncio.sleep(10)

        site.loop.run_until_complete(main())
        assert ended == [True]
        assert pool.running == 0


def test_blocking_on_the_loop_itself_is_refused() -> None:
    """A driver called outside a pool would stop the world."""
    with VirtualSite() as site, pytest.raises(RuntimeError, match="through a pool"):
        site.time.sleep(1)


def test_a_crash_ends_calls_in_the_middle() -> None:
    """What comes after the wait never runs, not even when the process is buried; nothing else gets in either."""
    with VirtualSite() as site:
        life, seen = site.open("ms1"), []

        def work() -> None:
            try:
                seen.append("before")
                site.time.sleep(5)
                seen.append("after")
            finally:
                with pytest.raises(Unreachable):
                    life.gateway.ask_database(1.0, seen.append, "clean-up")

        async def main() -> None:
            await life.runtime.pool("test", 2).call(10, work)
            seen.append("returned")

        site.loop.spawn(life.process, main())
        site.run(1)
        site.crash(life)
        site.run(20)
        assert seen == ["before"]
    assert seen == ["before"]


def test_calls_take_turns_in_the_same_greenlets() -> None:
    """Calls one after the other share one; two at once have one each; each sees its own context and no other's."""
    own: contextvars.ContextVar[int] = contextvars.ContextVar("own")
    with VirtualSite() as site:
        pool, seen = VirtualCallPool(site.loop, "test", 5), []

        def work(number: int) -> int:
            own.set(number)
            site.time.sleep(1)
            seen.append((getcurrent(), own.get()))
            return number

        async def main() -> None:
            for number in range(3):
                assert await pool.call(10, work, number) == number
            await asyncio.gather(pool.call(10, work, 3), pool.call(10, work, 4))
            assert own.get(None) is None

        site.loop.run_until_complete(main())
        assert [number for _, number in seen] == [0, 1, 2, 3, 4]
        assert len({greenlet for greenlet, _ in seen[:3]}) == 1
        assert len({greenlet for greenlet, _ in seen[3:]}) == 2
        greenlets = {greenlet for greenlet, _ in seen}
        assert not any(greenlet.dead for greenlet in greenlets)
    assert all(greenlet.dead for greenlet in greenlets)


def test_the_greenlet_of_a_crashed_call_is_never_used_again() -> None:
    """It may be stuck anywhere."""
    with VirtualSite() as site:
        life, seen = site.open("ms1"), []

        def work() -> None:
            seen.append(getcurrent())
            site.time.sleep(5)

        async def main() -> None:
            await life.runtime.pool("test", 2).call(10, work)

        site.loop.spawn(life.process, main())
        site.run(1)
        site.crash(life)
        site.loop.bury(life.process)
        assert seen[0].dead
        site.call(work)
        assert seen[0] is not seen[1]


def test_clocks_are_each_machines_own() -> None:
    """Offset, rate and skew are apart; a wall clock may jump, the monotonic one never does."""
    with VirtualSite() as site:
        clock = VirtualClock(site.loop, offset=500.0, rate=1.0005, skew=-90.0)
        before = clock.monotonic()
        assert clock.wall() == EPOCH + site.loop.time() - 90
        site.run(1000)
        clock.skew = 3600.0
        assert clock.monotonic() - before == pytest.approx(1000.5)
        assert clock.wall() == EPOCH + site.loop.time() + 3600


def test_chance_and_identities_come_from_the_seed() -> None:
    """The same seed and process give the same, others do not."""

    def drawn(seed: str, name: str) -> tuple[float, str]:
        with VirtualSite(seed) as site:
            runtime = site.open(name).runtime
            return runtime.random(), runtime.uuid()

    assert drawn("1", "a") == drawn("1", "a")
    assert len({drawn("1", "a"), drawn("2", "a"), drawn("1", "b")}) == 3
