"""Wheels of all distributions, and whatever else is dear: made once, also when several processes test."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Shared = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """`shared(name, make)` is a folder that `make` filled; the first process that asks makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return get


def _build(folder: Path) -> None:
    members = [path.parent for path in ROOT.glob("*/pyproject.toml")]
    members += [path.parent for path in ROOT.glob("*/*/pyproject.toml") if ".venv" not in path.parts]
    for member in sorted(members):
        words = (sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(member))
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{member}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def wheels(shared: Shared) -> Path:
    """A folder with a wheel of each member of the workspace and of the plugin template."""
    return shared("wheels", _build)
