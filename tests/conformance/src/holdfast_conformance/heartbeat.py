"""Conformance of storage heartbeats: signs of life that cannot be mistaken."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import pytest
from holdfast.adapter import offers
from holdfast.errors import DriverError, NotFound, Unreachable, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.model.views import HeartbeatReading, PoolView

from holdfast_conformance.calls import attempt, kept_deadline, raised_by, together
from holdfast_conformance.secrecy import SecretWatch
from holdfast_conformance.suite import Conformance

SHORT_DEADLINE = 1.0
WRITER, OTHER, READER, LATE_READER = "host-writer", "host-other", "host-reader", "host-late-reader"


@dataclass(frozen=True, slots=True)
class HeartbeatCapabilities:
    """`can_refuse` guards the knob of that name; `secrets` are those that pool details of the bench carry.

    `tick_seconds` is the smallest time that the driver's clock is sure to tell apart.
    """

    can_refuse: bool = True
    secrets: tuple[str, ...] = ()
    tick_seconds: float = 0.05
    deadline_seconds: float = 5.0


class HeartbeatBench(ABC):
    """One storage pool, real or simulated, with no heartbeats on it."""

    @property
    @abstractmethod
    def pool(self) -> PoolView:
        """The pool that the suite works on."""

    @abstractmethod
    def make_unreachable(self) -> None:
        """The storage answers nobody from now on, and refuses nothing."""

    @abstractmethod
    def make_reachable(self) -> None:
        """Undo `make_unreachable`. Harmless if it was not made."""

    def refuse_writes(self) -> None:
        """The storage answers every write with "no" from now on (read-only, full, no rights)."""
        raise NotImplementedError("give the bench `refuse_writes`, or set can_refuse=False")

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the readers. A bench with its own clock moves that clock instead."""
        time.sleep(seconds)


