"""The scenario and some faults on real guests: libvirtd and QEMU on hosts whose power a BMC emulator truly cuts.

One combination of storage and BMC by default. HOLDFAST_LAB_TESTS=all plays all four, and every fault on each.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ALL = os.environ.get("HOLDFAST_LAB_TESTS") == "all"
COMBINATIONS = [("nfs", "ipmi"), ("iscsi", "redfish"), ("nfs", "redfish"), ("iscsi", "ipmi")]
QUICK = ["qemu-killed", "agent-killed", "power-cut"]
SECONDS = 900.0


def run_lab(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`sh contrib/dev/run lab WORDS` on a lab of its own."""
    line = ["sh", str(ROOT / "contrib/dev/run"), "lab", "--folder", str(folder), *words]
    environment = os.environ | {"HOLDFAST_VENV": sys.prefix}
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module", params=COMBINATIONS if ALL else COMBINATIONS[:1], ids="-".join)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab that is up, ended whatever happens; nothing of it is left then."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: the lab needs root")
    if subprocess.run(["unshare", "--pid", "--mount", "--net", "--fork", "true"], check=False).returncode != 0:
        pytest.skip("NOT TESTED: the lab needs PID, mount and network namespaces, which this machine does not allow")
    storage, oobm = request.param
    folder = tmp_path_factory.mktemp("lab") / "lab"
    try:
        made = run_lab(folder, "up", "--storage", storage, "--oobm", oobm)
        assert made.returncode == 0, made.stdout + made.stderr
        yield folder
    finally:
        ended = run_lab(folder, "down")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    processes = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    assert [line for line in processes.splitlines() if str(folder) in line] == []


def test_the_eight_steps_move_three_guests_to_other_hosts(lab: Path) -> None:
    """By the API, and by what the guests wrote to their disks: each runs once, elsewhere."""
    played = run_lab(lab, "scenario")
    assert played.returncode == 0, played.stdout + played.stderr
    assert "step 8 of 8" in played.stdout
    assert "holds" in played.stdout
    shown = run_lab(lab, "status").stdout
    assert shown.count("Running on ablecube3") == 3
    assert "Running on ablecube31" not in shown


def _kinds() -> list[str]:
    from holdfast_lab.faults import FAULTS

    return list(FAULTS) if ALL else QUICK


@pytest.mark.parametrize("kind", _kinds())
def test_a_fault_ends_as_it_has_to_and_nothing_runs_twice(lab: Path, kind: str) -> None:
    """What has to become of the VMs is said with each fault; the disks are the judges."""
    struck = run_lab(lab, "fault", kind)
    assert struck.returncode == 0, struck.stdout + struck.stderr
    assert "Double-run check" in struck.stdout
