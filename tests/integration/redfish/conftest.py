"""Fixtures that start sushy-emulator, over HTTP and HTTPS, and put bad wires before it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "plugins" / "oobm-redfish" / "tests"))

from certificates import Authority
from sushy import Emulator, SushyBench


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA of the tests' own."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def plain_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """sushy-emulator over HTTP."""
    with Emulator(tmp_path_factory.mktemp("sushy")) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def secure_emulator(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Emulator]:
    """sushy-emulator over HTTPS."""
    with Emulator(tmp_path_factory.mktemp("sushy-tls"), authority.issue("127.0.0.1")) as emulator:
        yield emulator


@pytest.fixture(params=["http", "https"])
def bench(request: pytest.FixtureRequest) -> Iterator[SushyBench]:
    """Each emulator in turn, behind a wire that can be cut."""
    emulator = request.getfixturevalue("plain_emulator" if request.param == "http" else "secure_emulator")
    with SushyBench(emulator) as bench:
        yield bench
