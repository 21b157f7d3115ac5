"""Real servers for the tests of the driver."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from holdfast_conformance.mariadb import MariaDbLab

sys.path.insert(0, str(Path(__file__).parent))

from failover_site import FailoverSite, new_lab_pair


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MariaDbLab]:
    """Makes servers, and ends them."""
    with MariaDbLab(tmp_path) as lab:
        yield lab


@pytest.fixture
def site(lab: MariaDbLab, tmp_path: Path) -> Iterator[FailoverSite]:
    """A two-way pair with an empty database `cloud`."""
    site = new_lab_pair(lab, tmp_path)
    yield site
    site.close()
