"""The coordinator suite passes a correct coordinator, and each check fails one that breaks its rule."""

import contextlib
import threading

import pytest
from holdfast.errors import LeaseLost
from holdfast.hooks.coordinator import Session
from holdfast.hooks.markers import hookimpl
from holdfast_conformance import (
    CoordinatorBench,
    CoordinatorCapabilities,
    CoordinatorConformance,
    failures,
    standard_tests,
)


class Service(CoordinatorBench):
    """The service behind the clients: its clock and its books."""

    def __init__(self) -> None:
        self.now = 0.0
        self.epoch = 0
        self.ends: dict[str, float] = {}
        self.names: dict[str, str] = {}
        self.leases: dict[str, float] = {}
        self.holders: dict[str, tuple[str, int]] = {}
        self.lock = threading.Lock()
        self.kind: type[MemoryCoordinator] = MemoryCoordinator

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def client(self) -> "MemoryCoordinator":
        return self.kind(self)

    def is_live(self, token: str) -> bool:
        """Whether the lease of this session holds."""
        return self.now < self.ends.get(token, -1.0)


class MemoryCoordinator:
    """A correct coordinator."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @hookimpl
    def join(self, member: str, lease_seconds: float) -> Session:
        service = self._service
        with service.lock:
            service.epoch += 1
            token = f"{member}/{service.epoch}"
            service.ends[token] = service.now + lease_seconds
            service.names[token], service.leases[token] = member, lease_seconds
            return Session(member, service.epoch, token)

    @hookimpl
    def renew(self, session: Session) -> float:
        service = self._service
        with service.lock:
            if not service.is_live(session.token):
                raise LeaseLost(f"the lease of {session.member} ended")
            service.ends[session.token] = service.now + service.leases[session.token]
            return service.leases[session.token]

    @hookimpl
    def leave(self, session: Session) -> None:
        with self._service.lock:
            self._service.ends.pop(session.token, None)

    @hookimpl
    def members(self) -> tuple[str, ...]:
        service = self._service
        return tuple(sorted(service.names[token] for token in service.ends if service.is_live(token)))

    @hookimpl
    def claim(self, session: Session, resources: tuple[str, ...]) -> dict[str, int]:
        service = self._service
        with service.lock:
            if not service.is_live(session.token):
                raise LeaseLost(f"the lease of {session.member} ended")
            return {name: epoch for name in resources if (epoch := self._claim_one(session.token, name)) is not None}

    def _claim_one(self, token: str, name: str) -> int | None:
        holder, epoch = self._service.holders.get(name, ("", 0))
        if holder != token:
            if self._service.is_live(holder):
                return None
            epoch += 1
            self._service.holders[name] = (token, epoch)
        return epoch

    @hookimpl
    def release(self, session: Session, resources: tuple[str, ...]) -> None:
        with self._service.lock:
            for name in resources:
                holder, epoch = self._service.holders.get(name, ("", 0))
                if holder == session.token:
                    self._service.holders[name] = ("", epoch)


class TestACorrectCoordinator(CoordinatorConformance):
    """The whole suite, with a clock of its own."""

    capabilities = CoordinatorCapabilities(own_clock=True)

    @pytest.fixture
    def bench(self) -> Service:
        """A fresh service."""
        return Service()

    @pytest.fixture
    def driver(self, bench: Service) -> MemoryCoordinator:
        """The coordinator under test."""
        return MemoryCoordinator(bench)


class GivesToEverybody(MemoryCoordinator):
    def _claim_one(self, token, name):
        _, epoch = self._service.holders.get(name, ("", 0))
        self._service.holders[name] = (token, epoch + 1)
        return epoch + 1


class EpochsDoNotGrow(MemoryCoordinator):
    def _claim_one(self, token, name):
        return None if super()._claim_one(token, name) is None else 1


class AnybodyReleases(MemoryCoordinator):
    @hookimpl
    def release(self, session, resources):
        for name in resources:
            self._service.holders[name] = ("", self._service.holders.get(name, ("", 0))[1])


class RenewingChangesNothing(MemoryCoordinator):
    @hookimpl
    def renew(self, session):
        end = self._service.ends.get(session.token)
        lease = super().renew(session)
        self._service.ends[session.token] = end
        return lease


class LeasesNeverEnd(MemoryCoordinator):
    @hookimpl
    def join(self, member, lease_seconds):
        session = super().join(member, lease_seconds)
        self._service.ends[session.token] = float("inf")
        return session


class RenewsTheDead(MemoryCoordinator):
    @hookimpl
    def renew(self, session):
        if session.token in self._service.ends:
            self._service.ends[session.token] = float("inf")
        return super().renew(session)


class SessionEpochsRepeat(MemoryCoordinator):
    @hookimpl
    def join(self, member, lease_seconds):
        session = super().join(member, lease_seconds)
        return Session(session.member, 1, session.token)


class LeavingKeepsTheClaims(MemoryCoordinator):
    @hookimpl
    def leave(self, session):
        """Waits for the lease to end instead."""


class ClaimsWithoutALock(MemoryCoordinator):
    """Looks, lets another in, and then writes."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._meeting = threading.Barrier(6)

    @hookimpl
    def claim(self, session, resources):
        free = [name for name in resources if not self._service.is_live(self._service.holders.get(name, ("", 0))[0])]
        with contextlib.suppress(threading.BrokenBarrierError):
            self._meeting.wait(5)
        for name in free:
            self._service.holders[name] = (session.token, self._service.holders.get(name, ("", 0))[1] + 1)
        return {name: self._service.holders[name][1] for name in free}


class KnowsOnlyItself(MemoryCoordinator):
    """Each client keeps books of its own."""

    def __init__(self, service: Service) -> None:
        super().__init__(Service())


class LacksRelease(MemoryCoordinator):
    release = None


CAUGHT_BY = {
    "test_driver_keeps_the_hook_contract": [LacksRelease],
    "test_a_resource_has_one_holder": [GivesToEverybody],
    "test_released_claims_are_free_and_epochs_grow": [EpochsDoNotGrow],
    "test_only_the_holder_can_release": [AnybodyReleases],
    "test_renewing_keeps_the_claims": [RenewingChangesNothing],
    "test_an_ended_lease_is_void": [LeasesNeverEnd, RenewsTheDead, AnybodyReleases],
    "test_an_ended_lease_is_void_without_a_rival": [LeasesNeverEnd, RenewsTheDead],
    "test_session_epochs_grow": [SessionEpochsRepeat],
    "test_leaving_frees_everything": [LeavingKeepsTheClaims],
    "test_a_race_has_one_winner": [ClaimsWithoutALock],
    "test_clients_agree": [KnowsOnlyItself],
    "test_agrees_with_leases": [
        GivesToEverybody,
        EpochsDoNotGrow,
        AnybodyReleases,
        LeasesNeverEnd,
        RenewsTheDead,
        LeavingKeepsTheClaims,
    ],
}


@pytest.mark.parametrize(("check", "wrong"), [(check, wrong) for check in CAUGHT_BY for wrong in CAUGHT_BY[check]])
def test_each_check_fails_a_coordinator_that_breaks_its_rule(check: str, wrong: type[MemoryCoordinator]) -> None:
    """A check that cannot fail proves nothing."""

    def fixtures() -> dict[str, object]:
        service = Service()
        service.kind = wrong
        return {"bench": service, "driver": wrong(service)}

    assert check in failures(TestACorrectCoordinator, fixtures, only=check)


def test_every_check_has_a_coordinator_that_it_fails() -> None:
    """The list above leaves no check out."""
    assert set(CAUGHT_BY) == set(standard_tests(CoordinatorConformance))
