"""Random faults under load: nothing that was acknowledged and replicated is lost, and nothing is written twice."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_run import FaultRun
from holdfast_conformance.mariadb import MariaDbLab
from holdfast_conformance.mariadb_network import CableNetwork

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("seed", "chain"), [(1, 0), (2, 2)], ids=["pair", "pair with a chain of two"])
def test_random_faults_lose_nothing_and_write_nothing_twice(tmp_path: Path, seed: int, chain: int) -> None:
    """Kills, stops, freezes, cut cables and ways back; each server is read by itself afterwards."""
    with CableNetwork() as network, MariaDbLab(tmp_path) as lab:
        run = FaultRun(lab, tmp_path, seed, network, chain=chain)
        try:
            for _ in range(6):
                run.strike()
            run.finish()
            assert run.check() == []
            assert len(run.tally.acknowledged) > 50, "hardly anything was written"
        finally:
            run.site.close()
