"""The import contracts of the root pyproject.toml hold, and would catch who breaks them."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]

PLANTED = {
    "holdfast/config.py": "import holdfast_notifiers.log",
    "holdfast/engine/policy.py": "import socket",
    "holdfast/model/states.py": "import holdfast.settings",
    "holdfast/hooks/markers.py": "import holdfast.plugins",
    "holdfast_notifiers/log.py": "import holdfast_placement",
    "holdfast_placement/scope.py": "import holdfast_conformance",
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [str(program), "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _copy_packages(target: Path) -> None:
    for name in CONTRACTS["root_packages"]:
        found = [*ROOT.glob(f"*/src/{name}"), *ROOT.glob(f"*/*/src/{name}")]
        assert len(found) == 1, f"{name}: {found}"
        shutil.copytree(found[0], target / name, ignore=shutil.ignore_patterns("__pycache__"))


def test_contracts_hold_and_planted_imports_are_caught(tmp_path: Path) -> None:
    """Nothing breaks a contract as it is; one forbidden import planted for each contract breaks exactly all of them."""
    _copy_packages(tmp_path)
    clean = _lint(tmp_path)
    assert clean.returncode == 0, clean.stdout + clean.stderr

    for module, line in PLANTED.items():
        path = tmp_path / module
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    planted = _lint(tmp_path)
    assert planted.returncode == 1
    for contract in CONTRACTS["contracts"]:
        assert f"{contract['name']} BROKEN" in planted.stdout, contract["name"]


def test_every_plugin_is_under_contract() -> None:
    """A new distribution is linted from its first day."""
    packages = sorted(path.name for path in ROOT.glob("plugins/*/src/*") if (path / "__init__.py").is_file())
    by_name = {contract["name"]: contract for contract in CONTRACTS["contracts"]}
    assert sorted(CONTRACTS["root_packages"]) == sorted(["holdfast", "holdfast_conformance", *packages])
    assert sorted(by_name["plugins do not import each other"]["modules"]) == packages
    assert sorted(by_name["core imports no plugin"]["forbidden_modules"]) == sorted(["holdfast_conformance", *packages])
    assert sorted(by_name["plugins do not import the conformance kit"]["source_modules"]) == packages
