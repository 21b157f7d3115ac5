"""Conformance of coordinators: one holder, growing epochs, and nothing after the end of a lease."""

import time
from dataclasses import dataclass
from typing import ClassVar

import pytest
from holdfast.errors import LeaseLost
from holdfast.hooks.coordinator import Coordinator, Session

from holdfast_conformance.agreement import run_machine
from holdfast_conformance.calls import together
from holdfast_conformance.coordinator_machine import LeaseMachine
from holdfast_conformance.suite import Conformance

THREADS = 6


@dataclass(frozen=True, slots=True)
class CoordinatorCapabilities:
    """`lease_seconds` is the shortest lease that works well; `several_clients` guards the bench's `client`.

    `own_clock` says that `pass_time` moves a clock instead of waiting; only then is the model run with expiring leases.
    """

    lease_seconds: float = 1.0
    several_clients: bool = True
    own_clock: bool = False
    patience_seconds: float = 10.0


class CoordinatorBench:
    """Time, and further clients of the same coordination service."""

    def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass for the service and its clients."""
        time.sleep(seconds)

    def client(self) -> Coordinator:
        """Another client, as another management server would have it."""
        raise NotImplementedError("give the bench `client`, or set several_clients=False")


class CoordinatorConformance(Conformance):
    """Subclass it; give the fixtures `driver` (fresh for each test) and, where the default does not do, `bench`."""

    point = "coordinator"
    capabilities: ClassVar[CoordinatorCapabilities] = CoordinatorCapabilities()

    @pytest.fixture
    def bench(self) -> CoordinatorBench:
        """Waits in real time, and has no second client: override it for either."""
        return CoordinatorBench()

    def test_a_resource_has_one_holder(self, driver: Coordinator) -> None:
        """What one session holds no other gets; the holder asks again and keeps its epoch."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease)
        held = driver.claim(one, ("a", "b"))
        assert set(held) == {"a", "b"}
        assert set(driver.claim(two, ("a", "b", "c"))) == {"c"}
        assert driver.claim(one, ("a", "b", "c")) == held

    def test_released_claims_are_free_and_epochs_grow(self, driver: Coordinator) -> None:
        """Each new claim on a resource has a higher epoch than all before it, whoever makes it."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease)
        epochs = []
        for session in (one, two, one, two):
            epochs.append(driver.claim(session, ("a",))["a"])
            driver.release(session, ("a",))
            driver.release(session, ("a",))
        assert epochs == sorted(set(epochs)), f"claim epochs do not grow: {epochs}"

    def test_only_the_holder_can_release(self, driver: Coordinator) -> None:
        """Giving back what another holds changes nothing."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease)
        driver.claim(one, ("a",))
        driver.release(two, ("a", "unknown"))
        assert driver.claim(two, ("a",)) == {}

    def test_renewing_keeps_the_claims(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """A session that renews in time lives beyond its first lease; the answer is no longer than the lease."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease * 10)
        driver.claim(one, ("a",))
        for _ in range(4):
            bench.pass_time(self._lease * 0.4)
            assert 0 < driver.renew(one) <= self._lease
        assert driver.claim(two, ("a",)) == {}
        assert driver.members() == ("one", "two")

    def test_an_ended_lease_is_void(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """After its lease a session holds nothing, cannot be renewed, claims nothing, and is no member."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease * 10)
        before = driver.claim(one, ("a",))["a"]
        bench.pass_time(self._lease * 1.5)
        assert driver.members() == ("two",)
        now_held = driver.claim(two, ("a",))
        assert now_held["a"] > before
        with pytest.raises(LeaseLost):
            driver.renew(one)
        assert self._claim_or_lost(driver, one, "b") == {}
        driver.release(one, ("a",))
        assert driver.claim(two, ("a",)) == now_held, "a session whose lease had ended gave back another's claim"

    def test_an_ended_lease_is_void_without_a_rival(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """A lease ends by time alone, not when somebody else shows up."""
        one = driver.join("one", self._lease)
        driver.claim(one, ("a",))
        bench.pass_time(self._lease * 1.5)
        assert self._claim_or_lost(driver, one, "a") == {}
        with pytest.raises(LeaseLost):
            driver.renew(one)

    def test_session_epochs_grow(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """Every session ever opened has a higher epoch than those before, whether they left or ran out."""
        first = driver.join("one", self._lease)
        driver.leave(first)
        second = driver.join("one", self._lease)
        bench.pass_time(self._lease * 1.5)
        third, other = driver.join("one", self._lease), driver.join("two", self._lease)
        epochs = [first.epoch, second.epoch, third.epoch, other.epoch]
        assert epochs == sorted(set(epochs)), f"session epochs do not grow: {epochs}"
        with pytest.raises(LeaseLost):
            driver.renew(second)

    def test_leaving_frees_everything(self, driver: Coordinator) -> None:
        """The claims are free at once, the session is over, and leaving twice is harmless."""
        one, two = driver.join("one", self._lease), driver.join("two", self._lease)
        driver.claim(one, ("a", "b"))
        driver.leave(one)
        driver.leave(one)
        assert driver.members() == ("two",)
        assert set(driver.claim(two, ("a", "b"))) == {"a", "b"}
        with pytest.raises(LeaseLost):
            driver.renew(one)

    def test_a_race_has_one_winner(self, driver: Coordinator) -> None:
        """Sessions that claim at the same moment get the resource once."""
        sessions = [driver.join(f"member-{number}", self._lease * 10) for number in range(THREADS)]
        for name in ("a", "b", "c", "d"):
            calls = [lambda own=session, what=name: driver.claim(own, (what,)) for session in sessions]
            answers = together(calls, self.capabilities.patience_seconds)
            assert sum(name in answer for answer in answers) == 1

    def test_clients_agree(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """What one client claimed is taken for every other, and members are seen by all."""
        if not self.capabilities.several_clients:
            pytest.skip("there is only ever one client")
        other = bench.client()
        one, two = driver.join("one", self._lease), other.join("two", self._lease)
        assert one.epoch != two.epoch
        held = driver.claim(one, ("a",))
        assert other.claim(two, ("a",)) == {}
        assert driver.members() == other.members() == ("one", "two")
        driver.leave(one)
        assert other.claim(two, ("a",))["a"] > held["a"]

    def test_agrees_with_leases(self, driver: Coordinator, bench: CoordinatorBench) -> None:
        """Any order of joining, claiming, renewing, releasing, leaving and waiting keeps one holder."""
        can = self.capabilities
        numbers = iter(range(1_000_000))
        run_machine(
            lambda: LeaseMachine(driver, bench.pass_time, can.lease_seconds, can.own_clock, next(numbers)),
            self.model_examples,
        )

    @property
    def _lease(self) -> float:
        return self.capabilities.lease_seconds

    @staticmethod
    def _claim_or_lost(driver: Coordinator, session: Session, resource: str) -> dict[str, int]:
        try:
            return driver.claim(session, (resource,))
        except LeaseLost:
            return {}
