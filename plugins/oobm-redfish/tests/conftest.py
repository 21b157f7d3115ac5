"""Fixtures of the Redfish driver's tests: a strict BMC, certificates, and drivers that are closed afterwards."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from holdfast_oobm_redfish.driver import RedfishOobm

sys.path.insert(0, str(Path(__file__).parent))

from certificates import Authority
from strict_bmc import StrictBmc


@pytest.fixture
def bmc() -> Iterator[StrictBmc]:
    """A BMC over plain HTTP, with one system that is on."""
    with StrictBmc() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA of the tests' own."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure_bmc(authority: Authority) -> Iterator[StrictBmc]:
    """A BMC over HTTPS, with a certificate of `authority` for 127.0.0.1."""
    with StrictBmc(authority.issue("127.0.0.1")) as server:
        yield server


@pytest.fixture
def make_driver() -> Iterator[Callable[..., RedfishOobm]]:
    """Makes drivers with the given settings, and logs them out after the test."""
    drivers: list[RedfishOobm] = []

    def make(**settings: Any) -> RedfishOobm:
        drivers.append(RedfishOobm(settings))
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.close()


@pytest.fixture
def driver(make_driver: Callable[..., RedfishOobm]) -> RedfishOobm:
    """A driver that speaks plain HTTP and does not repeat itself."""
    return make_driver(scheme="http", retries=0)
