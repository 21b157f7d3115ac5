"""A heartbeat driver whose input and output happen in a lane: one process for each pool, where they may hang alone.

Drivers for one kind of storage say what worker serves a pool, and the worker does four plain things; see `BeatStorage`.
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from typing import Any, Protocol

from holdfast.beats.disks import DiskSightings
from holdfast.beats.record import BeatRecord, decode, encode, name_problem
from holdfast.beats.sightings import Sightings
from holdfast.errors import DriverError, NotFound, Refused, Unsupported
from holdfast.hooks.heartbeat import HeartbeatDriver
from holdfast.hooks.markers import hookimpl
from holdfast.lane import Lane
from holdfast.model.views import DiskReading, HeartbeatReading, PoolView


class BeatStorage(Protocol):
    """What a worker does with one pool, in the lane's process. It may block for as long as the storage makes it.

    Records travel as hexadecimal text. Errors: `Unreachable`, `Refused`, `NotFound`; an `OSError` is `Unreachable`.
    """

    def prepare(self, writer: str) -> None:
        """Make room for `writer`'s beats. Idempotent."""

    def put(self, writer: str, record: str) -> None:
        """Replace `writer`'s beat so that no reader sees it torn; return once it is on the storage."""

    def get(self, subjects: list[str] | None) -> dict[str, str]:
        """The records of those hosts, or of all; what is not there is left out. As the storage has it now: no cache."""

    def remove(self, subject: str) -> None:
        """Remove all traces of `subject`. Idempotent."""


class DiskStorage(BeatStorage, Protocol):
    """A worker of a driver that `sees_disks`."""

    def marks(self, disks: list[str]) -> dict[str, str]:
        """For each of these files at the top of the pool that is there, a mark that is another after each write.

        By the storage's word, past every cache. Nothing is opened or locked: the host that writes may be gone, and the
        storage would wait for it.
        """


class _Pool:
    def __init__(self, lane: Lane, sightings: Sightings, disks: DiskSightings) -> None:
        self.lane = lane
        self.sightings = sightings
        self.disks = disks
        self.lock = threading.Lock()


class ConfinedHeartbeat(HeartbeatDriver, ABC):
    """The driver's half that all kinds of storage share. Thread-safe.

    `sees_disks` is for drivers whose workers are a `DiskStorage`.
    """

    sees_disks = False
    blind = "this kind of storage cannot tell whether a disk is being written"
    """What people are told where it does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, tuple[tuple[Any, ...], _Pool]] = {}
        self._incarnation = os.urandom(16)

    @abstractmethod
    def worker_for(self, pool: PoolView) -> tuple[str, tuple[Any, ...]]:
        """Which worker serves `pool` ("module:Class") and what it is constructed with. Quick; no I/O on the pool.

        Raises `Refused` if the pool's description makes no sense.
        """

    @hookimpl
    def prepare(self, pool: PoolView, writer: str, deadline: float) -> None:
        """Make room for the writer's beats."""
        _check(writer)
        self._call(pool, deadline, "prepare", writer)

    @hookimpl
    def write(self, pool: PoolView, writer: str, sequence: int, deadline: float) -> None:
        """Put the beat on the storage."""
        beat = BeatRecord(writer, sequence, time.monotonic_ns(), self._incarnation)
        try:
            record = encode(beat)
        except ValueError as problem:
            raise Refused(f"pool {pool.name}: {problem}") from problem
        self._call(pool, deadline, "put", writer, record.hex())

    @hookimpl
    def read(self, pool: PoolView, subject: str, reader: str, deadline: float) -> HeartbeatReading:
        """Look at one beat."""
        _check(subject)
        reading = self._look(pool, reader, [subject], deadline).get(subject)
        if reading is None:
            raise NotFound(f"pool {pool.name}: there is no heartbeat of {subject}")
        if isinstance(reading, Refused):
            raise reading
        return reading

    @hookimpl
    def watch(self, pool: PoolView, reader: str, deadline: float) -> None:
        """Look at all beats."""
        self._look(pool, reader, None, deadline)

    @hookimpl
    def look_at_disks(self, pool: PoolView, disks: tuple[str, ...], reader: str, deadline: float) -> DiskReading:
        """Look once at these disks."""
        if not self.sees_disks:
            raise Unsupported(f"pool {pool.name}: {self.blind}")
        for name in disks:
            if name.startswith(".") or not name.isprintable() or "/" in name:
                raise Refused(f"pool {pool.name}: {name[:40]!r} is no disk's name")
        opened = self._open(pool)
        began = time.monotonic()
        found = opened.lane.call(deadline, "marks", list(disks))
        with opened.lock:
            return opened.disks.saw(reader, disks, found, began, time.monotonic())

    @hookimpl
    def remove(self, pool: PoolView, subject: str, deadline: float) -> None:
        """Remove the subject's beat."""
        _check(subject)
        self._call(pool, deadline, "remove", subject)
        self._open(pool).sightings.forget(subject)

    @hookimpl
    def leave(self, pool_uuid: str) -> None:
        """End the pool's process."""
        with self._lock:
            _, found = self._pools.pop(pool_uuid, ((), None))
        if found is not None:
            found.lane.close()

    def close(self) -> None:
        """End all processes, or abandon those that hang."""
        for uuid in list(self._pools):
            self.leave(uuid)

    def stuck_for(self, pool: PoolView) -> float:
        """For how many seconds the pool's process has been in the same call."""
        return self._open(pool).lane.stuck_for

    def _look(
        self, pool: PoolView, reader: str, subjects: list[str] | None, deadline: float
    ) -> dict[str, HeartbeatReading | Refused]:
        opened = self._open(pool)
        began = time.monotonic()
        found = self._call(pool, deadline, "get", subjects)
        ended = time.monotonic()
        readings: dict[str, HeartbeatReading | Refused] = {}
        with opened.lock:
            for name, record in found.items():
                try:
                    beat = decode(bytes.fromhex(record))
                    if beat.host != name:
                        raise ValueError(f"it is that of {beat.host}")
                except ValueError as problem:
                    readings[name] = Refused(f"pool {pool.name}: the heartbeat of {name} cannot be believed: {problem}")
                else:
                    readings[name] = opened.sightings.saw(reader, beat, began, ended)
        return readings

    def _open(self, pool: PoolView) -> _Pool:
        worker, parts = self.worker_for(pool)
        with self._lock:
            kept = self._pools.get(pool.uuid)
            if kept is not None and kept[0] == (worker, parts):
                return kept[1]
            # Another way to the same pool: what was seen there stays seen.
            sightings = Sightings() if kept is None else kept[1].sightings
            disks = DiskSightings() if kept is None else kept[1].disks
            if kept is not None:
                kept[1].lane.close()
            opened = _Pool(Lane(worker, f"pool {pool.name}", *parts), sightings, disks)
            self._pools[pool.uuid] = ((worker, parts), opened)
            return opened

    def _call(self, pool: PoolView, deadline: float, what: str, *arguments: Any) -> Any:
        opened = self._open(pool)
        try:
            return opened.lane.call(deadline, what, *arguments)
        except DriverError:
            with opened.lock:
                opened.sightings.blinded()
            raise


def _check(host: str) -> None:
    problem = name_problem(host)
    if problem:
        raise Refused(problem)
