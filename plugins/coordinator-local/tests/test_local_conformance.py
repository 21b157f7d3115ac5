"""The published suite, run on the local coordinator as an outsider would."""

from pathlib import Path

import pytest
from holdfast_conformance.coordinator import CoordinatorBench, CoordinatorCapabilities, CoordinatorConformance
from holdfast_coordinator_local.coordinator import LocalCoordinator


class _Time(CoordinatorBench):
    def __init__(self) -> None:
        self.now = 1000.0

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class TestLocalCoordinator(CoordinatorConformance):
    """One process, so one client; its clock is moved by hand."""

    capabilities = CoordinatorCapabilities(several_clients=False, own_clock=True)

    @pytest.fixture
    def bench(self) -> CoordinatorBench:
        """A clock that only the test moves."""
        return _Time()

    @pytest.fixture
    def driver(self, bench: _Time, tmp_path: Path) -> LocalCoordinator:
        """A coordinator on a file of its own."""
        return LocalCoordinator({"path": tmp_path / "coordinator.lock"}, lambda: bench.now)
