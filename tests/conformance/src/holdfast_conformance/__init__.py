"""Conformance kit: one class per extension point that proves any driver, ours included.

Subclass the class of your point in a test module, give it the fixtures it names, and run pytest:

    class TestMyDriver(OobmConformance):
        capabilities = OobmCapabilities(changes_password=True)

        @pytest.fixture
        def bench(self): ...

        @pytest.fixture
        def driver(self, bench): ...

Names are loaded when they are first asked for, so a suite needs only the libraries of its own point.
"""

from importlib import import_module
from typing import Any

import pytest

_HOMES = {
    "Conformance": "suite",
    "failures": "running",
    "standard_tests": "guard",
    "CommandConformance": "command",
    "CoordinatorBench": "coordinator",
    "CoordinatorCapabilities": "coordinator",
    "CoordinatorConformance": "coordinator",
    "DatabaseCapabilities": "database",
    "DatabaseConformance": "database",
    "HeartbeatBench": "heartbeat",
    "HeartbeatCapabilities": "heartbeat",
    "HeartbeatConformance": "heartbeat",
    "HypervisorBench": "hypervisor",
    "HypervisorCapabilities": "hypervisor",
    "HypervisorConformance": "hypervisor",
    "NotifierBench": "notifier",
    "NotifierCapabilities": "notifier",
    "NotifierConformance": "notifier",
    "OobmBench": "oobm",
    "OobmCapabilities": "oobm",
    "OobmConformance": "oobm",
    "PlacementConformance": "placement",
    "ProviderCapabilities": "provider",
    "ProviderConformance": "provider",
    "ScriptedProbes": "provider",
    "ServiceConformance": "service",
    "StoreConformance": "store",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  # the names are spelled once, with their homes

# Plain asserts in the kit shall explain themselves in an author's test run. This has to come before the first import.
pytest.register_assert_rewrite(*(f"{__name__}.{home}" for home in sorted(set(_HOMES.values()))))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
