"""The coordinator of a single process: leases and claims in its own memory, under a file that no other process shares.

Invariant: every epoch given out is higher than any given out before it, by this process or an earlier one on the same
file. The number of starts makes the high bits, and is on disk before the first epoch of that start is used.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from holdfast.errors import InvalidRequest, LeaseLost
from holdfast.hooks.coordinator import Session
from holdfast.hooks.markers import hookimpl
from holdfast.options import Option

from holdfast_coordinator_local.hold import Hold

_SEQUENCE_BITS = 12
"""With milliseconds above them, epochs stay below 2^53 until 2039: exact also where JSON readers know only doubles."""


def _boot_time() -> float:
    # Unlike time.monotonic it goes on while the machine is suspended, and so do everybody else's leases.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class _Lease:
    member: str
    seconds: float
    ends: float


class LocalCoordinator:
    """Coordinator `local`. A second process that tries to join is refused: it would act on the same hosts unseen.

    The file is held from the first session's beginning until the last one is given up, or the process dies.
    Thread-safe.
    """

    SETTINGS: ClassVar[Mapping[str, Option]] = {
        "path": Option(
            Path, Path("coordinator.lock"), "the file that one process holds; the count of starts is kept beside it"
        )
    }

    def __init__(self, settings: Mapping[str, Any], clock: Callable[[], float] = _boot_time) -> None:
        """`ConfigurationError` if another process holds the file now, or the file cannot be used."""
        self._clock = clock
        self._changed = threading.Condition()
        self._hold = Hold(Path(settings["path"]))
        self._hold.check_free()
        self._start = 0
        self._sequence = 0
        self._leases: dict[str, _Lease] = {}
        self._claims: dict[str, tuple[str, int]] = {}

    @hookimpl
    def join(self, member: str, lease_seconds: float) -> Session:
        """Open a session; waits for an earlier one of the same member to end or be given up."""
        if not lease_seconds > 0:
            raise InvalidRequest(f"a lease of {lease_seconds} seconds cannot be held; give more than 0")
        with self._changed:
            while (rest := self._rest_of(member)) > 0:
                self._changed.wait(rest)
            asked = self._clock()
            if not self._hold.held:
                self._take_hold()
            token = secrets.token_hex(16)
            self._leases[token] = _Lease(member, lease_seconds, asked + lease_seconds)
            return Session(member, self._next_epoch(), token)

    @hookimpl
    def renew(self, session: Session) -> float:
        """Extend the lease by the seconds it was opened with."""
        asked = self._clock()
        with self._changed:
            lease = self._lease_of(session)
            lease.ends = asked + lease.seconds
            return lease.seconds

    @hookimpl
    def leave(self, session: Session) -> None:
        """End the session; the file is let go with the last one."""
        with self._changed:
            self._drop(session.token)
            self._drop_ended()
            if not self._leases:
                self._hold.release()
            self._changed.notify_all()

    @hookimpl
    def members(self) -> tuple[str, ...]:
        """Members whose lease holds now."""
        with self._changed:
            self._drop_ended()
            return tuple(sorted({lease.member for lease in self._leases.values()}))

    @hookimpl
    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        """Claim what is free or void."""
        with self._changed:
            self._lease_of(session)
            self._drop_ended()
            held = {}
            for resource in resources:
                holder = self._claims.get(resource)
                if holder is None:
                    holder = self._claims[resource] = (session.token, self._next_epoch())
                if holder[0] == session.token:
                    held[resource] = holder[1]
            return held

    @hookimpl
    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        """Give back what this session holds of them."""
        with self._changed:
            for resource in resources:
                if self._claims.get(resource, ("", 0))[0] == session.token:
                    del self._claims[resource]

    def _rest_of(self, member: str) -> float:
        """Seconds for which an earlier session of that member still holds."""
        self._drop_ended()
        now = self._clock()
        return max((lease.ends - now for lease in self._leases.values() if lease.member == member), default=0.0)

    def _lease_of(self, session: Session) -> _Lease:
        lease = self._leases.get(session.token)
        if lease is None or lease.ends <= self._clock():
            self._drop(session.token)
            raise LeaseLost(f"the lease of {session.member} (session epoch {session.epoch}) has ended; join again")
        return lease

    def _drop_ended(self) -> None:
        now = self._clock()
        for token in [token for token, lease in self._leases.items() if lease.ends <= now]:
            self._drop(token)

    def _drop(self, token: str) -> None:
        if self._leases.pop(token, None) is not None:
            self._claims = {name: holder for name, holder in self._claims.items() if holder[0] != token}

    def _take_hold(self) -> None:
        self._start = self._hold.take()
        self._sequence = 0

    def _next_epoch(self) -> int:
        if self._sequence + 1 >> _SEQUENCE_BITS:
            self._start = self._hold.count_start()
            self._sequence = 0
        self._sequence += 1
        return (self._start << _SEQUENCE_BITS) | self._sequence
