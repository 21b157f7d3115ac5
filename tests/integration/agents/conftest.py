"""Lets the tests here import what stands beside them; and what several of them start from."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from port_in_thread import PortInThread


@pytest.fixture
def port(tmp_path: Path) -> Iterator[PortInThread]:
    """An agents' port of this test's own."""
    made = PortInThread(tmp_path / "port")
    yield made
    made.close()
