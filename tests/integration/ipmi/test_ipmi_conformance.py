"""The IPMI driver passes the published suite against OpenIPMI's simulator."""

from collections.abc import Iterator

import pytest
from holdfast_conformance.oobm import OobmCapabilities, OobmConformance
from holdfast_oobm_ipmi.driver import IpmiOobm


@pytest.mark.slow
class TestIpmiOobm(OobmConformance):
    """As it comes, with a BMC that only knows cipher suite 3."""

    capabilities = OobmCapabilities(changes_password=True, settle_seconds=3.0, deadline_seconds=5.0)
    model_examples = 15

    @pytest.fixture
    def driver(self) -> Iterator[IpmiOobm]:
        """Ended after the test."""
        driver = IpmiOobm({})
        yield driver
        driver.close()