class HeartbeatConformance(Conformance):
    """Subclass it; give the fixtures `bench` (a `HeartbeatBench`, fresh for each test) and `driver`."""

    point = "heartbeat"
    capabilities: ClassVar[HeartbeatCapabilities] = HeartbeatCapabilities()

    def test_runs_on_is_agent_or_server(self, driver: HeartbeatDriver) -> None:
        """The manager has to know where the driver lives."""
        assert driver.runs_on in ("agent", "server")

    def test_a_written_beat_is_read(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """Each reader sees the newest sequence that was written."""
        self._prepare(driver, bench)
        for sequence in (1, 2, 2**40):
            self._write(driver, bench, sequence)
            assert self._read(driver, bench).sequence == sequence
            assert self._read(driver, bench, LATE_READER).sequence == sequence

    def test_no_beat_is_not_found(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """A host that never wrote has no reading; it is neither dead nor alive."""
        self._prepare(driver, bench)
        raised_by(self._deadline, lambda: driver.read(bench.pool, "host-unknown", READER, self._deadline), NotFound)

    def test_staleness_is_judged_by_the_readers_own_clock(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """`unchanged_for` grows while the sequence stands still and starts anew when it moves."""
        tick = self.capabilities.tick_seconds
        self._prepare(driver, bench)
        self._write(driver, bench, 1)
        first = self._read(driver, bench)
        bench.pass_time(tick * 4)
        later = self._read(driver, bench)
        assert later.unchanged_for >= first.unchanged_for + tick * 3
        self._write(driver, bench, 2)
        moved = self._read(driver, bench)
        assert moved.unchanged_for < later.unchanged_for
        assert moved.ever_moved

    def test_a_first_look_accuses_nobody(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """A reader that looks for the first time has seen no beat stand still, however old the beat is."""
        tick = self.capabilities.tick_seconds
        self._prepare(driver, bench)
        self._write(driver, bench, 1)
        bench.pass_time(tick * 4)
        reading = self._read(driver, bench, LATE_READER)
        assert reading.unchanged_for <= tick * 3
        assert not reading.ever_moved

    def test_preparing_again_keeps_the_beat(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """`prepare` is idempotent, and touches no other host's beat."""
        self._prepare(driver, bench)
        self._write(driver, bench, 7)
        self._prepare(driver, bench)
        driver.prepare(bench.pool, OTHER, self._deadline)
        assert self._read(driver, bench).sequence == 7

    def test_hosts_do_not_disturb_each_other(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """One host's beat says nothing about another's, and removing one leaves the other."""
        for writer, sequence in ((WRITER, 3), (OTHER, 9)):
            driver.prepare(bench.pool, writer, self._deadline)
            driver.write(bench.pool, writer, sequence, self._deadline)
        assert self._read(driver, bench).sequence == 3
        driver.remove(bench.pool, OTHER, self._deadline)
        assert self._read(driver, bench).sequence == 3

    def test_removing_is_idempotent(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """After `remove` there is no beat, and removing nothing is success."""
        self._prepare(driver, bench)
        self._write(driver, bench, 1)
        for _ in range(2):
            driver.remove(bench.pool, WRITER, self._deadline)
        raised_by(self._deadline, lambda: self._read(driver, bench), NotFound)

    def test_no_reader_sees_a_torn_beat(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """While a host writes, readers see whole sequences that never go back."""
        self._prepare(driver, bench)
        sequences = [10**number for number in range(12)]
        self._write(driver, bench, sequences[0])
        patience = self._deadline * 4

        def write() -> list[int]:
            for sequence in sequences:
                driver.write(bench.pool, WRITER, sequence, patience)
            return sequences

        def read(reader: str) -> list[int]:
            return [driver.read(bench.pool, WRITER, reader, patience).sequence for _ in range(12)]

        _, *seen = together([write, lambda: read(READER), lambda: read(LATE_READER)], patience)
        for answers in seen:
            assert set(answers) <= set(sequences), f"a torn beat was read: {answers}"
            assert answers == sorted(answers), f"a beat went back: {answers}"

    def test_disks_are_told_of_or_said_to_be_dark(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """A disk that is not there is left out, and never changes; storage that cannot tell says so."""
        if not offers(HeartbeatDriver, driver, "look_at_disks"):
            pytest.skip("the driver leaves look_at_disks out")
        self._prepare(driver, bench)
        for _ in range(2):
            try:
                reading = driver.look_at_disks(bench.pool, ("no-such-disk.qcow2",), READER, self._deadline)
            except Unsupported:
                return
            assert (reading.found, reading.changed) == (0, "")

    def test_silence_is_unreachable(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """Storage that does not answer raises `Unreachable` in time from every method, and then works again."""
        self._prepare(driver, bench)
        self._write(driver, bench, 5)
        bench.make_unreachable()
        pool, short = bench.pool, SHORT_DEADLINE
        raised_by(short, lambda: driver.prepare(pool, WRITER, short), Unreachable)
        raised_by(short, lambda: driver.write(pool, WRITER, 6, short), Unreachable)
        raised_by(short, lambda: driver.read(pool, WRITER, READER, short), Unreachable)
        raised_by(short, lambda: driver.remove(pool, WRITER, short), Unreachable)
        bench.make_reachable()
        assert self._read(driver, bench).sequence in (5, 6)

    def test_a_refused_write_is_told_apart(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """Storage that says no raises a `DriverError` that is not `Unreachable`, and the old beat stays."""
        if not self.capabilities.can_refuse:
            pytest.skip("the bench cannot refuse")
        self._prepare(driver, bench)
        self._write(driver, bench, 5)
        bench.refuse_writes()
        error = kept_deadline(self._deadline, lambda: self._write(driver, bench, 6)).error
        assert isinstance(error, DriverError), f"expected a refusal, got {error!r}"
        assert not isinstance(error, Unreachable), "the storage answered"
        assert self._read(driver, bench).sequence == 5

    def test_secrets_are_never_shown(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        """No secret of the pool in a log, an output, an error, a repr or a command line."""
        if not self.capabilities.secrets:
            pytest.skip("the pool has no secrets")
        watch = SecretWatch(*self.capabilities.secrets)
        with watch.watching():
            self._prepare(driver, bench)
            self._write(driver, bench, 1)
            bench.make_unreachable()
            for call in (lambda: self._write(driver, bench, 2), lambda: self._read(driver, bench)):
                watch.note_error(attempt(self._deadline, call).error)
        watch.note("repr of the driver", f"{driver!r} {driver}")
        watch.assert_unseen()

    @property
    def _deadline(self) -> float:
        return self.capabilities.deadline_seconds

    def _prepare(self, driver: HeartbeatDriver, bench: HeartbeatBench) -> None:
        driver.prepare(bench.pool, WRITER, self._deadline)

    def _write(self, driver: HeartbeatDriver, bench: HeartbeatBench, sequence: int) -> None:
        driver.write(bench.pool, WRITER, sequence, self._deadline)

    def _read(self, driver: HeartbeatDriver, bench: HeartbeatBench, reader: str = READER) -> HeartbeatReading:
        return driver.read(bench.pool, WRITER, reader, self._deadline)
