"""Wheels of all distributions, built once for the tests of this folder."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """Standard output of a program that must succeed; what it said otherwise is shown."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of each member of the workspace and of the plugin template."""
    folder = tmp_path_factory.mktemp("wheels")
    members = [path.parent for path in ROOT.glob("*/pyproject.toml")]
    members += [path.parent for path in ROOT.glob("*/*/pyproject.toml") if ".venv" not in path.parts]
    for member in sorted(members):
        run(sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--out-dir", folder, member, cwd=folder)
    return folder
