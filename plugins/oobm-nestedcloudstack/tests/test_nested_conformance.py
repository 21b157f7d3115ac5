"""The driver keeps its contract against an API that checks signatures."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_conformance.oobm import OobmBench, OobmCapabilities, OobmConformance
from holdfast_conformance.wire_faults import CLEAN, TcpFaultProxy, WireFaults
from holdfast_oobm_nestedcloudstack.driver import NestedCloudStackOobm
from outer_cloud import API_KEY, ONE, SECRET_KEY, TWO, OuterCloud


class NestedBench(OobmBench):
    """An outer cloud behind a wire that can be cut."""

    def __init__(self, cloud: OuterCloud, wire: TcpFaultProxy) -> None:
        self.cloud = cloud
        self.wire = wire

    @property
    def bmc(self) -> BmcView:
        """The first VM."""
        address = f"http://127.0.0.1:{self.wire.port}"
        return BmcView("host-1", "nestedcloudstack", address, ONE, API_KEY, Secret(SECRET_KEY))

    @property
    def other_bmc(self) -> BmcView:
        """The second."""
        return replace(self.bmc, host_uuid="host-2", port=TWO)

    def wrong_password(self) -> BmcView:
        """A secret key of somebody else."""
        return replace(self.bmc, password=Secret("secret-key-of-nobody"))

    def force_power(self, state: PowerState) -> None:
        """By hand."""
        self.cloud.states[ONE] = {PowerState.ON: "Running", PowerState.OFF: "Stopped"}[state]

    def make_unreachable(self) -> None:
        """The wire swallows everything."""
        self.wire.faults = WireFaults(silent=True)

    def make_reachable(self) -> None:
        """The wire is mended."""
        self.wire.faults = CLEAN

    def refuse_actions(self) -> None:
        """530 to every action."""
        self.cloud.refusing = True

    def ignore_actions(self) -> None:
        """A job for every action, and nothing done."""
        self.cloud.ignoring = True

    def show_odd_state(self) -> None:
        """Stopping, once."""
        self.cloud.odd = "Stopping"


class TestNestedCloudStack(OobmConformance):
    """All of the suite but password changes."""

    capabilities = OobmCapabilities()
    model_examples = 10

    @pytest.fixture
    def bench(self) -> Iterator[NestedBench]:
        """A fresh cloud."""
        with OuterCloud() as cloud, TcpFaultProxy(("127.0.0.1", cloud.port)) as wire:
            yield NestedBench(cloud, wire)

    @pytest.fixture
    def driver(self) -> NestedCloudStackOobm:
        """With its defaults."""
        return NestedCloudStackOobm({})
