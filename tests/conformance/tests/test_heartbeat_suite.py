"""The heartbeat suite passes a correct driver, and each check fails one that breaks its rule."""

import threading

import pytest
from holdfast.errors import NotFound, Refused, Unreachable
from holdfast.hooks.markers import hookimpl
from holdfast.model.views import DiskReading, HeartbeatReading, PoolView
from holdfast_conformance import (
    HeartbeatBench,
    HeartbeatCapabilities,
    HeartbeatConformance,
    failures,
    standard_tests,
)

SECRET = "chap secret of the pool"


class Pool(HeartbeatBench):
    """A pool in memory, with the readers' clock."""

    def __init__(self) -> None:
        self.beats: dict[str, int] = {}
        self.now = 0.0
        self.silent = self.refusing = False
        self.gate = threading.Event()

    @property
    def pool(self) -> PoolView:
        return PoolView("pool-1", "one", "NetworkFilesystem", "memory", details={"chap": SECRET})

    def make_unreachable(self) -> None:
        self.silent = True

    def make_reachable(self) -> None:
        self.silent = False

    def refuse_writes(self) -> None:
        self.refusing = True

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class MemoryHeartbeat:
    """A correct driver."""

    runs_on = "server"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._seen: dict[tuple[str, str], tuple[int, float, bool]] = {}

    @hookimpl
    def prepare(self, pool, writer, deadline):
        self._reach()

    @hookimpl
    def write(self, pool, writer, sequence, deadline):
        self._reach()
        if self._pool.refusing:
            raise Refused(f"{pool.name} is read-only")
        self._pool.beats[writer] = sequence

    @hookimpl
    def read(self, pool, subject, reader, deadline):
        self._reach()
        if subject not in self._pool.beats:
            raise NotFound(f"{subject} has no beat on {pool.name}")
        sequence, now = self._pool.beats[subject], self._pool.now
        last, since, moved = self._seen.get((reader, subject), (sequence, now, False))
        if last != sequence:
            since, moved = now, True
        self._seen[reader, subject] = (sequence, since, moved)
        return HeartbeatReading(sequence, now - since, moved)

    @hookimpl
    def remove(self, pool, subject, deadline):
        self._reach()
        self._pool.beats.pop(subject, None)

    def _reach(self) -> None:
        if self._pool.silent:
            raise Unreachable("the storage does not answer")


class TestACorrectDriver(HeartbeatConformance):
    """The whole suite, with a clock of its own."""

    capabilities = HeartbeatCapabilities(secrets=(SECRET,))

    @pytest.fixture
    def bench(self) -> Pool:
        """A fresh pool."""
        return Pool()

    @pytest.fixture
    def driver(self, bench: Pool) -> MemoryHeartbeat:
        """The driver under test."""
        return MemoryHeartbeat(bench)


class LivesNowhere(MemoryHeartbeat):
    runs_on = "moon"


class WritesOnce(MemoryHeartbeat):
    @hookimpl
    def write(self, pool, writer, sequence, deadline):
        super().write(pool, writer, self._pool.beats.get(writer, sequence), deadline)


class NoBeatIsZero(MemoryHeartbeat):
    @hookimpl
    def read(self, pool, subject, reader, deadline):
        self._reach()
        if subject not in self._pool.beats:
            return HeartbeatReading(0, 3600.0)
        return super().read(pool, subject, reader, deadline)


class AlwaysFresh(MemoryHeartbeat):
    @hookimpl
    def read(self, pool, subject, reader, deadline):
        return HeartbeatReading(super().read(pool, subject, reader, deadline).sequence, 0.0)


class ComparesClocks(MemoryHeartbeat):
    """Takes the writer's time for the reader's."""

    @hookimpl
    def read(self, pool, subject, reader, deadline):
        reading = super().read(pool, subject, reader, deadline)
        return HeartbeatReading(reading.sequence, self._pool.now, True)


class PreparingWipes(MemoryHeartbeat):
    @hookimpl
    def prepare(self, pool, writer, deadline):
        super().prepare(pool, writer, deadline)
        self._pool.beats.clear()


class RemovesEverything(MemoryHeartbeat):
    @hookimpl
    def remove(self, pool, subject, deadline):
        super().remove(pool, subject, deadline)
        self._pool.beats.clear()


class RemovesOnce(MemoryHeartbeat):
    @hookimpl
    def remove(self, pool, subject, deadline):
        if subject not in self._pool.beats:
            raise NotFound(f"{subject} has no beat")
        super().remove(pool, subject, deadline)


class WritesTwoHalves(MemoryHeartbeat):
    """The second beat stays torn until a reader has looked, and readers wait for it, so that no luck is needed."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._torn, self._looked = threading.Event(), threading.Event()

    @hookimpl
    def write(self, pool, writer, sequence, deadline):
        if writer in self._pool.beats and not self._torn.is_set():
            super().write(pool, writer, sequence + 5, deadline)
            self._torn.set()
            self._looked.wait(deadline)
        super().write(pool, writer, sequence, deadline)

    @hookimpl
    def read(self, pool, subject, reader, deadline):
        self._torn.wait(deadline)
        reading = super().read(pool, subject, reader, deadline)
        self._looked.set()
        return reading


class SilenceIsNoBeat(MemoryHeartbeat):
    @hookimpl
    def read(self, pool, subject, reader, deadline):
        if self._pool.silent:
            raise NotFound("no beat")
        return super().read(pool, subject, reader, deadline)


class RefusalIsSilence(MemoryHeartbeat):
    @hookimpl
    def write(self, pool, writer, sequence, deadline):
        try:
            super().write(pool, writer, sequence, deadline)
        except Refused as problem:
            raise Unreachable(str(problem)) from None


class PrintsTheSecret(MemoryHeartbeat):
    @hookimpl
    def write(self, pool, writer, sequence, deadline):
        print(pool)
        super().write(pool, writer, sequence, deadline)


class SeesDisksThatAreNotThere(MemoryHeartbeat):
    @hookimpl
    def look_at_disks(self, pool, disks, reader, deadline):
        return DiskReading(len(disks), 1.0, 0.0, disks[0])


class LacksRemove(MemoryHeartbeat):
    remove = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksRemove],
    "test_runs_on_is_agent_or_server": [LivesNowhere],
    "test_a_written_beat_is_read": [WritesOnce],
    "test_no_beat_is_not_found": [NoBeatIsZero],
    "test_staleness_is_judged_by_the_readers_own_clock": [AlwaysFresh, WritesOnce],
    "test_a_first_look_accuses_nobody": [ComparesClocks],
    "test_preparing_again_keeps_the_beat": [PreparingWipes],
    "test_hosts_do_not_disturb_each_other": [RemovesEverything],
    "test_removing_is_idempotent": [RemovesOnce],
    "test_no_reader_sees_a_torn_beat": [WritesTwoHalves],
    "test_disks_are_told_of_or_said_to_be_dark": [SeesDisksThatAreNotThere],
    "test_silence_is_unreachable": [SilenceIsNoBeat],
    "test_a_refused_write_is_told_apart": [RefusalIsSilence],
    "test_secrets_are_never_shown": [PrintsTheSecret],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_driver_that_breaks_its_rule(check: str, wrong: type[MemoryHeartbeat]) -> None:
    """A check that cannot fail proves nothing."""

    def fixtures() -> dict[str, object]:
        pool = Pool()
        return {"bench": pool, "driver": wrong(pool)}

    assert check in failures(TestACorrectDriver, fixtures, only=check)


def test_every_check_has_a_driver_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(HeartbeatConformance))
