"""Drivers that lie to the real manager: the checker catches what comes of it, under the right rule."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from holdfast.hooks.coordinator import Session
from holdfast.hooks.markers import hookimpl
from holdfast.hooks.provider import Probes
from holdfast.model import Evidence, Kind, Opinion
from holdfast.model.views import HostView
from holdfast_simulator.coordinator import SimulatorCoordinator
from holdfast_simulator.provider import SimulatorHAProvider
from holdfast_simulator.scenario import Fault, Scenario, WorldSize
from holdfast_simulator.session import run_scenario


def rules(scenario: Scenario, faults: Sequence[Fault]) -> set[str]:
    result = run_scenario(scenario.with_faults(tuple(faults)))
    return {violation.rule for violation in result.violations}


ONE = Scenario(name="planted", duration=60.0, settle=60.0, world=WorldSize(servers=1))


def test_an_accepted_order_taken_for_its_effect_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that reads every chassis as off, and a BMC that lies: the VM is moved while its first run lives."""

    @hookimpl
    def believe(self: SimulatorHAProvider, host: HostView, probes: Probes) -> Evidence:
        return replace(probes.power(), opinion=Opinion.DEAD)

    monkeypatch.setattr(SimulatorHAProvider, "read_back", believe)
    faults = [Fault(at=2.0, kind="bmc", host="h1", mode="lying"), Fault(at=3.0, kind="hang", host="h1", lasts=50.0)]
    assert rules(replace(ONE, world=WorldSize(servers=1, watchdog=False)), faults) == {"S3"}


def test_a_witness_made_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that calls every heartbeat stale: a host whose agent died is cut although it writes."""

    @hookimpl
    def accuse(self: SimulatorHAProvider, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        return tuple(replace(piece, opinion=Opinion.DEAD) for piece in probes.heartbeats())

    monkeypatch.setattr(SimulatorHAProvider, "check_activity", accuse)
    assert rules(ONE, [Fault(at=10.0, kind="agent-death", host="h1", lasts=40.0)]) == {"S4"}


def test_a_power_reading_made_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that sees the chassis off whenever the link is silent."""

    @hookimpl
    def accuse(self: SimulatorHAProvider, host: HostView, probes: Probes) -> tuple[Evidence, ...]:
        link = probes.link()
        if link.opinion is Opinion.ALIVE:
            return (link,)
        return (link, Evidence(Kind.POWER, host.uuid, Opinion.DEAD, "made up", link.at))

    monkeypatch.setattr(SimulatorHAProvider, "check_health", accuse)
    broken = rules(ONE, [Fault(at=10.0, kind="cut-agent", host="h1", server="ms1", lasts=40.0)])
    assert broken
    assert broken <= {"S3", "S4"}


def test_acting_on_after_the_lease_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator's client that says that the lease holds without asking."""

    def pretend(self: SimulatorCoordinator, session: Session) -> float:
        return 1e6

    monkeypatch.setattr(SimulatorCoordinator, "renew", pretend)
    assert "S5" in rules(ONE, [Fault(at=20.0, kind="power-loss", host="h1")])
