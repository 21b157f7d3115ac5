"""Raw labs for tests: made in a folder of their own, ended whatever happens."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast_lab import capsule

UP_SECONDS = 300.0


def lab(folder: Path, *words: str, seconds: float = UP_SECONDS) -> str:
    """Run `lab WORDS` on a folder; what it printed. A failure fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "holdfast_lab", "--folder", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def namespaces() -> None:
    """Skip, loudly, where a lab cannot be."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: the lab needs root")
    if subprocess.run(["unshare", "--pid", "--mount", "--net", "--fork", "true"], check=False).returncode != 0:
        pytest.skip("NOT TESTED: the lab needs PID, mount and network namespaces, which this machine does not allow")


@pytest.fixture
def raw_lab(namespaces: None, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes raw labs by name, with the options given."""
    made: list[Path] = []

    def make(name: str, *words: str) -> Path:
        folder = tmp_path / name
        made.append(folder)
        lab(folder, "up", "--raw", *words)
        return folder

    yield make
    for folder in made:
        capsule.destroy(folder)
