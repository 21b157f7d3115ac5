"""Each distribution works alone, from its wheel: a shared development environment hides missing dependencies."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in ROOT.glob("plugins/*/pyproject.toml")
)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_works_alone(plugin: str, wheels: Path, tmp_path: Path) -> None:
    """With core and its own dependencies and nothing else, all it declares can be imported and keeps its contract."""
    uv = (sys.executable, "-m", "uv")
    python = tmp_path / "venv" / "bin" / "python"
    # By their files: an index may know other distributions of these names.
    ours = [*wheels.glob("holdfast-0*.whl"), *wheels.glob(f"{plugin.replace('-', '_')}-*.whl")]
    assert len(ours) == 2
    words = [
        (*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"),
        (*uv, "pip", "install", "--quiet", "--python", python, *ours),
        (python, "-m", "holdfast", "plugins", "check"),
    ]
    for call in words:
        done = subprocess.run([str(word) for word in call], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{call}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_wheels_carry_types_and_no_tests(wheels: Path) -> None:
    """What is installed is the package and its metadata."""
    built = sorted(wheels.glob("*.whl"))
    assert len(built) == len(PLUGINS) + 4, "core, the kit, the lab, the template and every plugin"
    for wheel in built:
        names = zipfile.ZipFile(wheel).namelist()
        tops = {name.split("/")[0] for name in names}
        package = wheel.name.split("-")[0]
        assert f"{package}/py.typed" in names, wheel.name
        assert {top for top in tops if not top.endswith(".dist-info")} == {package}, wheel.name
