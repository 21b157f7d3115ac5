"""Our own placement plugins pass the kit as an outsider's would."""

import pytest
from holdfast_conformance import PlacementConformance
from holdfast_placement.anti_affinity import AntiAffinityFilter
from holdfast_placement.capacity import CapacityFilter
from holdfast_placement.dedicated import DedicatedFilter
from holdfast_placement.scope import ScopeFilter
from holdfast_placement.spread import SpreadScorer


class TestScope(PlacementConformance):
    """`scope` keeps the contract."""

    @pytest.fixture
    def driver(self) -> ScopeFilter:
        return ScopeFilter({})


class TestDedicated(PlacementConformance):
    """`dedicated` keeps the contract with an HA tag set."""

    @pytest.fixture
    def driver(self) -> DedicatedFilter:
        return DedicatedFilter({"ha_tag": "ha_host", "untagged_zones": ("zone-2",)})


class TestDedicatedWithoutTag(PlacementConformance):
    """`dedicated` keeps the contract without one."""

    @pytest.fixture
    def driver(self) -> DedicatedFilter:
        return DedicatedFilter({})


class TestCapacity(PlacementConformance):
    """`capacity` keeps the contract."""

    @pytest.fixture
    def driver(self) -> CapacityFilter:
        return CapacityFilter({})


class TestAntiAffinity(PlacementConformance):
    """`anti-affinity` keeps the contract."""

    @pytest.fixture
    def driver(self) -> AntiAffinityFilter:
        return AntiAffinityFilter({})


class TestSpread(PlacementConformance):
    """`spread` keeps the contract."""

    @pytest.fixture
    def driver(self) -> SpreadScorer:
        return SpreadScorer({})
