"""Wheels of all distributions, made once, also when several processes test."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

Shared = Callable[[str, Callable[[Path], object]], Path]

ROOT = Path(__file__).resolve().parents[2]

BUILD_ALL = """
import importlib, os, pathlib, sys, tomllib

for member in sys.argv[2:]:
    print("building", member, flush=True)
    os.chdir(member)
    backend = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))["build-system"]["build-backend"]
    importlib.import_module(backend).build_wheel(sys.argv[1])
"""
"""Builds the wheels of the folders named as pip would, but all in one process and one environment."""


def _build(folder: Path) -> None:
    members = [path.parent for path in ROOT.glob("*/pyproject.toml")]
    members += [path.parent for path in ROOT.glob("*/*/pyproject.toml") if ".venv" not in path.parts]
    needed: set[str] = set()
    for member in members:
        declared = tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))
        needed |= set(declared["build-system"]["requires"])
    builder = folder.parent / f"{folder.name}-builder"
    python = builder / "bin" / "python"
    uv = (sys.executable, "-m", "uv")
    calls: list[tuple[str | Path, ...]] = [
        (*uv, "venv", "--quiet", "--python", sys.executable, builder),
        (*uv, "pip", "install", "--quiet", "--python", python, *sorted(needed)),
        (python, "-c", BUILD_ALL, folder, *sorted(members)),
    ]
    for words in calls:
        done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def wheels(shared: Shared) -> Path:
    """A folder with a wheel of each member of the workspace and of the plugin template."""
    return shared("wheels", _build)
