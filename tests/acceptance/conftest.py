"""Fixtures of the acceptance tests: real processes on the loopback; `site` beside this file is what they stand on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from acceptance_site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server with three simulated hosts, shared by the tests of a module."""
    with Site(tmp_path_factory.mktemp("site")) as made:
        made.open()
        yield made
