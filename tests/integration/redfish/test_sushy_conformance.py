"""The Redfish driver keeps its contract against sushy-emulator, over HTTP and HTTPS."""

from collections.abc import Iterator

import pytest
from holdfast_conformance.oobm import OobmCapabilities, OobmConformance
from holdfast_oobm_redfish.driver import RedfishOobm
from sushy import SushyBench


class TestRedfishAgainstSushy(OobmConformance):
    """The emulator has no AccountService, so password changes are proved by the driver's own tests."""

    capabilities = OobmCapabilities(changes_password=False, deadline_seconds=10.0)
    model_examples = 4

    @pytest.fixture
    def driver(self, bench: SushyBench) -> Iterator[RedfishOobm]:
        """The driver under test, as it would be configured."""
        driver = RedfishOobm(bench.settings)
        yield driver
        driver.close()
