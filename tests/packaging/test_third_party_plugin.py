"""A driver written outside the repository: installed with pip, listed, selected by one line, used, and proven."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "contrib" / "plugin-template"

USE = """
import sys
from holdfast.config import load_config
from holdfast.model import PowerAction, Secret
from holdfast.model.views import BmcView
from holdfast.plugins import Plugins

driver = Plugins(load_config(sys.argv[1])).driver("oobm", "command")
bmc = BmcView("host-1", "command", "127.0.0.1", "1", "admin", Secret("correct horse battery"))
print(driver.power_state(bmc, 10.0).value)
driver.power_action(bmc, PowerAction.OFF, 10.0)
print(driver.power_state(bmc, 10.0).value)
"""


def _run(*words: str | Path, cwd: Path) -> str:
    """Run a program as somebody who has never heard of the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def outside(shared: Callable[[str, Callable[[Path], None]], Path], wheels: Path) -> Path:
    """A folder outside the checkout with a new environment: core, kit and template from their wheels, by pip."""

    def make(folder: Path) -> None:
        uv = (sys.executable, "-m", "uv", "venv", "--quiet", "--seed", "--python", sys.executable)
        _run(*uv, folder / "venv", cwd=folder)
        # By their files: an index may know other distributions of these names.
        ours = [*wheels.glob("holdfast-0*.whl"), *wheels.glob("holdfast_conformance-*.whl")]
        template = [f"{wheel}[test]" for wheel in wheels.glob("holdfast_oobm_command-*.whl")]
        # Python compiles what is imported; to compile all that pytest brings along takes longer than the tests.
        pip = (folder / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
        _run(*pip, *ours, *template, cwd=folder)
        shutil.copytree(TEMPLATE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(TEMPLATE / "pyproject.toml", folder)

    return shared("outside", make)


@pytest.mark.slow
def test_it_is_listed_with_its_distribution(outside: Path) -> None:
    """`plugins list` reads metadata; `plugins check` imports and verifies it."""
    listing = json.loads(_run(outside / "venv/bin/holdfast", "plugins", "list", "--json", cwd=outside))
    assert "holdfast-oobm-command" in json.dumps(listing)
    assert "command" in _run(outside / "venv/bin/holdfast", "plugins", "list", cwd=outside)
    _run(outside / "venv/bin/holdfast", "plugins", "check", cwd=outside)


@pytest.mark.slow
def test_it_is_used_by_configuration_alone(outside: Path, tmp_path: Path) -> None:
    """Its own table says which program; the loader does the rest, and the power goes off."""
    program = shutil.copy(TEMPLATE / "tests" / "power-strip", tmp_path / "power-strip")
    (tmp_path / "password").write_text("correct horse battery")
    (tmp_path / "socket-1").write_text("on")
    config = tmp_path / "holdfast.toml"
    config.write_text(f'[server]\ndata_dir = "{tmp_path}"\n[oobm.command]\nprogram = "{program}"\n')
    said = _run(outside / "venv/bin/python", "-c", USE, config, cwd=outside)
    assert said.split() == ["On", "Off"]


@pytest.mark.slow
def test_it_passes_the_conformance_kit(outside: Path) -> None:
    """Its own tests run there, with the published kit, and the checkout is not on the path."""
    said = _run(outside / "venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=outside)
    assert " passed" in said
    where = _run(outside / "venv/bin/python", "-c", "import holdfast, sys; print(holdfast.__file__)", cwd=outside)
    assert str(outside) in where
