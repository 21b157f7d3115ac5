"""The driver keeps its contract against the strict BMC, which changes passwords, over HTTPS."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from certificates import Authority
from holdfast.model.secret import Secret
from holdfast.model.states import PowerState
from holdfast.model.views import BmcView
from holdfast_conformance.oobm import OobmBench, OobmCapabilities, OobmConformance
from holdfast_conformance.wire_faults import CLEAN, TcpFaultProxy, WireFaults
from holdfast_oobm_redfish.driver import RedfishOobm
from strict_bmc import SYSTEMS, USER, Request, StrictBmc, StrictSystem

PASSWORD, WRONG = "conformance-old-4711", "conformance-wrong-4711"


class StrictBench(OobmBench):
    """The strict BMC behind a wire that can be cut; two systems, one of them off."""

    def __init__(self, server: StrictBmc, wire: TcpFaultProxy) -> None:
        self.server = server
        self.wire = wire
        server.passwords[USER] = PASSWORD
        server.systems = {"1": StrictSystem(), "2": StrictSystem("Off")}

    @property
    def bmc(self) -> BmcView:
        """The first system."""
        return replace(self.server.view(PASSWORD, system="1"), port=str(self.wire.port))

    @property
    def other_bmc(self) -> BmcView:
        """The second."""
        return replace(self.bmc, host_uuid="host-2", options={"system": "2"})

    def wrong_password(self) -> BmcView:
        """A wrong one."""
        return replace(self.bmc, password=Secret(WRONG))

    def force_power(self, state: PowerState) -> None:
        """By hand."""
        self.server.systems["1"].power = state.value

    def make_unreachable(self) -> None:
        """The wire swallows everything."""
        self.wire.faults = WireFaults(silent=True)

    def make_reachable(self) -> None:
        """The wire is mended."""
        self.wire.faults = CLEAN

    def refuse_actions(self) -> None:
        """409 to every action."""
        self.server.systems["1"].refuses = 409

    def ignore_actions(self) -> None:
        """204 to every action, and nothing done."""
        self.server.systems["1"].ignores = True

    def show_odd_state(self) -> None:
        """PoweringOff, once."""
        path = f"{SYSTEMS}/1"

        def once(request: Request) -> None:
            del self.server.quirks["GET", path]
            request.reply(200, {"PowerState": "PoweringOff"})

        self.server.quirks["GET", path] = once


class TestRedfishAgainstTheStrictBmc(OobmConformance):
    """All of the suite, password changes too."""

    capabilities = OobmCapabilities(changes_password=True)
    model_examples = 6

    @pytest.fixture
    def bench(self, secure_bmc: StrictBmc) -> Iterator[StrictBench]:
        """A fresh one."""
        with TcpFaultProxy(("127.0.0.1", secure_bmc.port)) as wire:
            yield StrictBench(secure_bmc, wire)

    @pytest.fixture
    def driver(self, authority: Authority, make_driver: Callable[..., RedfishOobm]) -> RedfishOobm:
        """As configured by default, but for the CA."""
        return make_driver(ca_file=str(authority.ca_file))
